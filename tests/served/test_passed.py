"""What is passed through is booked when it is made, once, and at the provider it belongs to."""

import gzip
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
import yaml
from anthropic import Anthropic
from openai import APIStatusError, OpenAI, PermissionDeniedError

from tests.support.scripted import Scripted, Seen, Wire, scripted
from tests.support.served import Gateway, configuration, key_hash, wait_for

TOLD = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
PRICE = 1000 * 150 + 100 * 600
"""Nano-dollars of that by gpt-4o-mini."""

PIECES = (
    "tts-1",
    "own-voice",
    "whisper-1",
    "own-ears",
    "by-request",
    "gpu-voice",
    "gpt-4o-mini-tts",
    "dall-e-3",
    "dall-e-2",
)
PRICES = [
    {"model": "own-voice", "usd_per_million_characters": "7.5"},
    {"model": "own-ears", "usd_per_minute": "0.003"},
    {"model": "by-request", "usd_per_request": "0.002"},
    {"model": "gpu-voice", "usd_per_hour": "2.49"},
    {
        "model": "dall-e-3",
        "usd_per_image": "0.04",
        "sizes": {"1792x1024": "0.08"},
        "qualities": {"hd": {"usd_per_image": "0.08", "sizes": {"1792x1024": "0.12"}}},
    },
]


def response(status: str, **changes: object) -> dict[str, object]:
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "background": True, "status": status,
        "model": "gpt-4o-mini", "output": [], "tools": [], "parallel_tool_calls": True, "tool_choice": "auto",
        "usage": TOLD if status == "completed" else None, **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def passing(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("passed")
    whole = configuration(upstream.url, data)
    whole["models"]["gpt-image-1"] = {"targets": [{"provider": "mock"}]}
    whole["models"]["haiku"] = {"targets": [{"provider": "mock-anthropic", "model": "claude-3-7-sonnet-20250219"}]}
    whole["teams"]["small"] = {"models": ["haiku"], "keys": [{"id": "small", "hash": key_hash("sk-small")}]}
    whole["teams"]["closed"] = {"passthrough": "off", "keys": [{"id": "closed", "hash": key_hash("sk-closed")}]}
    whole["prices"] = {"models": PRICES}
    whole["models"] |= {name: {"targets": [{"provider": "mock"}]} for name in PIECES}
    whole["teams"]["loud"] = {
        "keys": [{"id": "loud", "hash": key_hash("sk-loud")}], "budget": {"amount": "0.01 USD"},
    }  # fmt: skip
    path = data / "gateway.yaml"
    path.write_text(yaml.safe_dump(whole))
    gateway = Gateway(path)
    yield gateway
    assert gateway.stop() == 0


@pytest.fixture
def booked(passing: Gateway) -> "Booked":
    return Booked(passing)


class Booked:
    """What the ledger gets of requests made after this was. Those before may still be on their way there."""

    def __init__(self, gateway: Gateway) -> None:
        self.path = gateway.data / "tollway.db"
        self.since = time.time_ns()

    def __call__(self, requests: int) -> list[tuple[str, int, int | None, bool, str]]:
        """Model, input tokens, cost in nano-dollars, unpriced and price version of `requests`, in order."""
        wait_for(lambda: len(self.rows()) >= requests, "the ledger")
        return self.rows()

    def rows(self) -> list[tuple[str, int, int | None, bool, str]]:
        query = """SELECT model, input_tokens, cost_nanos, unpriced, price_version FROM events
                   WHERE received_ns >= ? ORDER BY id"""
        try:
            with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as books:
                return [(*row[:3], bool(row[3]), row[4]) for row in books.execute(query, (self.since,))]
        except sqlite3.OperationalError:
            return []


def client(gateway: Gateway) -> OpenAI:
    return OpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=0)


def answers(upstream: Scripted, *bodies: object) -> None:
    rest = list(bodies)
    upstream.says(lambda wire, seen: wire.whole(json.dumps(rest.pop(0)).encode()))


def test_a_background_response_is_booked_once_when_it_is_seen_to_have_ended(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    answers(upstream, response("queued"), response("in_progress"), response("completed"), response("completed"))
    sdk = client(passing)
    assert sdk.responses.create(model="gpt-4o-mini", input="x" * 500, background=True).status == "queued"
    for _ in range(3):
        shown = sdk.responses.retrieve("resp_1")
    assert shown.usage is not None
    rows = booked(4)
    assert [row[1:3] for row in rows] == [(0, 0), (0, 0), (1000, PRICE), (0, 0)]
    assert (rows[2][0], rows[0][4], rows[3][4]) == ("gpt-4o-mini", "deferred", "free")


def test_a_background_stream_is_booked_by_itself_and_not_by_who_reads_it_later(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    def streams(wire: Wire, seen: Seen) -> None:
        if seen.method == "GET":
            return wire.whole(json.dumps(response("completed", id="resp_2")).encode())
        wire.open_stream()
        for kind, status in (("response.created", "queued"), ("response.completed", "completed")):
            event = {"type": kind, "response": response(status, id="resp_2"), "sequence_number": 0}
            wire.chunk(b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(event).encode()))
        return wire.end()

    upstream.says(streams)
    sdk = client(passing)
    for _ in sdk.responses.create(model="gpt-4o-mini", input="x", background=True, stream=True):
        pass
    sdk.responses.retrieve("resp_2")
    assert [row[1:3] for row in booked(2)] == [(1000, PRICE), (0, 0)]


def test_what_was_stored_is_read_for_nothing(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    whole = response("completed", background=False, id="resp_3")
    listed = {"object": "list", "data": [], "has_more": False, "usage": TOLD}
    answers(upstream, whole, listed)
    client(passing).responses.retrieve("resp_3")
    assert client(passing).chat.completions.list().data == []
    assert [row[1:] for row in booked(2)] == [(0, 0, False, "free")] * 2


def test_a_batch_is_booked_at_its_own_prices(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    batch = {
        "id": "batch_1", "object": "batch", "status": "completed", "model": "gpt-4o-mini", "usage": TOLD,
        "endpoint": "/v1/responses", "input_file_id": "f", "completion_window": "24h", "created_at": 1,
    }  # fmt: skip
    answers(upstream, {**batch, "status": "validating", "usage": None}, batch, batch)
    sdk = client(passing)
    sdk.batches.create(input_file_id="f", endpoint="/v1/responses", completion_window="24h")
    for _ in range(2):
        sdk.batches.retrieve("batch_1")
    assert [row[1:3] for row in booked(3)] == [(0, 0), (1000, PRICE // 2), (0, 0)]


def test_images_tell_their_usage_in_streams_and_to_clients_that_take_gzip(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    told = {"input_tokens": 50, "output_tokens": 50, "total_tokens": 100}

    def paints(wire: Wire, seen: Seen) -> None:
        if not seen.json.get("stream"):
            body = json.dumps({"created": 1, "data": [], "usage": told}).encode()
            zipped = "gzip" in seen.headers.get("accept-encoding", "")
            coding = {"content_encoding": "gzip"} if zipped else {}
            return wire.whole(gzip.compress(body) if zipped else body, **coding)
        wire.open_stream()
        painted = {"type": "image_generation.completed", "b64_json": "A" * 9000, "usage": told}
        event = b"data: " + json.dumps(painted).encode() + b"\n\n"
        for start in range(0, len(event), 700):
            wire.chunk(event[start : start + 700])
        return wire.end()

    upstream.says(paints)
    sdk = client(passing)
    sdk.images.generate(model="gpt-image-1", prompt="x")
    assert len(list(sdk.images.generate(model="gpt-image-1", prompt="x", stream=True))) == 1
    assert [row[:2] for row in booked(2)] == [("gpt-image-1", 50)] * 2


def test_what_cannot_be_read_is_not_taken_for_free(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    sdk = client(passing)
    upstream.says(lambda wire, seen: wire.whole(b"sound", content_type="audio/mpeg"))
    assert sdk.audio.speech.create(model="gpt-4o-mini", voice="alloy", input="x").read() == b"sound"
    upstream.says(lambda wire, seen: wire.whole(b"\x8b\x00\x80{}\x03", content_encoding="br"))
    with httpx.stream(
        "POST",
        passing.v1 + "/images/generations",
        json={"model": "gpt-image-1", "prompt": "x"},
        headers={"authorization": "Bearer sk-search"},
    ) as answer:
        assert answer.headers["content-encoding"] == "br"
    assert [row[2:4] for row in booked(2)] == [(None, True)] * 2
    logged = wait_for(
        lambda: [line for line in (passing.data / "gateway.log").open() if "CompressedAnswer" in line], "it"
    )
    assert "unpriced" in str(logged)


def test_anthropic_s_files_and_batches_go_to_anthropic(passing: Gateway, upstream: Scripted) -> None:
    upstream.seen.clear()
    answers(upstream, *[{"data": [], "has_more": False, "first_id": None, "last_id": None}] * 3)
    sdk = Anthropic(base_url=passing.url, api_key="sk-search", max_retries=0)
    assert sdk.messages.batches.list().data == []
    assert sdk.beta.files.list().data == []
    client(passing).files.list()
    keys = [(seen.headers.get("x-api-key"), seen.headers.get("authorization")) for seen in upstream.seen]
    assert keys == [("sk-ant-canary", None)] * 2 + [(None, "Bearer sk-upstream-canary")]


def test_every_model_of_a_batch_must_be_allowed(passing: Gateway, upstream: Scripted) -> None:
    upstream.seen.clear()
    answers(upstream, {"id": "b", "type": "message_batch"})
    url, headers = passing.v1 + "/messages/batches", {"x-api-key": "sk-small", "anthropic-version": "2023-06-01"}

    def ask(*models: str) -> httpx.Response:
        requests = [{"custom_id": str(n), "params": {"model": model}} for n, model in enumerate(models)]
        return httpx.post(url, json={"requests": requests}, headers=headers)

    assert ask("haiku", "claude-3-7-sonnet-20250219").status_code == 403
    assert ask("haiku", "haiku").status_code == 200
    [seen] = upstream.seen
    assert [each["params"]["model"] for each in seen.json["requests"]] == ["claude-3-7-sonnet-20250219"] * 2
    body = '{"metadata": {"model": "haiku"}, "model": "gpt-image-1"}'
    with pytest.raises(PermissionDeniedError):
        OpenAI(base_url=passing.v1, api_key="sk-small", max_retries=0).post(
            "/images/generations", body=json.loads(body), cast_to=object
        )


def test_a_message_batch_is_booked_by_its_results_once(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    message = {"model": "claude-3-7-sonnet-20250219", "usage": {"input_tokens": 100, "output_tokens": 10}}
    told = {"custom_id": "a", "result": {"type": "succeeded", "message": message}}
    failed = {"custom_id": "b", "result": {"type": "expired"}}
    results = b"\n".join(json.dumps(line).encode() for line in (told, failed, told))
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}

    def plays(wire: Wire, seen: Seen) -> None:
        if seen.method == "POST":
            return wire.whole(json.dumps(batch).encode())
        return wire.whole(results, content_type="application/x-jsonl")

    upstream.says(plays)
    url, headers = passing.v1 + "/messages/batches", {"x-api-key": "sk-search", "anthropic-version": "2023-06-01"}
    asked = {"requests": [{"custom_id": "a", "params": {"model": "claude-3-7-sonnet-20250219"}}]}
    assert httpx.post(url, json=asked, headers=headers).status_code == 200
    for _ in range(2):
        assert httpx.get(url + "/msgbatch_1/results", headers=headers).content == results
    rows = booked(3)
    assert [row[1] for row in rows] == [0, 200, 0]
    assert [row[2] for row in rows] == [0, 2 * (100 * 3000 + 10 * 15000), 0]
    assert [row[3] for row in rows] == [False] * 3


def test_results_of_a_message_batch_are_fetched_through_the_gateway(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    """Anthropic's SDK asks the address in `results_url`, with its key: the gateway's, not the provider's own."""
    message = {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-3-7-sonnet-20250219", "content": [],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 10},
    }  # fmt: skip
    line = json.dumps({"custom_id": "a", "result": {"type": "succeeded", "message": message}}).encode()
    moment = "2026-11-28T09:00:00Z"
    batch = {"id": "msgbatch_2", "type": "message_batch", "processing_status": "ended", "created_at": moment,
             "results_url": "http://provider.invalid/v1/messages/batches/msgbatch_2/results"}  # fmt: skip

    def plays(wire: Wire, seen: Seen) -> None:
        if seen.path.endswith("/results"):
            return wire.whole(line + b"\n" + line, content_type="application/x-jsonl")
        page = {"data": [batch], "has_more": False, "first_id": None, "last_id": None}
        return wire.whole(json.dumps(page if seen.path.endswith("/batches") else batch).encode())

    upstream.says(plays)
    sdk = Anthropic(base_url=passing.url, api_key="sk-search", max_retries=0)
    assert [each.custom_id for each in sdk.messages.batches.results("msgbatch_2")] == ["a", "a"]
    [listed] = sdk.messages.batches.list().data
    assert listed.results_url == "/v1/messages/batches/msgbatch_2/results"
    assert [row[2] for row in booked(3)] == [0, 2 * (100 * 3000 + 10 * 15000), 0]


def run(status: str, id_: str = "run_1") -> dict[str, object]:
    told = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    usage = told if status == "completed" else None
    return {"id": id_, "object": "thread.run", "status": status, "model": "gpt-4o-mini", "usage": usage}


def streams_run(*statuses: str):
    def says(wire: Wire, seen: Seen) -> None:
        if seen.method == "GET":
            return wire.whole(json.dumps(run("completed")).encode())
        wire.open_stream()
        for status in statuses:
            wire.chunk(b"event: thread.run.%b\ndata: %b\n\n" % (status.encode(), json.dumps(run(status)).encode()))
            step = {"id": "step_1", "object": "thread.run.step", "usage": None, "note": "thread.run"}
            wire.chunk(b"event: thread.run.step.completed\ndata: %b\n\n" % json.dumps(step).encode())
        wire.chunk(b"event: done\ndata: [DONE]\n\n")
        return wire.end()

    return says


def test_a_streamed_run_is_booked_once_by_the_event_that_ends_it(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    """One that stops for the output of tools goes on in another stream; who reads it later pays nothing."""
    path = passing.v1 + "/threads/thread_1/runs"
    key = {"authorization": "Bearer sk-search"}
    body = {"assistant_id": "asst_1", "stream": True}
    upstream.says(streams_run("created", "requires_action"))
    assert httpx.post(path, json=body, headers=key).status_code == 200
    upstream.says(streams_run("created", "completed"))
    assert httpx.post(path + "/run_1/submit_tool_outputs", json=body, headers=key).status_code == 200
    assert httpx.get(path + "/run_1", headers=key).json()["usage"] is not None
    rows = booked(3)
    assert [row[1:4] for row in rows] == [(0, 0, False), (1000, PRICE, False), (0, 0, False)]
    assert (rows[0][4], rows[1][0], rows[2][4]) == ("deferred", "gpt-4o-mini", "free")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/files"), ("POST", "/images/generations"), ("DELETE", "/responses/resp_1")]
)
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_a_team_without_passthrough_is_told_what_it_may_use(
    passing: Gateway, method: str, path: str, wire: str
) -> None:
    version = {"anthropic-version": "2023-06-01"} if wire == "anthropic" else {}
    headers = {"authorization": "Bearer sk-closed", **version}
    answer = httpx.request(method, passing.v1 + path, headers=headers)
    told = answer.json()
    assert answer.status_code == 403
    assert "POST /v1/chat/completions" in told["error"]["message"]
    if wire == "openai":
        assert told["error"]["code"] == "operation_not_allowed"
    else:
        assert (told["type"], told["error"]["type"]) == ("error", "permission_error")


def test_a_team_without_passthrough_has_what_is_read(passing: Gateway, upstream: Scripted) -> None:
    answers(upstream, response("completed", background=False, id="resp_4"))
    sdk = OpenAI(base_url=passing.v1, api_key="sk-closed", max_retries=0)
    assert sdk.responses.create(model="gpt-4o-mini", input="x").status == "completed"
    assert sdk.models.list().data


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/audio/transcriptions", b"Hello there", 200),
        ("POST", "/files/abc/closed", b"", 200),
        ("POST", "/files/abc/closed", b"", 204),
        ("OPTIONS", "/files", b"<p>", 200),
    ],
)
def test_what_is_called_a_page_and_is_none_passes(
    passing: Gateway, upstream: Scripted, method: str, path: str, body: bytes, status: int
) -> None:
    """whisper.cpp's server answers `response_format=text` as `text/html`; frameworks call an empty body so."""
    upstream.says(lambda wire, _: wire.whole(body, status, content_type="text/html; charset=utf-8"))
    headers = {"authorization": "Bearer sk-search"}
    answer = httpx.request(method, passing.v1 + path, headers=headers, content=b"{}", timeout=60)
    assert (answer.status_code, answer.content) == (status, body)


def speak(sdk: OpenAI, model: str, text: str) -> bytes:
    return sdk.audio.speech.create(model=model, voice="alloy", input=text).read()


def test_speech_costs_what_its_characters_do(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    """15 USD a million in the catalogue, 7.50 of one's own; a character is a code point."""
    upstream.says(lambda wire, seen: wire.whole(b"\xff\xf3mp3", content_type=b"audio/mpeg"))
    sdk = client(passing)
    speak(sdk, "tts-1", "a" * 100)
    speak(sdk, "own-voice", "naïve 🙂")
    speak(sdk, "by-request", "any")
    speak(sdk, "gpt-4o-mini-tts", "costs tokens, and tells none")
    rows = booked(4)
    assert [row[2] for row in rows] == [100 * 15_000, 7 * 7_500, 2_000_000, None]
    assert [row[3] for row in rows] == [False, False, False, True]
    speak(sdk, "gpu-voice", "x")
    assert booked(5)[4][2], "the time it took"


def test_speech_is_refused_by_a_budget_that_its_characters_do_not_fit(passing: Gateway, upstream: Scripted) -> None:
    """400 characters of tts-1 are 0.006 USD: of 0.01 they fit once. What is refused reaches no provider."""
    upstream.says(lambda wire, seen: wire.whole(b"\xff\xf3mp3", content_type=b"audio/mpeg"))
    sdk = OpenAI(base_url=passing.v1, api_key="sk-loud", max_retries=0)
    speak(sdk, "tts-1", "a" * 400)
    before = len(upstream.seen)
    with pytest.raises(APIStatusError) as refused:
        speak(sdk, "tts-1", "a" * 400)
    assert refused.value.status_code == 402
    assert len(upstream.seen) == before
    speak(sdk, "tts-1", "a" * 200)


def test_images_cost_by_number_size_and_quality(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    upstream.says(lambda wire, seen: wire.whole(b'{"created": 1, "data": [{"url": "https://x.test/a.png"}]}'))
    sdk = client(passing)
    sdk.images.generate(model="dall-e-3", prompt="a road")
    sdk.images.generate(model="dall-e-3", prompt="a road", size="1792x1024", quality="standard")
    sdk.images.generate(model="dall-e-3", prompt="a road", quality="hd", n=2)
    sdk.images.generate(model="dall-e-3", prompt="a road", size="1792x1024", quality="hd")
    sdk.images.generate(model="dall-e-2", prompt="nobody has written its price down")
    assert [row[2] for row in booked(5)] == [40_000_000, 80_000_000, 160_000_000, 120_000_000, None]


def test_a_transcript_costs_what_its_audio_lasts(passing: Gateway, upstream: Scripted, booked: Booked) -> None:
    """By `usage` of today's answers, by `duration` of `verbose_json`; who tells neither has no known cost."""
    told = [
        {"text": "a", "usage": {"type": "duration", "seconds": 90}},
        {"task": "transcribe", "language": "english", "duration": 8.5, "text": "a", "segments": []},
        {"text": "a"},
        {"text": "a", "usage": {"type": "duration", "seconds": 90}},
    ]
    answers(upstream, *told)
    sdk = client(passing)
    for model in ("whisper-1", "own-ears", "own-ears", "own-ears"):
        sdk.audio.transcriptions.create(model=model, file=("a.wav", b"RIFF"))
    assert [row[2] for row in booked(4)] == [9_000_000, 425_000, None, 4_500_000]


def test_a_speech_that_breaks_is_booked_all_the_same_and_spend_shows_it(
    passing: Gateway, upstream: Scripted, booked: Booked
) -> None:
    def breaks(wire: Wire, seen: Seen) -> None:
        wire.head(content_type="audio/mpeg", content_length="1000")
        wire.send(b"half")
        wire.broken()

    upstream.says(breaks)
    headers = {"authorization": "Bearer sk-search", "x-tollway-tags": "what=broken"}
    with pytest.raises(httpx.HTTPError):
        httpx.post(passing.v1 + "/audio/speech", json={"model": "tts-1-hd", "input": "a" * 50}, headers=headers)
    [row] = booked(1)
    assert row[2:4] == (50 * 30_000, False)
    shown = passing.spend("--by", "model")
    [line] = [each for each in shown["rows"] if "tts-1-hd" in json.dumps(each)]
    assert "0.0015" in json.dumps(line)
