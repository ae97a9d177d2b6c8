"""How many tokens a team's requests to a model are answered with: learned, to reserve less than the worst case. Pure.

A request that says no `max_tokens` would reserve the model's maximum, of which most answers use a few per cent. With
`reserve: p95` it reserves what 95 of 100 answers of this team and model stayed below.

What that costs, and how far it can go wrong:

- For one answer: it may use more than was reserved, with a chance of about 5 % as long as answers are like those
  before, and then by at most (the most it can be, `max_tokens` or the model's maximum) - (what was reserved).
- For a budget or a token limit: it can be overrun by at most the sum of those differences over the requests that are
  under way when it runs out: n of them, of one model, by n * (most - reserved) tokens at the very worst, 0.05 * n *
  (most - reserved) in expectation. Nothing more is admitted once it has run out. Streams that pass their reservation
  extend it while they run and are cut where the rule says so (`on_overrun: cut`); then it is overrun by no more than
  unary answers and what streams deliver between two extensions.
- Answers that change suddenly (a new prompt) are followed after about HALF observations; until then the 5 % do not
  hold, the bound does.
"""

from array import array
from itertools import accumulate
from math import ceil

SMALL = 32
"""Counts up to this are told apart one by one."""
FINE = 16
"""Parts of each doubling above it: the upper edge of a part is at most 1/16 more than any count in it."""
CLASSES = SMALL + 1 + FINE * 19
"""Up to 2**24 tokens; what is more counts as that."""
ENOUGH = 30
"""Observations of a pair before anything is expected of it."""
HALF = 2000
"""After so many observations all that was seen before weighs half as much as what comes now."""
FRESH = 16
"""A quantile is worked out anew after so many observations."""
PAIRS = 4096
"""Pairs of team and model that are kept, about 1 kB each; those not observed for longest give way."""

_WEIGHT = 16
"""Of one observation; large enough that halving rounds away little. All together stay below 2 * HALF * _WEIGHT, which
fits 16 bits."""


def class_of(tokens: int) -> int:
    """Which class a number of tokens falls into; what is below 0 counts as 0."""
    if tokens <= SMALL:
        return tokens if tokens > 0 else 0
    power = (tokens - 1).bit_length() - 6
    index = SMALL + 1 + power * FINE + ((tokens - 1) >> (power + 1)) - FINE
    return index if index < CLASSES else CLASSES - 1


def upper_edge(index: int) -> int:
    """The largest number of tokens in a class."""
    if index <= SMALL:
        return index
    power, part = divmod(index - SMALL - 1, FINE)
    return (FINE + part + 1) << (power + 1)


class Distribution:
    """How often numbers of tokens were seen, in classes that widen with the number; what is long ago fades."""

    __slots__ = ("_known", "_since", "_weights", "seen")

    def __init__(self) -> None:
        self._weights = array("H", bytes(2 * CLASSES))
        self._since = 0
        self._known: dict[float, tuple[int, int]] = {}
        """Quantiles worked out: until how many observations they serve, and tokens."""
        self.seen = 0
        """Observations ever."""

    def observe(self, tokens: int) -> None:
        self._weights[class_of(tokens)] += _WEIGHT
        self.seen += 1
        self._since += 1
        if self._since >= HALF:
            self._since = 0
            self._weights = array("H", [weight // 2 for weight in self._weights])

    def quantile(self, share: float) -> int | None:
        """What a share (above 0, up to 1) of the weight is at or below, in tokens; None before ENOUGH observations.

        The upper edge of a class: at least the exact quantile, as of at most FRESH observations ago, and at most 1/16
        more.
        """
        if self.seen < ENOUGH:
            return None
        known = self._known.get(share)
        if known is not None and self.seen < known[0]:
            return known[1]
        needed = ceil(share * sum(self._weights))
        reached = accumulate(self._weights)
        found = upper_edge(next(index for index, weight in enumerate(reached) if weight >= needed))
        self._known[share] = self.seen + FRESH, found
        return found


class LearnedOutput:
    """Output tokens by team and model, of PAIRS pairs at most, in this worker's memory."""

    def __init__(self, pairs: int = PAIRS) -> None:
        self._most = max(1, pairs // 2)
        self._recent: dict[tuple[str, str], Distribution] = {}
        self._earlier: dict[tuple[str, str], Distribution] = {}
        """Those not observed since `_recent` was begun; forgotten when that is full."""

    def __len__(self) -> int:
        return len(self._recent) + len(self._earlier)

    def observe(self, team: str, model: str, output_tokens: int) -> None:
        """A whole answer had so many output tokens. (From one that was cut short nothing is to be learned.)"""
        found = self._recent.get((team, model))
        (found if found is not None else self._renew((team, model))).observe(output_tokens)

    def expected(self, team: str, model: str, quantile: float) -> int | None:
        """What a share `quantile` of this pair's answers stays at or below, in output tokens; None: not known yet."""
        found = self._recent.get((team, model)) or self._earlier.get((team, model))
        return None if found is None else found.quantile(quantile)

    def _renew(self, pair: tuple[str, str]) -> Distribution:
        found = self._earlier.pop(pair, None) or Distribution()
        if len(self._recent) >= self._most:
            self._earlier = self._recent
            self._recent = {}
        self._recent[pair] = found
        return found
