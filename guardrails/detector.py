"""The detector seam: what looks for things in text. Pure functions of the text; no clock, no sockets, no state.

One gate (one Hyperscan database, `guardrails/matching/gate.py`) serves every detector of a policy set. A detector names
the `Expression`s of which at least one must occur in a text before it can match: a superset, where false alarms cost
time and misses are defects. One pass over the UTF-8 bytes finds the hits, and `confirm` is called for the detectors
that were hit, with their own hits, and decides exactly.

Offsets are characters (code points) of `text`, end exclusive, but for `Hit.end`, which is bytes of its UTF-8.

The stream promise. Text comes in pieces, and what is passed on must not depend on how it was cut. So a detector's
findings are a function of the text alone, local, and in a known distance settled:

- *Locality.* Whether a match starts at `s` depends on `text[s - reach.before : s + reach.length + reach.after]` and on
  nothing else: not on other matches, and not on where a scan began. (A `finditer` that resumes behind its last match
  breaks this; look at every start, or at every hit.)
- *Stability.* With `p = settled(text)`: for every continuation `u`, the matches of `text + u` that start before `p`
  are the matches of `text` that start before `p`. `p` may be lower than necessary, never higher. On ordinary prose it
  should be within a few characters of the end, and never further from it than `reach.length + reach.after`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Expression(msgspec.Struct, frozen=True):
    """One regular expression for the gate, in the common subset of Hyperscan, RE2 and `re`."""

    pattern: str
    caseless: bool = False
    prefilter: bool = False
    """Holds constructs Hyperscan cannot express exactly (look-arounds, back-references): compile it with
    HS_FLAG_PREFILTER, which finds a superset."""
    wide: bool = False
    """Finds more than is meant (`guardrails/matching/widening.py`), so that its match from a place may end behind the
    meant one: every engine then gives a hit inside of it."""


class Hit(NamedTuple):
    """The gate saw one of a detector's expressions end here."""

    expression: int
    """Index into the detector's own `expressions`."""
    end: int
    """Offset in the bytes of the text."""


class Reach(msgspec.Struct, frozen=True):
    """How far a detector looks, in characters. Derived from its patterns, never guessed."""

    length: int
    """The longest match; longer ones are cut off or not found, as the detector documents."""
    before: int = 1
    """Left context a decision may depend on: look-behind, word boundary, context words."""
    after: int = 1
    """Right context behind the longest match: look-ahead, word boundary."""
    lead: int | None = None
    """How many characters before a match the hit that announces it may end. 0: every match has a hit that ends inside
    or behind it, so old hits in the left context of a stream are no reason to look again. None: as many as `before`."""

    wordwise: bool = False
    """Of the matches that start among letters of ASCII, blanks, line feeds and `,.;'!?` with nothing else behind them,
    all that start before the last run without a blank or line feed are as they will be, whatever follows."""

    plain: int | None = None
    """Left context that is enough where all of it is ASCII. None: as much as `before`."""


class Match(msgspec.Struct, frozen=True, gc=False):
    """What a detector found. Never carries the text."""

    type: str
    """Entity or category, such as EMAIL_ADDRESS, SECRET, PROMPT_INJECTION."""
    start: int
    end: int
    score: float
    """Confidence from 0 to 1."""
    rule: str
    """Id of the rule that matched, stable over releases: on-call switches rules off by it."""
    evidence: str = ""
    """Class of evidence: pattern, checksum, context, entropy, list, model, heuristic, external."""


Pausing = Callable[[str, Sequence[Hit], Callable[[], None]], list[Match]]
"""As `Detector.confirm`, calling its last argument now and then. A detector that takes more than a microsecond for each
character of some texts has such a method, `confirm_paused`."""


Judging = Callable[[str, str, Callable[[], None]], list[Match]]
"""As `Classifier.judge`, calling its last argument between two windows: a classifier's `judge_paused`, where it has
one."""


class Detector(Protocol):
    """Finds spans. Safe on streams by the promise above."""

    name: str
    """What `detect:` in the configuration says, such as pii, secrets."""
    expressions: Sequence[Expression]
    """Empty: `confirm` is called for every text."""
    reach: Reach

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        """Every match in `text`, sorted by start, overlaps within one type resolved by a documented order. Linear in
        the text; never raises on any text, lone surrogates included."""
        ...

    def settled(self, text: str) -> int:
        """See *Stability*. Looks at the end of `text` only; O(reach), not O(text)."""
        ...


class Classifier(Protocol):
    """Judges a text as a whole (or by windows of it): injection, jailbreak, unsafe content. Its answer may change with
    every further word, so on streams it is asked again at declared steps, and a `mask` by it is refused at check."""

    name: str

    def judge(self, text: str, role: str) -> list[Match]:
        """Matches, spans being the windows that were judged guilty; `type` is the head or category, `score` a
        calibrated probability, reported whatever the threshold (down to 0.01). Never raises on any text."""
        ...
