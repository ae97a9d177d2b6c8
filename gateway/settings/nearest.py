"""The name that was probably meant, for a message about one that is not known."""

import difflib
import re
from collections.abc import Iterable

MOST_LISTED = 12
_SPARE = 3
"""So few more are listed, too: `and 1 more` is as long as a name."""
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
    return f"{what} {listed(names)}"


def listed(names: Iterable[str]) -> str:
    """Names in the order they come, as far as they fit."""
    all_ = list(names)
    most = MOST_LISTED if len(all_) > MOST_LISTED + _SPARE else len(all_)
    return ", ".join(all_[:most]) + (f" and {len(all_) - most} more" if len(all_) > most else "")


def _half(name: str, names: Iterable[str]) -> str | None:
    """The one known name that has all words of `name`, capitals or not: EMAIL is a part of EMAIL_ADDRESS."""
    words = {word.casefold() for word in _PART.findall(name[:200])}
    having = [each for each in names if words and words <= {word.casefold() for word in _PART.findall(each)}]
    return having[0] if len(having) == 1 else None
