"""A provider asked straight and through the gateway: the same call must give the same bytes, objects and header fields.

The provider is the mock with its rich answers, which hold every item, block, event and field that the SDKs know and
some that none knows. Both gateways of a team without guardrails and of one whose rules find nothing are asked.
"""

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from pydantic import BaseModel

from tests.support.guarded import Guarded, guarded_gateway
from tests.support.served import Process, configuration

RICH, CLAUDE = "mock-rich", "claude-rich"
KEPT_BACK = {
    *("openai-organization", "openai-project", "anthropic-organization-id"),
    *("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    "anthropic-ratelimit-requests-limit",
    *("cf-ray", "server", "set-cookie", "strict-transport-security", "alt-svc", "x-content-type-options", "via"),
}
"""The provider's fields that do not reach the client: its account, its limits, what is between it and the gateway."""
OF_THE_HOP = {"connection", "date", "keep-alive", "transfer-encoding", "content-length"}
OWN = re.compile(r"x-request-id|x-tollway-[a-z-]+|x-ratelimit-[a-z-]+|x-accel-buffering")
"""Fields that the gateway adds."""
_SERIAL = re.compile(rb"mock\d{8}")


class City(BaseModel):
    name: str
    people: int


def _parameters() -> dict:
    return {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


NAMES = ("weather", "news")
CHAT_TOOLS = [{"type": "function", "function": {"name": name, "parameters": _parameters()}} for name in NAMES]
FLAT_TOOLS = [{"type": "function", "name": name, "parameters": _parameters(), "strict": False} for name in NAMES]
CLAUDE_TOOLS = [{"name": name, "input_schema": _parameters()} for name in NAMES]
HELLO = [{"role": "user", "content": "Hello, wie geht's? \u2713"}]
CHAT = {"model": RICH, "messages": HELLO}
CLAUDES = {"model": CLAUDE, "messages": HELLO, "max_tokens": 20}
USAGE = {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": True}}
BODIES: dict[str, tuple[str, dict]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat-tools": ("/v1/chat/completions", {**CHAT, "tools": CHAT_TOOLS, "n": 2, "x_future": [1.0, None, {"a": 1e3}]}),
    "chat-stream": ("/v1/chat/completions", {**CHAT, **USAGE}),
    "chat-stream-tools": ("/v1/chat/completions", {**CHAT, **USAGE, "tools": CHAT_TOOLS, "n": 2}),
    "chat-stream-silent": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "completions": ("/v1/completions", {"model": RICH, "prompt": "Once"}),
    "completions-stream": ("/v1/completions", {"model": RICH, "prompt": ["Once", "Twice"], **USAGE}),
    "responses": ("/v1/responses", {"model": RICH, "input": "Hi", "previous_response_id": "resp_1", "store": True}),
    "responses-tools": ("/v1/responses", {"model": RICH, "input": HELLO, "tools": FLAT_TOOLS}),
    "responses-stream": ("/v1/responses", {"model": RICH, "input": "Hi", "stream": True}),
    "responses-stream-tools": ("/v1/responses", {"model": RICH, "input": HELLO, "stream": True, "tools": FLAT_TOOLS}),
    "embeddings": ("/v1/embeddings", {"model": RICH, "input": ["one", "two"], "encoding_format": "base64"}),
    "embeddings-float": ("/v1/embeddings", {"model": RICH, "input": [1, 2, 3], "dimensions": 8}),
    "moderations": ("/v1/moderations", {"model": RICH, "input": ["VIOLENT", "calm"]}),
    "images": ("/v1/images/generations", {"model": RICH, "prompt": "a road", "n": 2}),
    "messages": ("/v1/messages", CLAUDES),
    "messages-tools": ("/v1/messages", {**CLAUDES, "tools": CLAUDE_TOOLS, "thinking": {"type": "adaptive"}}),
    "messages-stream": ("/v1/messages", {**CLAUDES, "stream": True}),
    "messages-stream-tools": ("/v1/messages", {**CLAUDES, "stream": True, "tools": CLAUDE_TOOLS}),
    "count-tokens": ("/v1/messages/count_tokens", {"model": CLAUDE, "messages": HELLO}),
}
STREAMED = {name for name, (_, body) in BODIES.items() if body.get("stream")}
REPEATED = {"type", "format", "signature"}
"""Members that come with every piece of a text."""
NO_TEXT = {"embeddings-float"}
"""Requests that rules cannot read."""
SENT = {
    "accept": "application/json",
    "user-agent": "OpenAI/Python 3.1",
    "x-stainless-lang": "python",
    "x-stainless-retry-count": "0",
    "idempotency-key": "stainless-1",
    "openai-beta": "assistants=v2",
    "anthropic-beta": "a-1,b-2",
    "x-request-id": "mine-1",
}


class Both:
    """The provider, and the gateway in front of it."""

    def __init__(self, mock: Process, gateway: Guarded) -> None:
        self.mock = mock
        self.gateway = gateway
        self.http = httpx.Client()

    def ask(self, team: str, method: str, path: str, **sent: Any) -> tuple[httpx.Response, httpx.Response]:
        """The answers to one request, sent straight and through the gateway as `team`."""
        keys = {"authorization": f"Bearer sk-{team}", "anthropic-version": "2023-06-01"} | sent.pop("headers", {})
        straight = self.http.request(method, self.mock.url + path, headers=keys, **sent)
        return straight, self.http.request(method, self.gateway.url + path, headers=keys, **sent)

    def arrived(self) -> dict:
        """The last request that the provider got."""
        return self.http.get(self.mock.url + "/last").json()


@pytest.fixture(scope="module")
def both(mock: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    data = tmp_path_factory.mktemp("transparent")
    models = configuration(mock.url, data)["models"]
    models["claude-*"] = {"targets": [{"provider": "mock-anthropic", "model": "claude-*"}]}
    gateway = guarded_gateway(mock.url, data, models=models)
    asked = Both(mock, gateway)
    yield asked
    asked.http.close()
    gateway.stop()


@pytest.fixture(params=["free", "answers", "masked"])
def team(request: pytest.FixtureRequest) -> str:
    """Without guardrails, with rules for answers, and with rules for both ways; none of them finds anything here."""
    return request.param


def same(body: bytes) -> bytes:
    """A body without the serial numbers of the provider's answers."""
    return _SERIAL.sub(b"mock#", body)


def fields(answer: httpx.Response) -> list[tuple[str, str]]:
    """Header fields that are neither of the hop nor the gateway's own."""
    return sorted((n, v) for n, v in answer.headers.multi_items() if n not in OF_THE_HOP and not OWN.fullmatch(n))


def told(body: bytes) -> tuple[dict[tuple, str], list]:
    """What a stream says, however it is cut into events: each growing text, and all else that it tells."""
    texts: dict[tuple, str] = defaultdict(str)
    others: list = []
    for block in same(body).decode().split("\n\n")[:-1]:
        data = block.split("data: ", 1)[1]
        event = {} if data == "[DONE]" else json.loads(data)
        event.pop("sequence_number", None)
        if "delta" in event:
            place = [event.get(name) for name in ("type", "index", "output_index", "content_index", "summary_index")]
            _gather(event["delta"], tuple(place), texts)
        elif choices := event.get("choices"):
            for choice in choices:
                _gather(choice.get("delta", choice.get("text")), (choice["index"],), texts)
                others += [choice] if choice["finish_reason"] else []
        else:
            others.append(event or data)
    return dict(texts), others


def _gather(value: Any, place: tuple, texts: dict[tuple, str]) -> None:
    if isinstance(value, str):
        texts[place] += value if place[-1] not in REPEATED else ""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        _gather(item, (*place, key), texts)


@pytest.mark.parametrize("case", BODIES)
def test_bytes_and_header_fields_are_the_same(both: Both, team: str, case: str) -> None:
    path, body = BODIES[case]
    straight, through = both.ask(team, "POST", path, json=body)
    if team == "masked" and case in NO_TEXT:
        assert through.json()["error"]["code"] == "guardrail_cannot_read"
        return
    assert through.status_code == straight.status_code == 200
    got = same(through.content)
    if case == "chat-stream-silent":
        # The provider is asked for usage in any case, and then says in every chunk that it is not there yet.
        got = got.replace(b',"usage":null', b"")
    if team != "free" and case in STREAMED:
        # Rules hold back the end of a text until they know what it is.
        assert told(got) == told(straight.content)
    else:
        assert got == same(straight.content)
    expected = [pair for pair in fields(straight) if pair[0] not in KEPT_BACK]
    assert fields(through) == expected
    assert {name for name, _ in expected} >= {"content-type", "openai-version", "openai-processing-ms", "request-id"}


@pytest.mark.parametrize("case", [name for name in BODIES if name not in ("embeddings-float", "images")])
def test_what_the_provider_gets_is_what_was_sent(both: Both, case: str) -> None:
    path, body = BODIES[case]
    both.ask("free", "POST", path, json=body, headers=SENT)
    through = both.arrived()
    both.http.post(both.mock.url + path, json=body, headers={**SENT, "anthropic-version": "2023-06-01"})
    straight = both.arrived()
    asked = json.loads(json.dumps(through["body"]))
    if case == "chat-stream-silent":
        assert asked.pop("stream_options") == {"include_usage": True}
        assert asked == straight["body"]
    else:
        assert through["sha256"] == straight["sha256"]
    assert (through["path"], through["query"]) == (straight["path"], straight["query"])
    own = {
        "host",
        "cookie",
        "authorization",
        "x-api-key",
        "connection",
        "accept-encoding",
        "content-length",
        "traceparent",
    }
    for name in straight["headers"].keys() - own:
        assert through["headers"][name] == straight["headers"][name], name


@pytest.mark.parametrize("case", ["responses-stream-tools", "chat-stream-tools", "messages-stream-tools"])
def test_what_a_rule_finds_in_a_prompt_changes_nothing_else(both: Both, case: str) -> None:
    path, body = BODIES[case]
    asked = json.loads(json.dumps(body).replace("Hello", "jane.doe@example.com"))
    straight, through = both.ask("masked", "POST", path, json=asked)
    assert "jane.doe" not in json.dumps(both.arrived()["body"])
    got, expected = told(through.content), told(straight.content)
    assert got[0] == expected[0]
    assert through.headers["x-tollway-guardrails"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("error", ["e429", "e500", "e503", "e529"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_providers_error_is_the_clients(both: Both, team: str, path: str, error: str, stream: bool) -> None:
    model = ("claude-" if path == "/v1/messages" else "mock-") + error
    asked = {"model": model, "max_tokens": 9, "stream": stream, "messages": HELLO, "input": "Hi"}
    straight, through = both.ask(team, "POST", path, json=asked)
    assert (through.status_code, through.content) == (straight.status_code, straight.content)
    assert fields(through) == fields(straight)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("way", ["errorevent", "crlf", "cr", "bytewise", "trailers", "http10", "early", "gzip"])
def test_a_stream_is_the_same_however_it_is_sent_and_if_the_provider_ends_it(both: Both, path: str, way: str) -> None:
    model = ("claude-" if path == "/v1/messages" else "mock-") + way
    options = {"stream_options": {"include_usage": True}} if "chat" in path else {}
    asked = {"model": model, "max_tokens": 9, "stream": True, "messages": HELLO, "input": "Hi", **options}
    straight, through = both.ask("free", "POST", path, json=asked)
    if way == "gzip":
        # Asked for identity, this provider compresses all the same: an event could not be passed on when it comes.
        assert through.status_code == 502
        return
    # A byte order mark is left out, because SDKs lose the first event to it.
    expected = same(straight.content).removeprefix(b"\xef\xbb\xbf")
    assert (through.status_code, same(through.content)) == (straight.status_code, expected)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o", "/v1/models/nobody", "/v1/files/file-1"])
def test_head_is_get_without_its_content(both: Both, path: str) -> None:
    """RFC 9110 section 9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content"."""
    key = {"authorization": "Bearer sk-free"}
    got = both.http.get(both.gateway.url + path, headers=key)
    head = both.http.head(both.gateway.url + path, headers=key)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert fields(head) == fields(got)
    if "files" not in path:
        # Error bodies differ in nothing but the request's id, which is always as long.
        assert head.headers["content-length"] == got.headers["content-length"]


# -- what the SDKs make of it ------------------------------------------------------------------------------------------


def _dumped(value: Any) -> Any:
    """Objects of an SDK as plain values, without serial numbers."""
    if isinstance(value, BaseModel):
        return json.loads(_SERIAL.sub(b"mock#", value.model_dump_json(warnings=False).encode()))
    if isinstance(value, list | tuple):
        return [_dumped(item) for item in value]
    return value


def _chat_stream(client: OpenAI) -> Any:
    events = list(client.chat.completions.create(**CHAT, tools=CHAT_TOOLS, n=2, stream=True))
    state = ChatCompletionStreamState()
    for event in events:
        state.handle_chunk(event)
    return events, state.get_final_completion()


def _chat_helper(client: OpenAI) -> Any:
    with client.chat.completions.stream(**CHAT, tools=CHAT_TOOLS) as stream:
        return [event.type for event in stream], stream.get_final_completion()


def _responses_stream(client: OpenAI) -> Any:
    events = list(client.responses.create(model=RICH, input="Hi", tools=FLAT_TOOLS, stream=True))
    return events, events[-1].response


def _responses_helper(client: OpenAI) -> Any:
    with client.responses.stream(model="mock-plain", input="Hi") as stream:
        return list(stream), stream.get_final_response()


OPENAI: dict[str, Callable[[OpenAI], Any]] = {
    "chat": lambda c: c.chat.completions.create(**CHAT, tools=CHAT_TOOLS),
    "chat-parse": lambda c: c.chat.completions.parse(model="mock-plain", messages=HELLO, response_format=City),
    "completions": lambda c: c.completions.create(model=RICH, prompt="Once"),
    "responses": lambda c: c.responses.create(model=RICH, input="Hi", previous_response_id="resp_1"),
    "responses-parse": lambda c: c.responses.parse(model="mock-plain", input="Hi", text_format=City),
    "responses-retrieve": lambda c: c.responses.retrieve("resp_1", include=["reasoning.encrypted_content"]),
    "responses-cancel": lambda c: c.responses.cancel("resp_1"),
    "responses-delete": lambda c: c.responses.delete("resp_1"),
    "responses-items": lambda c: c.responses.input_items.list("resp_1", limit=3),
    "embeddings": lambda c: c.embeddings.create(model=RICH, input=["one", "two"]),
    "moderations": lambda c: c.moderations.create(model=RICH, input="VIOLENT"),
    "images": lambda c: c.images.generate(model=RICH, prompt="a road"),
    "speech": lambda c: c.audio.speech.create(model=RICH, voice="alloy", input="hi").read(),
    "transcription": lambda c: c.audio.transcriptions.create(model=RICH, file=("a.wav", b"RIFF")).text,
    "files": lambda c: list(c.files.list()),
    "file": lambda c: c.files.retrieve("file-1"),
    "file-content": lambda c: c.files.content("file-1", extra_query={"bytes": "70000"}).read(),
    "file-delete": lambda c: c.files.delete("file-1"),
    "file-upload": lambda c: c.files.create(file=("a.jsonl", b'{"a": 1}\n'), purpose="batch").bytes > 8,
    "batch": lambda c: c.batches.retrieve("batch_1"),
    "batch-cancel": lambda c: c.batches.cancel("batch_1"),
    "conversation": lambda c: c.conversations.retrieve("conv_1"),
    "vector-store": lambda c: c.vector_stores.retrieve("vs_1"),
    "background": lambda c: c.responses.create(model=RICH, input="Hi", background=True),
    "fine-tuning": lambda c: c.fine_tuning.jobs.retrieve("ftjob-1"),
}


OPENAI_STREAMS: dict[str, Callable[[OpenAI], Any]] = {
    "chat": _chat_stream,
    "chat-helper": _chat_helper,
    "responses": _responses_stream,
    "responses-helper": _responses_helper,
}
NOT_JSON = {"speech", "transcription", "file-content", "file-upload"}
"""Calls that rules of both ways cannot read, and those of answers only where the answer is no JSON."""


def _messages_helper(client: Anthropic) -> Any:
    with client.messages.stream(**CLAUDES, tools=CLAUDE_TOOLS) as stream:
        return list(stream), stream.get_final_message()


def _beta_helper(client: Anthropic) -> Any:
    with client.beta.messages.stream(**CLAUDES, tools=CLAUDE_TOOLS, betas=["x-1"]) as stream:
        return list(stream), stream.get_final_message()


ANTHROPIC: dict[str, Callable[[Anthropic], Any]] = {
    "messages": lambda c: c.messages.create(**CLAUDES, tools=CLAUDE_TOOLS),
    "beta": lambda c: c.beta.messages.create(**CLAUDES, betas=["context-1m-2025-08-07"]),
    "count-tokens": lambda c: c.messages.count_tokens(model=CLAUDE, messages=HELLO),
    "file": lambda c: c.beta.files.retrieve_metadata("file-1"),
    "batch": lambda c: c.messages.batches.retrieve("msgbatch_1"),
    "batch-cancel": lambda c: c.messages.batches.cancel("msgbatch_1"),
}


ANTHROPIC_STREAMS: dict[str, Callable[[Anthropic], Any]] = {"helper": _messages_helper, "beta-helper": _beta_helper}


@cache
def _openai(url: str, team: str) -> OpenAI:
    return OpenAI(base_url=url + "/v1", api_key=f"sk-{team}", max_retries=0)


@cache
def _anthropic(url: str, team: str) -> Anthropic:
    return Anthropic(base_url=url, api_key=f"sk-{team}", max_retries=0)


@pytest.mark.parametrize("case", OPENAI)
def test_the_openai_sdk_sees_the_same_objects(both: Both, team: str, case: str) -> None:
    call = OPENAI[case]
    if case in NOT_JSON and team != "free":
        with contextlib.suppress(openai.APIStatusError):
            assert _dumped(call(_openai(both.gateway.url, team))) == _dumped(call(_openai(both.mock.url, team)))
            assert team == "answers"
        return
    assert _dumped(call(_openai(both.gateway.url, team))) == _dumped(call(_openai(both.mock.url, team)))


@pytest.mark.parametrize("case", OPENAI_STREAMS)
def test_the_openai_sdk_sees_the_same_streams(both: Both, team: str, case: str) -> None:
    call = OPENAI_STREAMS[case]
    _compare(call(_openai(both.gateway.url, team)), call(_openai(both.mock.url, team)), team)


@pytest.mark.parametrize("case", ANTHROPIC)
def test_the_anthropic_sdk_sees_the_same_objects(both: Both, team: str, case: str) -> None:
    call = ANTHROPIC[case]
    assert _dumped(call(_anthropic(both.gateway.url, team))) == _dumped(call(_anthropic(both.mock.url, team)))


@pytest.mark.parametrize("case", ANTHROPIC_STREAMS)
def test_the_anthropic_sdk_sees_the_same_streams(both: Both, team: str, case: str) -> None:
    call = ANTHROPIC_STREAMS[case]
    _compare(call(_anthropic(both.gateway.url, team)), call(_anthropic(both.mock.url, team)), team)


def _compare(through: Any, straight: Any, team: str) -> None:
    """Without rules that hold back texts, every event; in any case what they add up to, where log-probabilities of
    texts that were held back are left out."""
    if team == "free":
        assert _dumped(through) == _dumped(straight)
        return
    got, expected = _dumped(through[1]), _dumped(straight[1])
    for choice in (*got.get("choices", ()), *expected.get("choices", ())):
        del choice["logprobs"]
    assert got == expected
