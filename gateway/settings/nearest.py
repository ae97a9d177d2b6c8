"""The name that was probably meant, for a message about one that is not known."""

import difflib
import re
from collections.abc import Iterable

MOST_LISTED = 12
_PART = re.compile(r"[^\W_]+")
"""A word of a name such as EMAIL_ADDRESS."""


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is probably a misspelling of (or is)."""
    return next(iter(difflib.get_close_matches(name[:200], sorted(set(known)), 1, 0.6)), None)


def hint(name: str, known: Iterable[str], what: str = "allowed are") -> str:
    """`did you mean 'x'?`, or the known names when none is near, or that there are none."""
    names = sorted(set(known))
    meant = near(name, names) or _half(name, names)
    if meant:
        return f"did you mean '{meant}'?"
    if not names:
        return "none is configured"
    listed = ", ".join(names[:MOST_LISTED])
    return f"{what} {listed}" + (f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else "")


def _half(name: str, names: Iterable[str]) -> str | None:
    """The one known name that has all words of `name`, capitals or not: EMAIL is a part of EMAIL_ADDRESS."""
    words = {word.casefold() for word in _PART.findall(name[:200])}
    having = [each for each in names if words and words <= {word.casefold() for word in _PART.findall(each)}]
    return having[0] if len(having) == 1 else None
