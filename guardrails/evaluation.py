"""How good detectors are on a corpus: recall, false positives, precision of entities, and the time they take.

A detector finds a text when one of its matches is a finding by its rules: type, threshold, switched-off rules and
allow-lists count; mode, rollout, direction and teams do not. Which texts ought to be found depends on the row:

- `label`: an attack ought to be found by every detector, a benign text by none.
- `categories`: speaks of `moderation` alone; a text ought to be found when one of its categories holds.
- `spans`: speaks of detectors of spans; a text ought to be found when it holds a span of a type the detector reports.
  Each entity is judged too: a span counts as found when matches of its type cover half of it or more, and a match as
  right when spans of its type cover half of it or more.

Intervals are Wilson's at 95 % (E. B. Wilson 1927, doi:10.1080/01621459.1927.10502953).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import sqrt

import msgspec

from guardrails.actions import Hasher
from guardrails.corpus import SAME, Row
from guardrails.detector import Hit, Match
from guardrails.policy import Policy
from guardrails.program import CompiledRule
from guardrails.scanner import Scanner

Z = 1.959964
Interval = tuple[float, float]


class Latency(msgspec.Struct, frozen=True):
    """Microseconds of one text; a detector's own work and the pass of the gate, which it shares."""

    p50: float
    p99: float


class SourceReport(msgspec.Struct, frozen=True):
    """One detector on the texts of one source. None: there was nothing to take a share of."""

    attacks: int
    recall: float | None
    benign: int
    false_positive_rate: float | None
    recall_interval: Interval | None
    false_positive_rate_interval: Interval | None


class DetectorReport(msgspec.Struct, frozen=True):
    """One detector on everything."""

    threshold: float
    """Least that any rule asks for."""
    by_source: dict[str, SourceReport]
    attacks: int
    benign: int
    recall: float | None
    false_positive_rate: float | None
    recall_interval: Interval | None
    false_positive_rate_interval: Interval | None
    latency_us: Latency


class EntityReport(msgspec.Struct, frozen=True):
    """Spans of one type."""

    gold: int
    recall: float | None
    precision: float | None
    matches: int
    recall_interval: Interval | None
    precision_interval: Interval | None


class Report(msgspec.Struct, frozen=True):
    """The whole, as `tollway guardrails eval --json` prints it."""

    detectors: dict[str, DetectorReport]
    entities: dict[str, EntityReport]
    texts: int
    characters: int


def wilson(hits: int, total: int) -> Interval | None:
    """The 95 % interval of a share; None of nothing."""
    if not total:
        return None
    share = hits / total
    middle = share + Z * Z / (2 * total)
    spread = Z * sqrt(share * (1 - share) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def share(hits: int, total: int) -> float | None:
    """Hits of a total; None of nothing."""
    return hits / total if total else None


class _Counts:
    """Texts that ought to be found, and not; and how many of each were."""

    __slots__ = ("attacks", "benign", "caught", "false")

    def __init__(self) -> None:
        self.attacks = self.caught = self.benign = self.false = 0

    def add(self, wanted: bool, found: bool) -> None:
        if wanted:
            self.attacks += 1
            self.caught += found
        else:
            self.benign += 1
            self.false += found

    def report(self) -> SourceReport:
        return SourceReport(
            self.attacks, share(self.caught, self.attacks), self.benign, share(self.false, self.benign),
            wilson(self.caught, self.attacks), wilson(self.false, self.benign),
        )  # fmt: skip


class Evaluation:
    """Judges the detectors that `policies` use. `types`: by detector, what its rules may report, which spans of a
    corpus are compared with; `hasher`: of the digests in allow-lists; `timer`: nanoseconds."""

    def __init__(
        self,
        policies: Sequence[Policy],
        scanner: Scanner,
        types: Mapping[str, frozenset[str]],
        hasher: Hasher,
        timer: Callable[[], int],
    ) -> None:
        self._scanner = scanner
        self._timer = timer
        self._hasher = hasher
        self._types = types
        self._rules: dict[str, list[CompiledRule]] = {}
        for policy in policies:
            for rule in policy.rules:
                self._rules.setdefault(rule.detector, []).append(CompiledRule(rule, policy.name, 0))
        self._counts: dict[str, dict[str, _Counts]] = {name: defaultdict(_Counts) for name in self._rules}
        self._spent: dict[str, list[int]] = {name: [] for name in self._rules}
        self._spans: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        """By type: spans, those that were found, matches, those that were right."""
        self._texts = self._characters = 0

    def add(self, row: Row) -> None:
        """Judge one text."""
        text = row.text.encode("utf-8", "replace").decode()
        self._texts += 1
        self._characters += len(text)
        pooled: set[tuple[str, int, int]] = set()
        for name, matches in self._matches(text, row.spoken_by).items():
            found = [match for match in matches if self._finds(name, match, row.spoken_by, text)]
            wanted = self._wanted(name, row)
            if wanted is not None:
                self._counts[name][row.source].add(wanted, bool(found))
            pooled.update((match.type, match.start, match.end) for match in found)
        if row.spans is not None:
            self._entities(row, pooled)

    def _matches(self, text: str, role: str) -> dict[str, list[Match]]:
        """Of each detector, with the time it took."""
        found: dict[str, list[Match]] = {}
        timer, scanner = self._timer, self._scanner
        since = timer()
        gate = scanner.gate
        hits: dict[int, list[Hit]] = scanner.by_detector(gate.scan(text.encode())) if gate is not None else {}
        gated = timer() - since
        for number, detector in enumerate(scanner.detectors):
            if detector.name in self._rules:
                since = timer()
                seen = number in hits or not detector.expressions
                found[detector.name] = detector.confirm(text, hits.get(number, ())) if seen else []
                self._spent[detector.name].append(timer() - since + (gated if detector.expressions else 0))
        for classifier in scanner.classifiers:
            if classifier.name in self._rules:
                since = timer()
                found[classifier.name] = classifier.judge(text, role)
                self._spent[classifier.name].append(timer() - since)
        return found

    def _finds(self, name: str, match: Match, role: str, text: str) -> bool:
        return any(
            (not rule.rule.roles or role in rule.rule.roles)
            and rule.wants(match)
            and not rule.allows(text[match.start : match.end], self._hasher)
            for rule in self._rules[name]
        )

    def _wanted(self, name: str, row: Row) -> bool | None:
        """Whether the text ought to be found; None: the row does not speak of this detector."""
        if row.truth == "label":
            return row.attack
        if row.truth == "categories":
            return bool(row.holding) if name == "moderation" else None
        types = self._types.get(name)
        if not types or any(classifier.name == name for classifier in self._scanner.classifiers):
            return None
        return any(SAME.get(span.type, span.type) in types for span in row.spans or ())

    def _entities(self, row: Row, found: set[tuple[str, int, int]]) -> None:
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        matches: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for span in row.spans or ():
            spans[SAME.get(span.type, span.type)].append((span.start, span.end))
        for type_, start, end in found:
            matches[type_].append((start, end))
        for type_ in spans.keys() | matches.keys():
            counts = self._spans[type_]
            counts[0] += len(spans[type_])
            counts[1] += sum(_covered(span, matches[type_]) for span in spans[type_])
            counts[2] += len(matches[type_])
            counts[3] += sum(_covered(match, spans[type_]) for match in matches[type_])

    def report(self) -> Report:
        """What came of it."""
        return Report(
            {name: self._detector(name) for name in self._rules},
            {
                type_: EntityReport(
                    gold, share(found, gold), share(right, matches), matches,
                    wilson(found, gold), wilson(right, matches),
                )
                for type_, (gold, found, matches, right) in sorted(self._spans.items())
            },
            self._texts,
            self._characters,
        )  # fmt: skip

    def _detector(self, name: str) -> DetectorReport:
        by_source = self._counts[name]
        whole = _Counts()
        for counts in by_source.values():
            whole.attacks += counts.attacks
            whole.caught += counts.caught
            whole.benign += counts.benign
            whole.false += counts.false
        total = whole.report()
        spent = sorted(self._spent[name])
        return DetectorReport(
            threshold=min(compiled.rule.threshold for compiled in self._rules[name]),
            by_source={source: counts.report() for source, counts in sorted(by_source.items())},
            attacks=total.attacks,
            benign=total.benign,
            recall=total.recall,
            false_positive_rate=total.false_positive_rate,
            recall_interval=total.recall_interval,
            false_positive_rate_interval=total.false_positive_rate_interval,
            latency_us=Latency(_quantile(spent, 0.5), _quantile(spent, 0.99)),
        )


def _covered(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    """Whether others cover half of it or more; they may overlap each other."""
    start, end = span
    covered, at = 0, start
    for low, high in sorted(others):
        low, high = max(low, at), min(high, end)
        if low < high:
            covered += high - low
            at = high
    return end > start and 2 * covered >= end - start


def _quantile(ordered: Sequence[int], share_: float) -> float:
    """Nearest rank, in microseconds."""
    if not ordered:
        return 0.0
    return round(ordered[min(len(ordered) - 1, int(share_ * len(ordered)))] / 1000, 1)
