"""The name that was probably meant, for a message about one that is not known."""

import difflib
from collections.abc import Iterable

MOST_LISTED = 12


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is probably a misspelling of (or is)."""
    return next(iter(difflib.get_close_matches(name[:200], sorted(set(known)), 1, 0.6)), None)


def hint(name: str, known: Iterable[str], what: str = "allowed are") -> str:
    """`did you mean 'x'?`, or the known names when none is near, or that there are none."""
    names = sorted(set(known))
    meant = near(name, names)
    if meant:
        return f"did you mean '{meant}'?"
    if not names:
        return "none is configured"
    listed = ", ".join(names[:MOST_LISTED])
    return f"{what} {listed}" + (f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else "")
