"""The state line as server-sent events, for as long as a page is open."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from gateway.console.pulse import STEP, Heart
from gateway.console.visit import Visit
from gateway.errors import Overloaded

MOST = 100
"""Streams of one worker at one time."""
LONGEST = 600.0
"""Seconds; then the page comes again, and with it the question whether its session still holds."""
_encode = msgspec.json.Encoder().encode


class Live:
    """Who watches."""

    def __init__(self, heart: Heart) -> None:
        self._heart = heart
        self._open = 0

    async def stream(self, visit: Visit) -> Response:
        """An event `state` at once, and whenever it has changed; a comment while it has not. Ends when the gateway
        leaves, so that it need not wait for pages."""
        if self._open >= MOST:
            raise Overloaded("Too many pages watch this gateway.", headers=((b"retry-after", b"30"),))
        return StreamingResponse(
            self._events(visit),
            headers={"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _events(self, visit: Visit) -> AsyncIterator[bytes]:
        clock = visit.world.clock
        begun, last = clock.monotonic(), b""
        self._open += 1
        try:
            yield b"retry: 3000\n\n"
            while clock.monotonic() - begun < LONGEST and visit.holds() and not visit.world.draining:
                event = b"event: state\ndata: " + _encode(await self._heart.pulse()) + b"\n\n"
                yield event if event != last else b":\n\n"
                last = event
                for _ in range(4):
                    if visit.world.draining:
                        return
                    await asyncio.sleep(STEP / 4)
        finally:
            self._open -= 1
