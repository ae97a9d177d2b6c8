"""Request bodies that come compressed: decoded within the bound of a body, or refused.

Guardrails, key scopes and counting read the text, so a first-class operation's body goes on decoded, and so does one
that is passed through and has to be looked into. `gzip` and `deflate` are the codings of RFC 9110 section 8.4.1 that
can be decoded with a bound on what comes out: a thousandth of that may go in.
"""

import asyncio
import zlib
from collections.abc import Iterator

from gateway.errors import BadRequest, BodyTooLarge, UnsupportedEncoding
from gateway.seams import Headers

QUICK = 256 * 1024
"""Decoded bytes that take about a millisecond; more are decoded on a thread, where zlib holds up nobody."""
MEMBERS = 16
"""Parts that a gzip body may be made of (RFC 1952 section 2.2): looking after the next one copies the rest."""
_WINDOW = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


def coding_of(headers: Headers) -> bytes:
    """The content coding of a request, b"" for none. Raises `UnsupportedEncoding` for one that is not read here, and
    for several, one around the other."""
    sent = b",".join([value for name, value in headers if name == b"content-encoding"]).strip().lower()
    if sent in (b"", b"identity"):
        return b""
    if sent not in _WINDOW:
        raise UnsupportedEncoding(
            "The request body's content-encoding is not read here; allowed are gzip, deflate, or none.",
            headers=((b"accept-encoding", b"gzip, deflate"),),
        )
    return sent


async def unpacked(body: bytes, coding: bytes, limit: int) -> bytes:
    """`body` without its `coding`, of at most `limit` bytes. Raises `BodyTooLarge` when more would come out, and
    `BadRequest` for what is not of that coding, or not whole."""
    if not coding:
        return body
    if len(body) <= QUICK and _said_size(body, coding) <= QUICK:
        begun = inflate(body, coding, min(QUICK, limit))
        if begun is not None:
            return begun
    whole = await asyncio.to_thread(inflate, body, coding, limit)
    if whole is None:
        raise BodyTooLarge(
            f"The request body is larger than this gateway takes: at most {limit} bytes are allowed once decoded."
        )
    return whole


def _said_size(body: bytes, coding: bytes) -> int:
    """Bytes that would come out, as a gzip body's last member says (RFC 1952 section 2.3.1), else 0. A hint: it spares
    decoding the beginning twice."""
    return 0 if coding == b"deflate" else int.from_bytes(body[-4:], "little")


def inflate(body: bytes, coding: bytes, most: int) -> bytes | None:
    """`body` decoded; None: it would be more than `most` bytes. Raises `BadRequest` as `unpacked` does."""
    out: list[bytes] = []
    try:
        for piece, rest in members(body, _WINDOW[coding], most + 1):
            out.append(piece)
            if sum(map(len, out)) > most:
                return None
            if rest == b"":
                return out[0] if len(out) == 1 else b"".join(out)
            if rest is None or coding == b"deflate":
                break
    except zlib.error:
        pass
    raise _malformed(coding)


def members(body: bytes, window: int, most: int) -> Iterator[tuple[bytes, bytes | None]]:
    """The members of a body (RFC 1952 section 2.2), of at most `most` bytes together: each decoded, and what follows
    it; None: it is not whole, or more than that. `window`: zlib's `wbits`. Raises `zlib.error` at one that is none."""
    for _ in range(MEMBERS):
        decoder = zlib.decompressobj(window)
        piece = decoder.decompress(body, most)
        most -= len(piece)
        body = decoder.unused_data
        yield piece, body if decoder.eof else None
        if not body or most <= 0:
            return


def _malformed(coding: bytes) -> BadRequest:
    return BadRequest(f"The request body is not valid {coding.decode()}, which its content-encoding says it is.")
