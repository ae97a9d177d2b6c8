"""One worker's figures as a value: what is counted on the hot path, and how the pages of several workers are added up.

Everything on a page is a sum, but for gauges, which say themselves how they combine. So pages can be added in any
order, and the page of a dead worker is kept by adding it to the page of the dead.
"""

from bisect import bisect_left
from typing import Literal

import msgspec

Labels = tuple[str, ...]
Merge = Literal["sum", "max", "min"]
Kind = Literal["counter", "gauge"]

REQUESTS, INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING, NANOS, UNPRICED, ESTIMATED = range(9)
"""Places in a traffic cell. Tokens, but for NANOS (1e-9 USD), and requests in the first and the last two."""
FAULTLESS, PROVIDER_FAULT, GATEWAY_FAULT = range(9, 12)
"""More places: requests that were to be answered, by whose fault it was if they were not. What the client did wrong,
and what it left, is in none of them."""
CELL = (0,) * 12

REQUEST_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
FIRST_BYTE_BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
OVERHEAD_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
DETECTOR_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TOKEN_BOUNDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
STAGE_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
"""Upper bounds of histogram buckets, seconds. Few, because each is a series per operation and mode."""


class Histogram(msgspec.Struct, array_like=True):
    """Counts per bucket (not cumulative; the last is above every bound), and the sum of what was observed."""

    counts: list[int]
    total: float = 0.0

    def observe(self, bounds: tuple[float, ...], seconds: float) -> None:
        self.counts[bisect_left(bounds, seconds)] += 1
        self.total += seconds

    def copy(self) -> "Histogram":
        return Histogram(self.counts.copy(), self.total)

    def add(self, other: "Histogram") -> None:
        if len(self.counts) == len(other.counts):
            self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
            self.total += other.total


class Timings(msgspec.Struct, array_like=True):
    """The histograms of one operation and mode."""

    request: Histogram
    overhead: Histogram

    def add(self, other: "Timings") -> None:
        self.request.add(other.request)
        self.overhead.add(other.overhead)


class Speed(msgspec.Struct, array_like=True):
    """How soon and how fast answers came: the histograms of one team, model, provider, operation and mode."""

    first_byte: Histogram
    per_token: Histogram
    """Streams only: seconds from the first byte to the end, by output tokens after the first."""

    def add(self, other: "Speed") -> None:
        self.first_byte.add(other.first_byte)
        self.per_token.add(other.per_token)

    def copy(self) -> "Speed":
        """Cheaper than adding to an empty one, and there are hundreds."""
        return Speed(self.first_byte.copy(), self.per_token.copy())


class Stages(msgspec.Struct, array_like=True):
    """Where the gateway's own time went."""

    read: Histogram
    """Head, key, body, limits (a wait for one included), start record."""
    inspect: Histogram
    """Guardrails on the request, where its team has some."""
    answer: Histogram
    """From the provider's head to the first byte for the client: a unary answer's body, guardrails on it, books."""

    def add(self, other: "Stages") -> None:
        self.read.add(other.read)
        self.inspect.add(other.inspect)
        self.answer.add(other.answer)


def new_histogram(bounds: tuple[float, ...]) -> Histogram:
    return Histogram([0] * (len(bounds) + 1))


def new_timings() -> Timings:
    return Timings(*map(new_histogram, (REQUEST_BOUNDS, OVERHEAD_BOUNDS)))


def new_speed() -> Speed:
    return Speed(*map(new_histogram, (FIRST_BYTE_BOUNDS, TOKEN_BOUNDS)))


def new_stages() -> Stages:
    return Stages(*map(new_histogram, (STAGE_BOUNDS,) * 3))


class Family(msgspec.Struct, frozen=True):
    """A metric that somebody else owns and that is asked for when it is needed.

    `name` has no `_total`; `merge` says how gauges of several workers become one (counters are always added).
    """

    name: str
    help: str
    kind: Kind
    labels: Labels = ()
    merge: Merge = "sum"


class Pulled(msgspec.Struct):
    """A pulled family with its samples: label values → value."""

    family: Family
    samples: dict[Labels, float]

    def add(self, other: "Pulled") -> None:
        merge = "sum" if self.family.kind == "counter" else self.family.merge
        for labels, value in other.samples.items():
            mine = self.samples.get(labels)
            if mine is None:
                self.samples[labels] = value
            elif merge == "sum":
                self.samples[labels] = mine + value
            else:
                self.samples[labels] = max(mine, value) if merge == "max" else min(mine, value)


class Waits(msgspec.Struct, array_like=True):
    """A pulled histogram: label value → observations, counted in buckets of the same bounds everywhere."""

    name: str
    help: str
    label: str
    bounds: tuple[float, ...]
    samples: dict[str, Histogram]

    def add(self, other: "Waits") -> None:
        for label, histogram in other.samples.items():
            self.samples.setdefault(label, Histogram([0] * len(histogram.counts))).add(histogram)


class Page(msgspec.Struct):
    """Everything one worker has to say. See `CELL` for what a traffic cell holds."""

    traffic: dict[tuple[str, str, str, str, str], list[int]] = {}
    """(team, model, provider, operation, outcome) → cell."""
    attempts: dict[tuple[str, str], int] = {}
    """(provider, status class) → upstream attempts."""
    retries: dict[tuple[str, str], int] = {}
    """(provider, retry or fallback) → upstream attempts after one that failed."""
    timings: dict[tuple[str, str], Timings] = {}
    """(operation, unary or stream) → histograms."""
    speeds: dict[tuple[str, str, str, str, str], Speed] = {}
    """(team, model, provider, operation, unary or stream) → histograms."""
    stages: Stages = msgspec.field(default_factory=new_stages)
    guardrails: dict[tuple[str, str, str, str], list[int]] = {}
    """(rule, direction, mode, action) → exchanges in which the rule found something, and what it found in all."""
    guardrail_failures: dict[tuple[str, str], int] = {}
    """(detector, whether the text was kept back: closed or open) → exchanges it failed in."""
    detectors: dict[tuple[str, str], Histogram] = {}
    """(detector outside of the engine, outcome) → seconds from asking to verdict."""
    pulled: dict[str, Pulled] = {}
    waits: dict[str, Waits] = {}
    findings_logged: int = 0
    findings_dropped: int = 0
    """Findings that the log took, and that were more than it takes of one exchange."""
    failures: int = 0
    """Exchanges that could not be counted, or gauges that could not be asked: defects of ours."""
    number: int = 0
    """Order of this worker's pages; an older one never replaces a newer one."""

    def add(self, other: "Page") -> None:
        """Add `other` to this page; afterwards they share nothing that is changed in place."""
        for key, cell in other.traffic.items():
            mine = self.traffic.get(key, CELL)
            self.traffic[key] = [a + b for a, b in zip(mine, cell, strict=True)]
        for attempt, count in other.attempts.items():
            self.attempts[attempt] = self.attempts.get(attempt, 0) + count
        for retry, count in other.retries.items():
            self.retries[retry] = self.retries.get(retry, 0) + count
        for key, timings in other.timings.items():
            self.timings.setdefault(key, new_timings()).add(timings)
        for key, speed in other.speeds.items():
            mine = self.speeds.get(key)
            if mine is None:
                self.speeds[key] = speed.copy()
            else:
                mine.add(speed)
        self.stages.add(other.stages)
        for rule, counts in other.guardrails.items():
            mine = self.guardrails.get(rule, (0, 0))
            self.guardrails[rule] = [a + b for a, b in zip(mine, counts, strict=True)]
        for failure, count in other.guardrail_failures.items():
            self.guardrail_failures[failure] = self.guardrail_failures.get(failure, 0) + count
        for asked, seconds in other.detectors.items():
            self.detectors.setdefault(asked, new_histogram(DETECTOR_BOUNDS)).add(seconds)
        for name, pulled in other.pulled.items():
            self.pulled.setdefault(name, Pulled(pulled.family, {})).add(pulled)
        for name, waits in other.waits.items():
            self.waits.setdefault(name, Waits(waits.name, waits.help, waits.label, waits.bounds, {})).add(waits)
        self.findings_logged += other.findings_logged
        self.findings_dropped += other.findings_dropped
        self.failures += other.failures

    def without_gauges(self) -> "Page":
        """What remains of a worker that is gone: its counters."""
        counters = {name: pulled for name, pulled in self.pulled.items() if pulled.family.kind == "counter"}
        return Page(
            self.traffic,
            self.attempts,
            self.retries,
            self.timings,
            self.speeds,
            self.stages,
            self.guardrails,
            self.guardrail_failures,
            self.detectors,
            counters,
            self.waits,
            self.findings_logged,
            self.findings_dropped,
            self.failures,
        )


def encode(page: Page) -> bytes:
    return msgspec.msgpack.encode(page)


def decode(data: bytes) -> Page | None:
    """None for what another release wrote, or a torn file."""
    try:
        page = msgspec.msgpack.decode(data, type=Page)
    except (msgspec.MsgspecError, ValueError):
        return None
    return page if all(len(cell) == len(CELL) for cell in page.traffic.values()) else None
