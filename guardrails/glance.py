"""Whole JSON bodies at one glance: whether nothing at all can be found in any of their texts.

Taking a body's texts out costs more than judging them. So the gate is first shown the body itself. It must see there
whatever it would see in one of the texts; that it may see more is no harm, for then the texts are taken out and judged.

Why it is enough. A text is what stands between two quotes, a number, or names one below the other. Escapes are resolved
before, or the body is not judged this way. Then each text stands in the body byte for byte, between marks that are part
of no word, and for expressions that do not depend on where a text begins and ends (`Extent.within`) that is all they
depend on. What makes nearly every body look guilty is left out, a colon behind a member's name: `"max_tokens":256` is
not a token's value.
"""

from collections.abc import Collection

import msgspec

from guardrails.scanner import Gate

LARGEST = 1 << 16
"""Bytes of a body that is glanced at. In a larger one there is nearly always something, such as an image."""
_check = msgspec.json.Decoder(msgspec.Raw).decode
_MARK = b"\x01"
"""No byte of valid JSON."""


def clear(
    gate: Gate, body: bytes, counted: Collection[int] | None = None, within: bytes = b"", sound: bool = False
) -> bool:
    """Whether it is certain that none of the gate's expressions occurs in any text of a JSON body. False for a body
    that is not JSON in valid UTF-8. `counted`: the expressions that count, None for all; `within`: name, in quotes, of
    the outermost member all texts are in; `sound`: the body is known to be JSON in valid UTF-8."""
    if not sound:
        try:
            _check(body)
            if not body.isascii():
                body.decode()
        except (ValueError, RecursionError):
            return False
    escaped = b"\\" in body
    if escaped and (b"\\\\" in body or b"\\u" in body):
        return False
    if within:
        body = body[max(body.find(within), 0) :]
    shown = _unescaped(body) if escaped else body.replace(b'":', b'"')
    try:
        seen = gate.scan(shown) if shown else ((0, 0),)
    except Exception:
        return False  # who judges the texts finds that out again, and answers for it
    return not seen or (counted is not None and not any(expression in counted for expression, _ in seen))


def _unescaped(body: bytes) -> bytes:
    """A body without escaped backslashes and code points, as the gate is to see it; empty if other escapes are left
    than JSON's writers use."""
    body = body.replace(b'\\"', _MARK).replace(b'":', b'"').replace(_MARK, b'"').replace(b"\\n", b"\n")
    if b"\\" in body:
        body = body.replace(b"\\t", b"\t").replace(b"\\r", b"\r").replace(b"\\/", b"/")
    return b"" if b"\\" in body else body
