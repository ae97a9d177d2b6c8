"""An answer's head and framing, on a transport that records: whole, streamed, bodiless, and with a line too many."""

import asyncio
from typing import Any

import pytest

from gateway.cycle import Cycle, Flow
from gateway.seams import Headers

DATE: Headers = [(b"date", b"today")]


class Wire:
    """A connection that records what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = self.aborted = False
        self.ends = 0
        self.transport: Any = self
        self.flow = Flow(self.transport)
        self.loop: Any = None

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> Any:
        return {"sockname": ("10.0.0.1", 8080), "peername": ("10.0.0.2", 51000)}.get(name)

    def answered(self) -> None:
        self.ends += 1

    def always(self) -> tuple[Headers, bytes]:
        return DATE, b"date: today\r\n"

    def abort(self) -> None:
        self.aborted = True


def cycle(method: str = "POST", body: bytes = b"{}", **state: object) -> tuple[Cycle, Wire]:
    """A cycle whose body was taken."""
    wire = Wire()
    made = Cycle(wire, method, "/v1/x", b"", [], len(body))
    made.feed(body)
    made.feed_end()
    assert made.taken() == body
    for name, value in state.items():
        setattr(made, name, value)
    return made, wire


BLOCK = b"content-type: text/plain\r\ncontent-length: 2\r\n"


def test_a_whole_answer_is_one_write() -> None:
    made, wire = cycle()
    assert made.reply(200, BLOCK, b"hi")
    assert wire.written == [b"HTTP/1.1 200 OK\r\ndate: today\r\n" + BLOCK + b"\r\nhi"]
    assert (made.response_complete, wire.ends, wire.closed) == (True, 1, False)


def test_a_streams_head_leaves_with_its_first_piece_and_its_end_with_its_last() -> None:
    made, wire = cycle()
    assert made.open(200, b"content-type: text/event-stream\r\n")
    assert wire.written == []
    assert made.push(b"data: 1\n\n")
    assert made.push(b"x", more=False)
    assert wire.written == [
        b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        b"9\r\ndata: 1\n\n\r\n",
        b"1\r\nx\r\n0\r\n\r\n",
    ]
    assert (made.response_complete, wire.ends) == (True, 1)


NOT_USUAL: dict[str, dict[str, Any]] = {
    "HEAD": {"method": "HEAD"},
    "a connection that closes": {"keep_alive": False},
    "HTTP/1.0": {"http10": True, "keep_alive": False},
    "a body that was not read": {"body_done": False},
}


@pytest.mark.parametrize("state", NOT_USUAL.values(), ids=NOT_USUAL)
async def test_what_is_not_the_usual_case_is_answered_the_long_way_and_framed_right(state: dict[str, Any]) -> None:
    """`reply`, `open`: "False: nothing was written"; `answer` and `head` then say how the body ends."""
    made, wire = cycle(**state)
    assert not made.reply(200, BLOCK, b"hi")
    assert not made.open(200, BLOCK)
    assert (wire.written, made.response_started) == ([], False)
    await made.answer(200, [(b"content-length", b"2")], b"hi")
    sent = b"".join(wire.written)
    assert sent.startswith(b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n")
    assert sent.endswith(b"\r\n\r\n" if state.get("method") == "HEAD" else b"\r\n\r\nhi")
    closes = state.get("method") != "HEAD"
    assert (b"connection: close\r\n" in sent, wire.closed) == (closes, closes)
    assert (made.response_complete, wire.ends) == (True, 1)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_not_given_one(status: int) -> None:
    made, wire = cycle()
    assert not made.reply(status, b"", b"")
    assert wire.written == []


async def test_http10_streams_end_with_the_connection() -> None:
    made, wire = cycle(http10=True, keep_alive=False)
    await made.head(200, [])
    made.push(b"one")
    made.push(b"two", more=False)
    assert b"".join(wire.written).endswith(b"connection: close\r\n\r\nonetwo")
    assert b"chunked" not in wire.written[0]
    assert wire.closed


def test_nobody_writes_while_the_clients_buffer_is_full() -> None:
    made, wire = cycle()
    wire.flow.pause_writing()
    assert not made.reply(200, BLOCK, b"hi")
    assert made.open(200, b"")
    assert not made.push(b"x")
    assert wire.written == []
    wire.flow.resume_writing()
    assert made.push(b"x")


def test_who_has_left_is_told_nothing() -> None:
    made, wire = cycle(disconnected=True)
    assert made.reply(200, BLOCK, b"hi")
    assert not made.open(200, b"")
    assert made.push(b"x")
    assert wire.written == []


@pytest.mark.parametrize(
    "injected",
    [
        b"x: a\r\rb\r\n",
        b"x: a\nb: c\r\n",
        b"x: a\rb: c\r\n",
        b"x: a\x00\r\n",
        b"x: a\n",
        b"x: a\n\r\n",
        b"\n",
        b"x: a\r",
    ],
)
async def test_a_header_that_holds_a_line_end_is_never_written(injected: bytes) -> None:
    """RFC 9110 section 5.5: CR, LF and NUL in field values are "invalid and dangerous"."""
    made, wire = cycle(keep_alive=False)
    with pytest.raises(ValueError, match="line end or NUL"):
        await made.answer(200, [(b"content-length", b"2"), (b"x", injected)], b"hi")
    assert wire.written == []


async def test_a_body_of_another_length_than_declared_is_a_defect() -> None:
    for body in (b"h", b"hii"):
        made, _ = cycle()
        await made.head(200, [(b"content-length", b"2")])
        with pytest.raises(RuntimeError, match="content-length"):
            made.push(body, more=False)


async def test_a_body_is_taken_only_when_all_of_it_is_there() -> None:
    wire = Wire()
    wire.loop = asyncio.get_running_loop()
    made = Cycle(wire, "POST", "/v1/x", b"", [], 4)
    made.feed(b"ab")
    assert made.taken() is None
    read = asyncio.ensure_future(made.read(10))
    await asyncio.sleep(0)
    assert made.taken() is None, "a part of it was received already"
    made.feed(b"cd")
    made.feed_end()
    assert await read == b"abcd"
    assert made.taken() is None


def test_an_application_behind_is_told_what_was_asked() -> None:
    """`path`: with percent-encoded sequences decoded; `raw_path`: as the server received it, without the query."""
    made = Cycle(Wire(), "GET", "/admin/a%20b", b"q=%41", [(b"x", b"1")], 0)
    assert made.scope() == {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "server": ("10.0.0.1", 8080), "client": ("10.0.0.2", 51000), "scheme": "http", "root_path": "", "method": "GET",
        "path": "/admin/a b", "raw_path": b"/admin/a%20b", "query_string": b"q=%41",
        "headers": [(b"x", b"1"), (b"content-length", b"0")],
    }  # fmt: skip
    made.http10, made.length = True, None
    assert made.scope()["http_version"] == "1.0"
    assert made.scope()["headers"] == [(b"x", b"1")]
