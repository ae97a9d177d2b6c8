"""How many values a JSON body has, for who must take all of its texts out: each costs some microseconds and some
hundred bytes, so that 20 MB of `[],[],` would cost half a minute and a gigabyte."""

import re
from collections.abc import Callable

from gateway.errors import BadRequest

MOST_VALUES = 400_000
"""Values of a body that guardrails read: more than the tokens of the largest batch of embeddings, one by one."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[,\[{]', re.DOTALL)
_STEP = 4_096


def check_values(body: bytes, breathe: Callable[[], None], most: int = MOST_VALUES) -> None:
    """Raises `BadRequest` for a body of more than `most` values. What is no JSON passes: who reads it will say so."""
    marks = 0
    for mark in (b",", b"[", b"{"):
        marks += body.count(mark)
        breathe()
    if marks < most:
        return
    count = 1
    for number, token in enumerate(_TOKEN.finditer(body)):
        if not number % _STEP:
            breathe()
        if body[token.start()] != 0x22:
            count += 1
            if count > most:
                raise BadRequest(
                    f"The request body has more than {most:,} values, too many for this team's guardrails to read.",
                    code="guardrail_cannot_read",
                )
