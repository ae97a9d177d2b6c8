"""Private key blocks: PEM (RFC 7468), OpenSSH, PGP (RFC 9580 section 6.2), whole, cut off, or escaped in JSON.

A block is its BEGIN line, perhaps header lines, lines of base 64 (at least 20 characters each, but for the last two)
and its END line. Without the END line, because the text was cut or a line was lost, what is there of the body is
masked just the same. Between lines may stand blanks, `\\n` as two characters, and what code puts around string pieces.
"""

import re

from guardrails.detector import Expression, Match

BEGIN = "-----BEGIN "
EXPRESSION = Expression("-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY")
LONGEST = 16_000
"""Characters of a block, from its first dash: 16,384-bit RSA keys have 12,700. What is longer is cut off there."""
_HEADER = re.compile(r"-----BEGIN ([A-Z0-9]{1,12} ){0,2}PRIVATE KEY( BLOCK)?-----")
_HEADER_BEGUN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,45}-{0,5}\Z")
_GAP = r"(?:[\s\"'`+,>|;#]|\\[nrt\\\"])"
# Possessive or atomic throughout: every character is looked at a bounded number of times.
_BODY = re.compile(
    rf"{_GAP}*+"
    rf"(?>(?:(?:Version|Comment|Hash|Charset|MessageID|Proc-Type|DEK-Info|X-[A-Za-z-]{{1,30}}): ?"
    rf"[^\n\\]{{0,120}}+{_GAP}++)*)"
    rf"(?>(?:[A-Za-z0-9/+]{{20,}}+={{0,2}}+{_GAP}*+)*)"
    rf"(?>(?:=?[A-Za-z0-9/+]{{1,19}}+={{0,2}}+{_GAP}++){{0,2}})"
)
_END = re.compile(r"-----END [A-Z0-9 ]{1,45}-----")
_END_BEGUN = re.compile(r"(?:=?[A-Za-z0-9/+]{0,19}+={0,2}+|\\|-{0,5}|-----E(?:N(?:D(?: [A-Z0-9 ]{0,45}-{0,5})?)?)?)\Z")
_LEAST_BASE64 = 40
_RUN = re.compile(r"[A-Za-z0-9/+]{20,}")


def _span(text: str, start: int) -> tuple[int, bool] | None:
    """End of the block that begins at `start`, and whether its END line is there; None: there is no block."""
    header = _HEADER.match(text, start)
    if header is None:
        return None
    limit = start + LONGEST
    body = _BODY.match(text, header.end(), limit)
    at = body.end() if body else header.end()
    end = _END.match(text, at, limit)
    if end is None and at > header.end():
        # The last line before END may have been followed by nothing at all.
        short = re.compile(r"=?[A-Za-z0-9/+]{1,19}={0,2}").match(text, at, limit)
        end = _END.match(text, short.end(), limit) if short else None
    return (end.end(), True) if end else (at, False)


def find(text: str, start: int) -> Match | None:
    """The block whose BEGIN line starts at `start`, None if none does or nothing is in it."""
    span = _span(text, start)
    if span is None:
        return None
    end, closed = span
    if sum(len(run) for run in _RUN.findall(text, start + len(BEGIN), end)) < _LEAST_BASE64:
        return None
    kind = "pgp" if text.startswith("PGP", start + len(BEGIN)) else "pem"
    return Match("SECRET", start, end, 0.99 if closed else 0.9, f"secret.private-key.{kind}", "pattern")


def open_from(text: str) -> int | None:
    """Where a block begins that more text could still change; None if there is none."""
    floor = max(0, len(text) - LONGEST)
    start = text.rfind(BEGIN, floor)
    if start < 0:
        return None
    header = _HEADER.match(text, start)
    if header is None:
        return start if _HEADER_BEGUN.match(text, start) else None
    span = _span(text, start)
    if span is None or span[1]:
        return None
    rest = text[span[0] : span[0] + 200]
    return start if _END_BEGUN.match(rest) else None
