"""Addresses in a provider's answers lead back to the gateway, and nothing else in them is touched."""

import asyncio
import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.homeward import MOST, changed, led_home
from gateway.seams import Headers

HOME = "/v1/messages/batches/msgbatch_1/results"
JSON = [(b"content-type", b"application/json"), (b"content-length", b"9")]


class Answer:
    """A provider's answer, in pieces."""

    def __init__(self, pieces: list[bytes], status: int = 200, headers: Headers = JSON) -> None:
        self.status = status
        self.headers = headers
        self.complete = False
        self.closed = False
        self._pieces = pieces

    async def chunk(self, before: float | None = None) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def whole(self) -> bytes | None:
        return None

    def offer(self, relay: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def read(path: str, answer: Answer) -> tuple[bytes, Headers]:
    async def all_of_it() -> bytes:
        pieces = []
        while piece := await response.chunk(None):
            pieces.append(piece)
        return b"".join(pieces)

    response = led_home(path, answer)
    body = asyncio.run(all_of_it())
    response.close()
    assert answer.closed
    return body, response.headers


_BASES = st.sampled_from(["https://api.anthropic.com/v1", "http://127.0.0.1:9/v1", "https://p.example/anthropic/v1"])


@given(_BASES, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_results_are_at_the_gateway_however_the_answer_is_cut(
    base: str, cut: int, indent: int | None, escaped: bool
) -> None:
    """The client is told a path: it is joined to the base URL that it has."""
    batch = {"id": "b", "results_url": f"{base}/messages/batches/msgbatch_1/results", "ended_at": None}
    sent = json.dumps({"data": [batch, {**batch, "results_url": None}]}, indent=indent)
    body = (sent.replace("/", "\\/") if escaped else sent).encode()
    pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
    got, headers = read("/v1/messages/batches", Answer(pieces))
    assert json.loads(got)["data"] == [{**batch, "results_url": HOME}, {**batch, "results_url": None}]
    assert b"content-length" not in dict(headers)


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
def test_nothing_else_is_touched(value: object) -> None:
    for text in (value, {"note": f'"results_url": "https://x/messages/batches/y/results" {value}'}):
        body = json.dumps(text).encode()
        assert changed(body) == body


def test_other_answers_are_as_they_came() -> None:
    for path, answer in (
        ("/v1/messages/batcheses", Answer([b"x"])),
        ("/v1/files", Answer([b"x"])),
        ("/v1/messages/batches/b", Answer([b"x"], status=404)),
        ("/v1/messages/batches/b/results", Answer([b"x"], headers=[(b"content-type", b"application/x-jsonl")])),
        ("/v1/messages/batches/b", Answer([b"x"], headers=[*JSON, (b"content-encoding", b"gzip")])),
    ):
        assert led_home(path, answer) is answer


def test_an_answer_too_large_to_be_held_goes_on() -> None:
    pieces = [b"x" * (MOST // 2)] * 5
    assert len(read("/v1/messages/batches", Answer(list(pieces)))[0]) == sum(map(len, pieces))
