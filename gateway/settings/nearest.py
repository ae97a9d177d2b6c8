"""The name that was probably meant, for a message about one that is not known."""

import difflib
from collections.abc import Iterable

MOST_LISTED = 12


def hint(name: str, known: Iterable[str], what: str = "allowed are") -> str:
    """`did you mean 'x'?`, or the known names when none is near, or that there are none."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name[:200], names, 1, 0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    if not names:
        return "none is configured"
    listed = ", ".join(names[:MOST_LISTED])
    return f"{what} {listed}" + (f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else "")
