"""Keeps what was said in an exchange for its trace, where its team has opted in (`telemetry.content`).

The request is kept once guardrails are done with it, a whole answer as it left, a stream by a client that writes what
passes to a transcript. Without the opt-in none of this is on the way of a request.
"""

from starlette.types import Message

from gateway.client import Client
from gateway.facts import Content, Exchange
from gateway.guard import Guard
from gateway.seams import Headers
from gateway.settings.snapshot import ContentOptions
from gateway.telemetry.transcript import Transcript


def keep_request(x: Exchange, options: ContentOptions, body: bytes, guard: Guard | None) -> None:
    """Keep what goes to the provider, if the caller's team has opted in. It is told only once every detector that is
    asked alongside has let the request pass (`Content.cleared`)."""
    if x.caller is None or x.caller.team not in options.teams:
        return
    vault = None if guard is None else guard.vault
    cleared = guard is None or guard.outside is None
    x.content = Content(body, options.most, cleared, None if vault is None else vault.conceal)


def keep_answer(content: Content, body: bytes) -> None:
    """Keep a whole answer as it left."""
    content.answer = body


def keep_stream(content: Content, operation: str, events: bytes = b"") -> Transcript:
    """Where the events of a streamed answer go, as they leave."""
    transcript = Transcript(operation, content.most)
    transcript.feed(events)
    content.streamed = transcript.messages
    return transcript


class Tape(Client):
    """A client that is written to, and what it was written."""

    def __init__(self, client: Client, transcript: Transcript) -> None:
        self._client = client
        self._transcript = transcript
        self.method, self.path, self.query = client.method, client.path, client.query
        self.headers, self.length, self.body_done = client.headers, client.length, client.body_done

    async def receive(self) -> Message:
        return await self._client.receive()

    async def send(self, message: Message) -> None:
        await self._client.send(message)

    async def head(self, status: int, headers: Headers) -> None:
        await self._client.head(status, headers)

    async def write(self, data: bytes, more: bool = True) -> None:
        self._transcript.feed(data)
        await self._client.write(data, more)

    def push(self, data: bytes, more: bool = True) -> bool:
        pushed = self._client.push(data, more)
        if pushed:
            self._transcript.feed(data)
        return pushed

    def flowing(self) -> bool:
        return self._client.flowing()

    def push_chunk(self, framed: bytes) -> None:
        self._transcript.feed(framed[framed.index(b"\n") + 1 : -2])
        self._client.push_chunk(framed)

    def open(self, status: int, block: bytes) -> bool:
        return self._client.open(status, block)

    def reply(self, status: int, block: bytes, body: bytes) -> bool:
        return self._client.reply(status, block, body)

    def abort(self) -> None:
        self._client.abort()
