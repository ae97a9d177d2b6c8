"""What is kept of an exchange, and of whom."""

import pytest

from gateway.facts import Caller, Content
from gateway.settings.snapshot import ContentOptions
from gateway.tape import Tape, keep_answer, keep_request, keep_stream
from gateway.telemetry.transcript import Transcript
from tests.gateway.telemetry.test_spans import exchange
from tests.support.answers import chat, chat_stream


class Written:
    """A client of our own server, as far as a tape needs it."""

    method, path, query, length, body_done = "POST", "/v1/x", b"", None, True

    def __init__(self, pushes: bool = True) -> None:
        self.pushes = pushes
        self.headers: list[tuple[bytes, bytes]] = []
        self.got = b""

    def push(self, data: bytes, more: bool = True) -> bool:
        self.got += data if self.pushes else b""
        return self.pushes

    async def write(self, data: bytes, more: bool = True) -> None:
        self.got += data

    def flowing(self) -> bool:
        return True

    def push_chunk(self, framed: bytes) -> None:
        self.got += framed


def test_only_teams_that_opted_in() -> None:
    options = ContentOptions(frozenset({"search"}), 100)
    mine, other, nobodys = exchange(), exchange(caller=Caller(key_id="k", team="other")), exchange(caller=None)
    for x in (mine, other, nobodys):
        keep_request(x, options, b"{}", None)
    assert (other.content, nobodys.content) == (None, None)
    assert mine.content == Content(b"{}", 100, True)
    keep_answer(mine.content, b"[]")
    assert mine.content.weight == 104


@pytest.mark.parametrize("pushes", [True, False])
async def test_everything_that_is_written_is_heard_once(pushes: bool) -> None:
    client, content = Written(pushes), Content(b"", 1000, True)
    tape = Tape(client, keep_stream(content, "chat.completions"))  # type: ignore[arg-type]
    data = chat_stream(chat("hello there"))
    first, second, rest = data[:40], data[40:90], data[90:]
    assert tape.flowing()
    tape.push_chunk(b"%x\r\n%b\r\n" % (len(first), first))
    if not tape.push(second):
        await tape.write(second)
    await tape.write(rest, more=False)
    assert content.streamed is not None
    (said,), truncated = content.streamed()
    assert (said.parts[0].fields["content"], truncated) == ("hello there", False)
    assert client.got.endswith(second + rest)


def test_what_was_held_back_is_heard_whole() -> None:
    content = Content(b"", 1000, True)
    assert isinstance(keep_stream(content, "chat.completions", chat_stream(chat("one", "two"))), Transcript)
    assert content.streamed is not None
    assert [said.parts[0].fields["content"] for said in content.streamed()[0]] == ["one", "two"]
