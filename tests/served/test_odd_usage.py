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
from tests.support.served import Gateway, configuration, wait_for

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
def odd(upstream: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("odd")
    path = data / "gateway.yaml"
    path.write_text(yaml.safe_dump(configuration(upstream.url, data)))
    gateway = Gateway(path)
    yield gateway
    assert gateway.stop() == 0


def booked(gateway: Gateway, path: str, **body: object) -> tuple[int, int, int, bool]:
    """Input and output tokens, nano-dollars and whether they are estimated, of one request."""
    headers = {"authorization": "Bearer sk-search"}
    messages = [{"role": "user", "content": "Hi"}]
    asked = {"max_tokens": 9, "messages": messages, **body}
    with httpx.stream("POST", gateway.v1 + path, json=asked, headers=headers, timeout=60) as answer:
        list(answer.iter_raw())
    query = "SELECT input_tokens, output_tokens, cost_nanos, estimated FROM events WHERE request_id = ?"

    def row() -> tuple[int, int, int, bool] | None:
        try:
            with closing(sqlite3.connect(f"file:{gateway.data}/tollway.db?mode=ro", uri=True)) as books:
                return books.execute(query, (answer.headers["x-request-id"],)).fetchone()
        except sqlite3.OperationalError:
            return None

    found = wait_for(row, "the ledger")
    assert isinstance(found, tuple)
    return (*found[:3], bool(found[3]))


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
