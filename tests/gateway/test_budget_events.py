"""Budget events: once per rule, window and limit; never a hindrance."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.budget_events import KINDS, LOOKED_UP, BudgetEvents, Figures
from gateway.clock import ManualClock
from gateway.quota import Bound, Calendar, Level, Rolling, Rule, Scope, Smooth
from gateway.settings.schema_webhooks import EVENTS
from gateway.tasks import TaskGroup
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Event, Spool
from tests.gateway.ledger.helpers import T0

ALL = Endpoint("http://a.example/", b"k" * 32, frozenset(KINDS))
SOFT = Endpoint("http://b.example/", b"k" * 32, frozenset({"budget.soft"}))


class Rig:
    def __init__(self, directory: Path, *endpoints: Endpoint) -> None:
        self.clock = ManualClock(T0)
        self.endpoints = list(endpoints)
        self.reports: list[tuple[str, dict]] = []
        self.spool = Spool(directory / "spool")
        self.events = self.worker()

    def report(self, name: str, /, **fields: object) -> None:
        self.reports.append((name, fields))

    def worker(self) -> BudgetEvents:
        return BudgetEvents(self.spool, lambda: self.endpoints, self.clock, self.report)

    def told(self) -> list[Event]:
        found = [self.spool.event(name) for name in self.spool.names()]
        return sorted((event for event in found if event is not None), key=lambda event: event.at_ns)


def bound(amount: int = 500 * 10**9, **changes: object) -> Bound:
    fields: dict[str, object] = {"window": Calendar("month", "Europe/Berlin"), "soft": 400 * 10**9, **changes}
    rule = Rule(id="teams.search.budget", measure="usd", amount=amount, **fields)  # type: ignore[arg-type]
    return Bound(rule, rule.id, scope=Scope(team=("search",)))


def test_what_is_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL, SOFT)
    rig.events.emit("budget.soft", bound(), Figures(used=412_345_678_901, reserved=10**9))
    (event,) = rig.told()
    assert event.endpoints == (ALL.id, SOFT.id)
    assert event.kind == "budget.soft"
    assert json.loads(event.body) == {
        "type": "budget.soft",
        "timestamp": "2025-10-09T08:53:20Z",
        "data": {
            "rule": "teams.search.budget",
            "counter": "teams.search.budget",
            "team": "search",
            "measure": "usd",
            "unit": "USD",
            "limit": "500.000000000",
            "soft": "400.000000000",
            "used": "412.345678901",
            "reserved": "1.000000000",
            "forecast": None,
            "when_exhausted": "block",
            "window": "month (Europe/Berlin)",
            "resets_at": "2025-11-01T00:00:00+01:00",
        },
    }


def test_once_per_rule_and_window_by_all_workers(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL)
    workers = [rig.events, rig.worker()]
    for _ in range(3):
        for worker in workers:
            worker.emit("budget.exhausted", bound())
    assert len(rig.told()) == 1
    rig.clock.advance(21 * 86400)
    workers[0].emit("budget.exhausted", bound())
    assert len(rig.told()) == 1, "still October in Berlin"
    rig.clock.advance(2 * 86400)
    for worker in workers:
        worker.emit("budget.exhausted", bound())
    assert len(rig.told()) == 2


def test_again_when_the_limit_was_changed_and_of_another_kind(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL)
    rig.events.emit("budget.exhausted", bound())
    rig.events.emit("budget.exhausted", bound(amount=550 * 10**9))
    rig.events.emit("budget.soft", bound())
    assert len(rig.told()) == 3


def test_a_rolling_window_is_told_once_in_its_length(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL)
    rolling = bound(window=Rolling(3600))
    for _ in range(12):
        rig.events.emit("budget.exhausted", rolling)
        rig.clock.advance(600)
    assert len(rig.told()) in (2, 3)


async def test_figures_of_what_the_road_tells_are_looked_up(tmp_path: Path) -> None:
    """«The event is on the disk before that, and is told when the answer has come.»"""
    rig = Rig(tmp_path, ALL)
    asked: list[asyncio.Future[list[Level]]] = []

    async def levels(bounds: Sequence[Bound]) -> list[Level]:
        asked.append(asyncio.get_running_loop().create_future())
        return await asked[-1]

    def worker() -> BudgetEvents:
        return BudgetEvents(rig.spool, lambda: rig.endpoints, rig.clock, rig.report, None, levels, tasks)

    tasks = TaskGroup(lambda _name, _error: None)
    events = worker()
    events.emit("budget.soft", bound())
    await asyncio.sleep(0)
    (event,) = rig.told()
    assert json.loads(event.body)["data"]["used"] is None, "a crash now loses nothing"
    asked[0].set_result([Level(412 * 10**9, 10**9, None)])
    await asyncio.sleep(0)
    (amended,) = rig.told()
    data = json.loads(amended.body)["data"]
    assert (data["used"], data["reserved"]) == ("412.000000000", "1.000000000")
    assert data["forecast"] is not None
    assert event.draft_until_ns == event.at_ns + LOOKED_UP, (
        "it is not told before the answer has come, or a second passed"
    )
    assert msgspec.structs.replace(amended, body=event.body, draft_until_ns=event.draft_until_ns) == event
    assert not amended.draft_until_ns
    # What another worker has told already is not said anew; nor does a store that fails take the event away.
    worker().emit("budget.soft", bound())
    events.emit("budget.exhausted", bound())
    await asyncio.sleep(0)
    assert len(asked) == 2
    asked[1].set_exception(OSError())
    await asyncio.sleep(0)
    assert {each.kind for each in rig.told()} == {"budget.soft", "budget.exhausted"}
    await tasks.close()


def test_nobody_wants_to_know(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.events.emit("budget.soft", bound())
    rig.endpoints.append(SOFT)
    rig.events.emit("budget.exhausted", bound())
    assert not rig.events.wants("budget.exhausted")
    assert rig.events.wants("budget.soft")
    rig.events.emit("budget.soft", bound(window=Smooth(60, 1)))
    assert rig.told() == []
    rig.events.emit("budget.soft", bound())
    assert len(rig.told()) == 1


def test_rates_are_no_budgets(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL)
    windows = [
        (Rolling(60), "tokens", False), (Rolling(86400), "tokens", True), (Calendar("hour"), "requests", False),
        (Calendar("day"), "requests", True), (Rolling(60), "usd", True), (None, "concurrent", False),
    ]  # fmt: skip
    for number, (window, measure, told) in enumerate(windows):
        before = len(rig.told())
        rule = Rule(id=f"r{number}", measure=measure, amount=9, window=window)  # type: ignore[arg-type]
        rig.events.emit("budget.exhausted", Bound(rule, rule.id))
        assert len(rig.told()) - before == told, window


async def test_a_disk_that_takes_nothing_hinders_nobody(tmp_path: Path) -> None:
    rig = Rig(tmp_path, ALL)
    rig.spool.directory.write_text("a file where a directory should be")
    for number in range(1001):
        rig.events.emit("budget.soft", bound(amount=10**9 + number))
    assert [name for name, _ in rig.reports] == ["webhook_spool_failed", "webhook_event_lost"]
    rig.spool.directory.unlink()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await rig.events.run(0.001)
    assert len(rig.told()) == 1000
    assert rig.reports[2:] == [("webhook_spool_well", {"failures": 1001})]


def test_the_configuration_knows_every_kind() -> None:
    assert EVENTS == KINDS


def test_soft_reaches_a_receiver_before_exhausted(tmp_path: Path) -> None:
    """Both stand in one stream, which is delivered in its order; another counter's waits for neither."""
    rig = Rig(tmp_path, ALL)
    other = Bound(bound().rule, "teams.ads.budget", scope=Scope(team=("ads",)))
    for kind, each in (("budget.soft", bound()), ("budget.exhausted", bound()), ("budget.soft", other)):
        rig.events.emit(kind, each)
        rig.clock.advance(0.001)
    first, second, apart = rig.told()
    assert (first.kind, second.kind, first.stream) == ("budget.soft", "budget.exhausted", second.stream)
    assert apart.stream not in ("", first.stream)
