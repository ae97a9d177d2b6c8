"""The state of the gateway in one line, and its last five minutes: what every page shows on top, kept up to date.

Figures of the last minutes are differences of counters, which are looked at only while somebody watches.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.admin.endpoint import read_ledger
from gateway.admin.health import readiness
from gateway.admin.world import AdminWorld
from gateway.console.figures import Figures, figures_of
from gateway.errors import LedgerError
from gateway.ledger.incidents import Incident, IncidentStore
from gateway.ledger.status import read_status

SPAN = 300.0
"""Seconds that are looked back at."""
STEP = 2.0
"""Seconds between two looks."""
ASKED = 5.0
"""Seconds between two questions to the ledger for open incidents."""
MOST_NAMED = 2
"""Incidents that the line names; of more it says how many."""
LAG = 60.0
"""Seconds behind the journal from which on the ledger's state is worth a word."""
FEWEST = 20
"""Requests in the span below which a share of errors says nothing."""
FAILED = ("upstream_status", "upstream_error", "upstream_timeout", "error", "interrupted")
TROUBLE = 0.05
"""Share of failed requests from which on it is said."""

Level = Literal["ok", "warning", "trouble"]


class Pulse(msgspec.Struct, frozen=True):
    """The state now, in words."""

    level: Level
    line: str
    in_flight: int
    requests: int | None
    """Per minute, in the span; None: nobody has watched for long enough."""
    failed: float | None
    """Share of them that failed on the provider's or our side; None: too few."""


class _Sample(msgspec.Struct, frozen=True):
    at: float
    requests: float
    failed: float


class Heart:
    """Takes pulses of one World; several watchers share one look. Used from the event loop."""

    def __init__(self, world: AdminWorld) -> None:
        self._world = world
        self._samples: deque[_Sample] = deque()
        self._last: Pulse | None = None
        self._at = self._asked = float("-inf")
        self._incidents: Sequence[Incident] = ()

    async def pulse(self, fresh: bool = False) -> Pulse:
        """The state, at most `STEP` old; `fresh`: of this moment, after something was changed."""
        now = self._world.clock.monotonic()
        if fresh or self._last is None or now - self._at >= STEP:
            self._at = now
            figures = await _figures(self._world)
            if fresh or now - self._asked >= ASKED:
                self._asked = now
                self._incidents = await _open_incidents(self._world)
            self._last = self._made(figures, now)
        return self._last

    def _made(self, figures: Figures, now: float) -> Pulse:
        requests, failed = self._recent(figures, now)
        troubles, warnings = _concerns(self._world)
        pages = [each.title for each in self._incidents if each.severity == "page"]
        tickets = [each.title for each in self._incidents if each.severity != "page"]
        troubles[:0], warnings[:0] = _named(pages), _named(tickets)
        if failed is not None and failed >= TROUBLE:
            troubles.append(f"{failed:.0%} of requests failed in the last minutes")
        level: Level = "trouble" if troubles else "warning" if warnings else "ok"
        line = "; ".join([*troubles, *warnings]) or "all is well"
        return Pulse(level, line[0].upper() + line[1:], len(self._world.live), requests, failed)

    def _recent(self, figures: Figures, now: float) -> tuple[int | None, float | None]:
        if not figures:
            return None, None
        outcomes = figures.by("outcome", "tollway_requests_total")
        served = sum(count for outcome, count in outcomes.items() if outcome != "refused")
        self._samples.append(_Sample(now, served, sum(outcomes.get(name, 0.0) for name in FAILED)))
        while now - self._samples[0].at > SPAN:
            self._samples.popleft()
        first, last = self._samples[0], self._samples[-1]
        passed, made = last.at - first.at, last.requests - first.requests
        if passed < STEP or made < 0:
            return None, None
        share = (last.failed - first.failed) / made if made >= FEWEST else None
        return round(made * 60 / passed), share


async def _figures(world: AdminWorld) -> Figures:
    try:
        return await figures_of(world.metrics)
    except OSError:
        return Figures({})


async def _open_incidents(world: AdminWorld) -> list[Incident]:
    """None where the ledger cannot be read: readiness says so already."""
    ledger = world.configuration.snapshot.ledger
    if ledger is None:
        return []
    try:
        return await read_ledger(ledger.url, lambda engine: IncidentStore(engine).list(only_open=True))
    except LedgerError:
        return []


def _named(titles: list[str]) -> list[str]:
    if len(titles) <= MOST_NAMED:
        return titles
    return [*titles[:MOST_NAMED], f"{len(titles) - MOST_NAMED} more incidents"]


def _concerns(world: AdminWorld) -> tuple[list[str], list[str]]:
    """What is broken, and what is worth knowing."""
    troubles: list[str] = []
    warnings: list[str] = []
    ready = readiness(world)
    troubles += [check.reason for check in ready.checks.values() if not check.ok]
    warnings += [check.reason for check in ready.checks.values() if check.ok and check.reason]
    snapshot = world.configuration.snapshot
    if snapshot.switches is not None:
        now_ns = world.clock.now_ns()
        held = sum(switch.in_force(now_ns) for switch in snapshot.switches.all)
        if held:
            warnings.insert(0, f"{held} kill switch{'es are' if held > 1 else ' is'} on")
    status = read_status(world.journal.directory) if world.journal is not None else None
    if status is not None and status.lag_seconds > LAG:
        warnings.append(f"the ledger is {status.lag_seconds:.0f} s behind")
    return troubles, warnings
