"""What rules begin with and a text has nowhere, told by one pass of Hyperscan instead of a search for each.

Most rules whose words a long text has do not match, and most of what they begin with is not there.
"""

import re
from collections.abc import Iterable, Iterator

from guardrails.detector import Expression
from guardrails.matching.gate import open_gate

from .rule import Rule
from .words import TOKEN

LONG = 5_000
"""Characters from which on a pass costs less than the searches it spares."""
_LEAST = 3
"""Characters of a part. Of shorter ones a text may be full, and each time costs."""


def _parts(rule: Rule) -> Iterator[str]:
    """What is not told by the words of a text, or is more than the first of them."""
    if rule.inside:
        yield from rule.needs
    yield from (start for start in rule.starts if rule.parts or TOKEN.fullmatch(start) is None)


class Signs:
    """Immutable once made; safe to share between threads. Without Hyperscan it knows nothing."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        every = sorted({part for rule in rules for part in _parts(rule) if len(part) >= _LEAST})
        gate = open_gate([Expression(re.escape(part)) for part in every])
        self._gate = gate if gate.backend == "hyperscan" else None
        self._parts = every
        nowhere: list[int] = []
        self._nowhere = dict.fromkeys(every, nowhere)

    def absent(self, text: str) -> dict[str, list[int]]:
        """Parts that are surely not in a text, each with no place where it stands. Never raises."""
        if self._gate is None:
            return {}
        absent = self._nowhere.copy()
        for part in {part for part, _ in self._gate.scan(text.encode("utf-8", "surrogatepass"))}:
            del absent[self._parts[part]]
        return absent
