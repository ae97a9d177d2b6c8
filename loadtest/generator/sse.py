"""Server-sent events as the generator needs them: how many, when the stream was whole, what usage it reported."""

import msgspec

_FINAL = (b"[DONE]", b'"type":"message_stop"', b'"type":"response.completed"', b'"type":"response.incomplete"')


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    def totals(self) -> tuple[int, int]:
        """(input, output) in tokens; Anthropic's cache meters belong to the input."""
        cache = (self.cache_read_input_tokens or 0) + (self.cache_creation_input_tokens or 0)
        given = self.prompt_tokens if self.prompt_tokens is not None else (self.input_tokens or 0) + cache
        made = self.completion_tokens if self.completion_tokens is not None else (self.output_tokens or 0)
        return given, made


class _Inner(msgspec.Struct):
    usage: _Usage | None = None


class _Carrier(msgspec.Struct):
    usage: _Usage | None = None
    response: _Inner | None = None


_decode = msgspec.json.Decoder(_Carrier).decode


def usage_in(body: bytes) -> tuple[int, int] | None:
    """(input, output) tokens that a body or event reports, or None."""
    if b'"usage"' not in body:
        return None
    try:
        found = _decode(body)
    except msgspec.DecodeError:
        return None
    usage = found.usage or (found.response.usage if found.response is not None else None)
    return usage.totals() if usage is not None else None


class EventCounter:
    """Feed it the body; it counts events with data, whatever the chunking."""

    __slots__ = ("_tail", "error", "final", "input_tokens", "output_tokens")

    def __init__(self) -> None:
        self._tail = b""
        self.final = False
        self.error = False
        self.input_tokens = 0
        self.output_tokens = 0

    def feed(self, data: bytes) -> int:
        """The number of events that became complete."""
        data = self._tail + data
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for the next byte.
            held = b"\r" if data.endswith(b"\r") else b""
            data = data[: len(data) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        blocks = data.split(b"\n\n")
        self._tail = blocks.pop()
        count = 0
        for block in blocks:
            at = block.find(b"data:")
            if at < 0:
                continue
            count += 1
            self._look(block[at + 5 :].strip(), block[:at])
        return count

    def _look(self, payload: bytes, before: bytes) -> None:
        if any(mark in payload for mark in _FINAL):
            self.final = True
        if payload.startswith(b'{"error"') or b"event: error" in before:
            self.error = True
        usage = usage_in(payload)
        if usage is not None:
            # Anthropic reports the prompt first and the rest at the end; the last number seen is the whole.
            self.input_tokens = usage[0] or self.input_tokens
            self.output_tokens = usage[1] or self.output_tokens
