"""What is kept of an answer that is streamed through, to find in it what it used."""

from gateway.dialects.tail import reported
from gateway.facts import Usage

_USAGE = b'"usage"'


class Ending:
    """The last bytes of an answer; all of it, if it is no longer than that."""

    def __init__(self, most: int) -> None:
        """Keeps at least the last `most` bytes, and never more than twice as many and a chunk."""
        self._most = most
        self._kept = bytearray()
        self.whole = True

    def add(self, chunk: bytes) -> None:
        self._kept += chunk
        if len(self._kept) > 2 * self._most:
            del self._kept[: -self._most]
            self.whole = False

    @property
    def bytes(self) -> bytes:
        return bytes(self._kept)


def reported_by_events(events: bytes) -> tuple[Usage | None, str | None]:
    """Usage and service tier that the last of a stream's events tell which tells any, as `tail.reported` does. Images,
    transcripts and thread runs tell it in their last event but one. Never raises."""
    at = events.rfind(_USAGE)
    while at >= 0:
        end = events.find(b"\n", at)
        line = events[events.rfind(b"\n", 0, at) + 1 : end if end >= 0 else len(events)]
        found = reported(line.removeprefix(b"data:").strip())
        if found[0] is not None:
            return found
        at = events.rfind(_USAGE, 0, max(0, at - len(line)))
    return None, None
