"""What a provider answered, without a provider: a body that comes as a test says, on a clock that it moves."""

from gateway.clock import ManualClock
from gateway.seams import Headers, Late, Relay

Piece = bytes | Exception | float


class Provided:
    """An `UpstreamResponse` whose body is these pieces; an exception among them is raised, a number is so many seconds
    of silence."""

    def __init__(self, clock: ManualClock, *pieces: Piece, content_type: bytes = b"text/event-stream") -> None:
        self.status = 200
        self.headers: Headers = [(b"content-type", content_type)]
        self.complete = False
        self.closed = False
        self._clock = clock
        self._pieces = list(pieces)
        self.relay: Relay | None = None

    async def chunk(self, before: float | None = None) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces[0]
        if isinstance(piece, float | int):
            assert before is not None
            patience = before - self._clock.monotonic()
            if piece >= patience:
                self._pieces[0] = piece - patience
                self._clock.advance(patience)
                raise Late
            self._clock.advance(piece)
            del self._pieces[0]
            return await self.chunk(before)
        del self._pieces[0]
        if isinstance(piece, bytes):
            return piece
        raise piece

    def whole(self) -> bytes | None:
        return None

    def offer(self, relay: Relay | None) -> None:
        self.relay = relay

    def close(self) -> None:
        self.closed = True
