"""How many values a JSON body has. For who must take all of its texts out each costs some microseconds and some hundred
bytes, so that 20 MB of `[],[],` would cost half a minute and a gigabyte; and even who only skips them cannot pause."""

import re
from collections.abc import Callable

from gateway.errors import BadRequest

MOST_VALUES = 400_000
"""Values of a body that guardrails read: more than the tokens of the largest batch of embeddings, one by one."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[,\[{]', re.DOTALL)
"""The string that does not end is one too: else every quote in it would be tried as a beginning."""
_STEP = 1_024
_COUNTED = 1 << 20
"""Bytes in which marks are counted in one go."""


def check_values(body: bytes, breathe: Callable[[], None], most: int = MOST_VALUES) -> None:
    """Raises `BadRequest` for a body of more than `most` values. What is no JSON passes: who reads it will say so."""
    if has_more(body, most, breathe):
        raise BadRequest(
            f"The request body has more than {most:,} values, too many for this team's guardrails to read.",
            code="guardrail_cannot_read",
        )


def has_more(body: bytes, most: int, breathe: Callable[[], None]) -> bool:
    """Whether a body has more than `most` values. False for one that is not JSON, perhaps."""
    marks = 0
    for at in range(0, len(body), _COUNTED):
        for mark in (b",", b"[", b"{"):
            marks += body.count(mark, at, at + _COUNTED)
        breathe()
    if marks < most:
        return False
    count = 1
    for number, token in enumerate(_TOKEN.finditer(body)):
        if not number % _STEP:
            breathe()
        if body[token.start()] != 0x22:
            count += 1
            if count > most:
                return True
    return False
