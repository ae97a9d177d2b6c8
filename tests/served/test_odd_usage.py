"""Usage that a provider tells in an odd way is booked all the same, or estimated and flagged: never lost."""

import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
import yaml

from tests.support.scripted import Play, Scripted, scripted, streamed, unary
from tests.support.served import Gateway, Process, configuration, wait_for

ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}  # fmt: skip
TOLD = {"prompt_tokens": 1000, "completion_tokens": 100}
PRICE = 1000 * 150 + 100 * 600
BODY = json.dumps({**ANSWER, "usage": TOLD}).encode()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="module")
def odd(upstream: Scripted, mock: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("odd")
    path = data / "gateway.yaml"
    config = configuration(upstream.url, data)
    config["providers"]["spare"] = {"dialect": "openai", "base_url": mock.url + "/v1"}
    config["models"]["spare"] = {"targets": [{"provider": "spare", "model": "gpt-4o-mini"}]}
    config["models"]["backed"] = {**config["models"]["gpt-4o-mini"], "fallbacks": ["spare"]}
    for provider in config["providers"].values():
        provider["breaker"] = "off"
    path.write_text(yaml.safe_dump(config))
    gateway = Gateway(path)
    yield gateway
    assert gateway.stop() == 0


def ask(gateway: Gateway, model: str = "gpt-4o-mini", *, stream: bool = False) -> httpx.Response:
    asked = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    headers = {"authorization": "Bearer sk-search"}
    return httpx.post(gateway.v1 + "/chat/completions", json=asked, headers=headers, timeout=60)


def booked(gateway: Gateway, path: str, **body: object) -> tuple[int, int, int, bool]:
    """Input and output tokens, nano-dollars and whether they are estimated, of one request."""
    headers = {"authorization": "Bearer sk-search"}
    messages = [{"role": "user", "content": "Hi"}]
    asked = {"max_tokens": 9, "messages": messages, **body}
    with httpx.stream("POST", gateway.v1 + path, json=asked, headers=headers, timeout=60) as answer:
        list(answer.iter_raw())
    return row_of(gateway, answer)[:4]


def row_of(gateway: Gateway, answer: httpx.Response) -> tuple[int, int, int, bool, str]:
    """The same, and the outcome, of the request that got this answer."""
    query = "SELECT input_tokens, output_tokens, cost_nanos, estimated, outcome FROM events WHERE request_id = ?"

    def row() -> tuple[int, int, int, int, str] | None:
        try:
            with closing(sqlite3.connect(f"file:{gateway.data}/tollway.db?mode=ro", uri=True)) as books:
                return books.execute(query, (answer.headers["x-request-id"],)).fetchone()
        except sqlite3.OperationalError:
            return None

    found = wait_for(row, "the ledger")
    assert isinstance(found, tuple)
    return (*found[:3], bool(found[3]), found[4])


def told(gateway: Gateway, error: str) -> None:
    """Wait for the line of the log that names it."""
    wait_for(lambda: f'"error": "{error}"' in gateway.log.read_text(), f"the line that tells of {error}")


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("sent", "coding"),
    [
        (gzip.compress(BODY) + b"what follows is no member", "gzip"),
        (gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
    ],
    ids=["rest", "members", "zlib", "raw"],
)
def test_an_answer_is_read_through_its_coding(odd: Gateway, upstream: Scripted, sent: bytes, coding: str) -> None:
    """RFC 1952: "A gzip file consists of a series of members". Some send deflate without its head (RFC 9110)."""
    upstream.says(unary(sent, content_encoding=coding))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini") == (1000, 100, PRICE, False)


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_an_answer_that_cannot_be_read_is_told(odd: Gateway, upstream: Scripted, coding: str) -> None:
    """must-haves: "A model without a price is recorded with `cost = null` and counted in a metric, never as 0"."""
    upstream.says(unary(b"\x1b\x07no JSON", content_encoding=coding))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini") == (0, 0, None, False)
    assert upstream.last.headers["accept-encoding"] == "identity"
    told(odd, "CompressedAnswer")
    figures = httpx.get(odd.url + "/metrics").text
    assert 'tollway_upstream_failures_total{error="CompressedAnswer",provider="mock"}' in figures


def chat_stream(usage: dict[str, object]) -> Play:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    said = {**chunk, "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}]}
    events = [said, {**chunk, "choices": [], "usage": usage}]
    return streamed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n")


@pytest.mark.parametrize("usage", [{"prompt_tokens": 1000.0, "completion_tokens": "100"}])
def test_numbers_in_another_spelling_are_the_same_money(odd: Gateway, upstream: Scripted, usage: dict) -> None:
    upstream.says(unary({**ANSWER, "usage": usage}))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini") == (1000, 100, PRICE, False)
    upstream.says(chat_stream(usage))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini", stream=True) == (1000, 100, PRICE, False)


def test_a_prompt_that_is_not_told_is_estimated(odd: Gateway, upstream: Scripted) -> None:
    upstream.says(unary({**ANSWER, "usage": {"completion_tokens": 100}}))
    unary_row = booked(odd, "/chat/completions", model="gpt-4o-mini")
    upstream.says(chat_stream({"completion_tokens": 100}))
    for inputs, outputs, nanos, estimated in (
        unary_row,
        booked(odd, "/chat/completions", model="gpt-4o-mini", stream=True),
    ):
        assert inputs > 0
        assert (outputs, nanos, estimated) == (100, inputs * 150 + 100 * 600, True)


def test_zeros_beside_a_text_are_not_believed(odd: Gateway, upstream: Scripted) -> None:
    """Issue 2: "a provider's zero `cost` field is not trusted over its tokens"; nor are zero tokens over its text."""
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}
    upstream.says(unary({**ANSWER, "usage": usage}))
    unary_row = booked(odd, "/chat/completions", model="gpt-4o-mini")
    upstream.says(chat_stream(usage))
    streamed_row = booked(odd, "/chat/completions", model="gpt-4o-mini", stream=True)
    assert unary_row == streamed_row
    inputs, outputs, nanos, estimated = unary_row
    assert inputs > 0
    assert (outputs, nanos, estimated) == (1, inputs * 150 + 600, True)
    upstream.says(unary({"object": "list", "data": [{"embedding": [0.5]}], "usage": usage}))
    inputs, outputs, _, estimated = booked(odd, "/embeddings", model="text-embedding-3-small", input="Hello there")
    assert inputs > 0
    assert (outputs, estimated) == (0, True)


def test_zeros_beside_nothing_stay(odd: Gateway, upstream: Scripted) -> None:
    """A filter that let nothing out may well have cost nothing."""
    nothing = {**ANSWER, "choices": [{"index": 0, "message": {"role": "assistant", "content": None}}]}
    upstream.says(unary({**nothing, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini") == (0, 0, 0, False)


def test_a_start_that_cannot_be_read_does_not_make_the_prompt_free(odd: Gateway, upstream: Scripted) -> None:
    """Anthropic's `message_start` tells the prompt; the `message_delta` after it only what came out."""
    model = "claude-3-7-sonnet-20250219"
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "model": model,
                                              "usage": {"input_tokens": -1, "output_tokens": 1}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ]  # fmt: skip
    sent = [b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), json.dumps(event).encode()) for event in events]
    upstream.says(streamed(b"".join(sent)))
    inputs, outputs, _, estimated = booked(odd, "/messages", model=model, stream=True)
    assert inputs > 0
    assert (outputs, estimated) == (100, True)


@pytest.mark.parametrize(
    ("path", "model", "event"),
    [
        ("/chat/completions", "gpt-4o-mini", {"error": {"message": "overloaded", "type": "server_error"}}),
        ("/messages", "claude-3-7-sonnet-20250219", {"type": "error", "error": {"type": "overloaded_error"}}),
    ],
)
def test_a_stream_that_is_nothing_but_an_error_costs_nothing(
    odd: Gateway, upstream: Scripted, path: str, model: str, event: dict
) -> None:
    """must-haves: "Failed attempts are recorded with zero tokens"; so is a failure that comes as the first event."""
    upstream.says(streamed(b"event: error\ndata: %b\n\n" % json.dumps(event).encode()))
    assert booked(odd, path, model=model, stream=True) == (0, 0, 0, False)


def test_a_stream_that_nobody_asked_for_is_read_as_one(odd: Gateway, upstream: Scripted) -> None:
    """Its usage stands in its events; without one, what they say is counted."""
    upstream.says(chat_stream(TOLD))
    assert booked(odd, "/chat/completions", model="gpt-4o-mini") == (1000, 100, PRICE, False)
    upstream.says(chat_stream({}))
    inputs, outputs, _, estimated = booked(odd, "/chat/completions", model="gpt-4o-mini")
    assert inputs > 0
    assert (outputs, estimated) == (1, True)


PAGE = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
ERROR = {"error": {"code": 502, "message": "The model failed"}, "user_id": "u"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "play",
    [
        unary(PAGE, content_type="text/html"),
        unary(gzip.compress(PAGE), content_type="text/html", content_encoding="gzip"),
        unary(b"", content_type="application/json"),
        unary(PAGE * 200_000, content_type="text/html"),
    ],
    ids=["page", "compressed", "empty", "huge"],
)
def test_who_did_not_serve_is_not_billed(odd: Gateway, upstream: Scripted, play: Play, stream: bool) -> None:
    """must-haves: "502 upstream broke"; a portal's page with status 200 is no answer, and reached no model."""
    upstream.says(play)
    answer = ask(odd, stream=stream)
    assert answer.status_code == 502
    assert answer.json()["error"]["message"].startswith(
        "The provider 'mock' sent no answer of its API: it answered 200"
    )
    assert "Sign in" not in answer.text
    assert row_of(odd, answer) == (0, 0, 0, False, "upstream_error")
    assert ask(odd, stream=stream, model="backed").headers["x-tollway-provider"] == "spare"
    told(odd, "UnservedAnswer")


def test_an_error_with_status_200_is_an_error(odd: Gateway, upstream: Scripted) -> None:
    """Another target is tried; without one it is passed on as it came, and costs nothing."""
    upstream.says(ERROR)
    answer = ask(odd)
    assert (answer.status_code, answer.json()) == (200, ERROR)
    assert row_of(odd, answer) == (0, 0, 0, False, "upstream_error")
    assert ask(odd, model="backed").headers["x-tollway-provider"] == "spare"
    told(odd, "ErrorAnswer")


def test_a_page_in_place_of_what_is_passed_through(odd: Gateway, upstream: Scripted) -> None:
    """To a POST no provider answers with a page; a file that is read may be one."""
    upstream.says(unary(PAGE, content_type="text/html; charset=utf-8"))
    headers = {"authorization": "Bearer sk-search"}
    made = httpx.post(odd.v1 + "/images/generations", json={"model": "gpt-4o-mini"}, headers=headers, timeout=60)
    assert made.status_code == 502
    assert row_of(odd, made) == (0, 0, 0, False, "upstream_error")
    assert httpx.get(odd.v1 + "/files/f/content", headers=headers, timeout=60).content == PAGE


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_stream_under_another_content_type_is_read_as_one(odd: Gateway, upstream: Scripted, kind: str) -> None:
    """SDKs that asked for a stream do not look at its content type; a page is refused, and this is none."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    said = {**chunk, "choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}], "usage": TOLD}
    upstream.says(unary(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(said).encode(), content_type=kind))
    assert b"Hello" in ask(odd, stream=True).content
    assert booked(odd, "/chat/completions", model="gpt-4o-mini", stream=True) == (1000, 100, PRICE, False)
