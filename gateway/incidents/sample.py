"""What detectors look at: a gateway's figures at a moment, and how they changed over windows of time."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.telemetry.page import FAULTLESS, GATEWAY_FAULT, PROVIDER_FAULT, REQUESTS, Page

K = TypeVar("K")

FINE = 900.0
"""Seconds that every sample is kept."""
COARSE = 60.0
"""Seconds between the samples kept beyond that."""
LONGEST = 6 * 3600.0 + 300.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway at one moment: counters since it began, and gauges. None: it has no such thing."""

    at: float
    """Monotonic seconds."""
    traffic: dict[tuple[str, str, str], int] = {}
    """(team, provider, outcome) → requests."""
    judged: dict[tuple[str, bool], int] = {}
    """(team, answered) → requests that were to be answered, as `tollway_availability_requests_total` counts them."""
    attempts: dict[tuple[str, str], int] = {}
    """(provider, status class: error, 2xx, 4xx, 429, 5xx) → upstream attempts."""
    failures: dict[tuple[str, str], int] = {}
    """(provider, kind such as ConnectFailed) → failures that a status does not tell."""
    rules: dict[tuple[str, str], int] = {}
    """(guardrail rule, block or shadow) → exchanges."""
    demoted: dict[str, int] = {}
    """Guardrail rule that was beyond its bounds → workers in which it only watches."""
    down: frozenset[str] = frozenset()
    """Providers whose credential was refused."""
    open_circuits: frozenset[tuple[str, str]] = frozenset()
    """Targets (provider, model) whose circuit breaker is not closed."""
    lag: float | None = None
    """Seconds the ledger is behind its journal."""
    loader_up: bool | None = None
    journal_healthy: bool | None = None
    limit_store_up: bool | None = None
    configs: frozenset[str] = frozenset()
    """Hashes of the configurations in force."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How counters grew from one sample to another."""

    seconds: float
    traffic: dict[tuple[str, str, str], int]
    judged: dict[tuple[str, bool], int]
    attempts: dict[tuple[str, str], int]
    rules: dict[tuple[str, str], int]
    failures: dict[tuple[str, str], int] = {}


def sample_of(page: Page, at: float) -> Sample:
    """The sample of a page with every worker's figures."""
    traffic: dict[tuple[str, str, str], int] = {}
    judged: dict[tuple[str, bool], int] = {}
    for (team, _model, provider, _operation, outcome), cell in page.traffic.items():
        key = (team, provider, outcome)
        traffic[key] = traffic.get(key, 0) + cell[REQUESTS]
        judged[team, True] = judged.get((team, True), 0) + cell[FAULTLESS]
        judged[team, False] = judged.get((team, False), 0) + cell[PROVIDER_FAULT] + cell[GATEWAY_FAULT]
    rules: dict[tuple[str, str], int] = {}
    for (rule, _direction, mode, action), counts in page.guardrails.items():
        kind = "shadow" if mode == "shadow" else "block" if mode == "enforce" and action == "block" else ""
        if kind:
            rules[rule, kind] = rules.get((rule, kind), 0) + counts[0]
    up = {name: _gauge(page, name) for name in ("ledger_loader_up", "journal_healthy", "limit_store_up")}
    return Sample(
        at=at,
        traffic=traffic,
        judged=judged,
        attempts=dict(page.attempts),
        failures={
            (provider, kind): int(count) for (provider, kind), count in _samples(page, "upstream_failures").items()
        },
        rules=rules,
        demoted={rule: int(value) for (rule,), value in _samples(page, "guardrail_demoted").items() if value},
        down=frozenset(labels[0] for labels, value in _samples(page, "credential_down").items() if value),
        open_circuits=frozenset(
            (provider, model) for (provider, model), value in _samples(page, "breaker_state").items() if value
        ),
        lag=_gauge(page, "ledger_lag_seconds"),
        loader_up=_flag(up["ledger_loader_up"]),
        journal_healthy=_flag(up["journal_healthy"]),
        limit_store_up=_flag(up["limit_store_up"]),
        configs=frozenset(labels[0] for labels, value in _samples(page, "config_info").items() if value),
    )


class History:
    """Samples, newest last: all of the last quarter of an hour, and one a minute of six hours."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def newest(self) -> Sample:
        return self._samples[-1]

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self._samples[-1].at - self._samples[0].at if self._samples else 0.0

    def add(self, sample: Sample) -> None:
        self._samples.append(sample)
        while self._samples[0].at < sample.at - LONGEST:
            self._samples.pop(0)
        # One sample at a time passes from the fine part to the coarse one.
        border = bisect_right(self._samples, sample.at - FINE, key=_at) - 1
        if border >= 2 and self._samples[border].at - self._samples[border - 2].at <= COARSE:
            self._samples.pop(border - 1)

    def window(self, seconds: float, until: float = 0.0) -> Change:
        """How counters grew in the window of this length that ended `until` seconds before the newest sample; shorter
        where there is no older sample."""
        end = self._at_or_before(self.newest.at - until)
        return change(self._at_or_before(end.at - seconds), end)

    def steps(self, seconds: float) -> list[Sample]:
        """The samples of the window, oldest first, and the one before it."""
        begin = max(bisect_right(self._samples, self.newest.at - seconds, key=_at) - 1, 0)
        return self._samples[begin:]

    def _at_or_before(self, at: float) -> Sample:
        return self._samples[max(bisect_right(self._samples, at, key=_at) - 1, 0)]


def change(old: Sample, new: Sample) -> Change:
    """From `old` to `new`; what went back, since a gateway began anew, did not grow."""
    return Change(
        seconds=new.at - old.at,
        traffic=_grown(old.traffic, new.traffic),
        judged=_grown(old.judged, new.judged),
        attempts=_grown(old.attempts, new.attempts),
        rules=_grown(old.rules, new.rules),
        failures=_grown(old.failures, new.failures),
    )


def _grown(old: Mapping[K, int], new: Mapping[K, int]) -> dict[K, int]:
    return {key: more for key, value in new.items() if (more := value - old.get(key, 0)) > 0}


def _at(sample: Sample) -> float:
    return sample.at


def _samples(page: Page, name: str) -> dict[tuple[str, ...], float]:
    found = page.pulled.get(f"tollway_{name}")
    return {} if found is None else found.samples


def _gauge(page: Page, name: str) -> float | None:
    return _samples(page, name).get(())


def _flag(value: float | None) -> bool | None:
    return None if value is None else value > 0
