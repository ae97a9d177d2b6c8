"""The shell: one worker looks; a ledger that is away stops nothing; a start takes up what was open."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock
from gateway.incidents.watch import IncidentWatch
from gateway.ledger.incidents import IncidentStore
from gateway.ledger.store import open_engine, writing
from gateway.ledger.tables import rollups
from gateway.settings.incident_options import KIND, IncidentOptions, Receiver
from gateway.tasks import TaskGroup
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import CELL, FAULTLESS, PROVIDER_FAULT, Family, Page, Pulled
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Spool
from tests.support.ledgers import ready_ledger

HOUR = 3600
OPTIONS = IncidentOptions(
    receivers=(
        Receiver(
            "webhook", Endpoint("http://127.0.0.1:9/", b"k" * 32, frozenset({KIND})), frozenset({"page", "ticket"})
        ),
        Receiver("alertmanager", Endpoint("http://127.0.0.1:9/am", b"", frozenset({KIND})), frozenset({"page"})),
    )
)


class Rig:
    """A detector whose clock and figures are turned by hand."""

    def __init__(self, directory: Path, url: str | None) -> None:
        self.directory = directory
        self.url = url
        self.clock = ManualClock()
        self.page = Page()
        self.spool = Spool(directory / "webhooks")
        self.woken = 0
        self.begin()

    def begin(self) -> None:
        self.metrics = Metrics()
        self.watch = IncidentWatch(
            lambda: OPTIONS, self.metrics, self.url, self.spool, self.wake, self.clock, self.directory / "run"
        )

    def wake(self) -> None:
        self.woken += 1

    def look(self, seconds: float = 5.0) -> list[str]:
        self.clock.advance(seconds)
        page = msgspec.msgpack.decode(msgspec.msgpack.encode(self.page), type=Page)
        return [f"{step.happened} {step.incident.signal}" for step in self.watch.look(page, OPTIONS)]

    def fail(self, count: int) -> None:
        self.page.attempts["p", "5xx"] = self.page.attempts.get(("p", "5xx"), 0) + count

    def serve(self, count: int) -> None:
        self.page.attempts["p", "2xx"] = self.page.attempts.get(("p", "2xx"), 0) + count

    def gauge(self, name: str, *labels: str, value: float = 1.0) -> None:
        family = Family(f"tollway_{name}", "", "gauge")
        self.page.pulled.setdefault(family.name, Pulled(family, {})).samples[labels] = value

    def told(self) -> list[str]:
        found = [self.spool.event(name) for name in self.spool.names()]
        bodies = [json.loads(event.body) for event in sorted(found, key=lambda each: each.at_ns) if event]
        return [body["type"] if isinstance(body, dict) else f"alert {body[0]['endsAt']}" for body in bodies]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def store(rig: Rig) -> Iterator[IncidentStore]:
    assert rig.url is not None
    ready_ledger(rig.url)
    engine = open_engine(rig.url)
    yield IncidentStore(engine)
    engine.dispose()


def test_found_kept_told_resolved(rig: Rig, store: IncidentStore) -> None:
    rig.serve(100)
    rig.look()
    rig.fail(50)
    assert rig.look() == ["opened provider"]
    (kept,) = store.list(only_open=True)
    assert (kept.subject, kept.severity) == ("p", "page")
    assert rig.woken == 1
    rig.serve(1000)
    assert rig.look() == []
    assert rig.look(seconds=60) == ["resolved provider"]
    assert store.list(only_open=True) == []
    assert [each.kind for each in store.notes(kept.id, 0, rig.clock.now_ns())] == ["opened", "resolved"]
    assert [each for each in rig.told() if each.startswith("incident")] == ["incident.opened", "incident.resolved"]


def test_a_start_takes_up_what_was_open(rig: Rig, store: IncidentStore) -> None:
    rig.look()
    rig.fail(50)
    rig.look()
    rig.begin()
    assert rig.look() == []
    rig.fail(50)
    assert rig.look() == [], "the same incident, found again"
    assert len(store.list()) == 1
    rig.serve(5000)
    assert rig.look() == []
    assert rig.look(seconds=60) == ["resolved provider"]


def test_a_ledger_that_is_away_stops_nothing(rig: Rig, tmp_path: Path) -> None:
    """Incidents open and are told; they are written when it is back."""
    (tmp_path / "ledger.db").mkdir()
    rig.look()
    rig.fail(50)
    assert rig.look() == ["opened provider"]
    assert "incident.opened" in rig.told()
    (tmp_path / "ledger.db").rmdir()
    rig.look()
    assert rig.url is not None
    assert [each.signal for each in IncidentStore(open_engine(rig.url)).list()] == ["provider"]


def test_without_a_ledger(tmp_path: Path) -> None:
    rig = Rig(tmp_path, None)
    rig.look()
    rig.fail(50)
    assert rig.look() == ["opened provider"]
    assert "incident.opened" in rig.told()


def test_what_timelines_show_of_the_gateway(rig: Rig, store: IncidentStore) -> None:
    rig.gauge("config_info", "abc")
    rig.gauge("credential_down", "p", value=0.0)
    rig.gauge("limit_store_up")
    rig.look()
    rig.gauge("config_info", "def")
    rig.gauge("credential_down", "p")
    rig.gauge("limit_store_up", value=0.0)
    rig.gauge("breaker_state", "p", "m", value=2.0)
    assert rig.look() == ["opened credential"]
    rig.gauge("credential_down", "p", value=0.0)
    rig.gauge("breaker_state", "p", "m", value=0.0)
    rig.look()
    assert [(each.kind, each.text) for each in store.notes("", 0, rig.clock.now_ns())] == [
        ("config", "configuration def in force"),
        ("credential", "credential of provider p refused"),
        ("breaker", "circuit of p/m opened"),
        ("store", "limit store is away"),
        ("credential", "credential of provider p tried again"),
        ("breaker", "circuit of p/m closed"),
    ]
    assert rig.look(seconds=30) == ["opened limit_store"]


def test_alertmanager_is_reminded(rig: Rig) -> None:
    """It forgets an alert at its `endsAt`, twelve hours ahead; it is told again after six."""
    rig.look()
    rig.gauge("credential_down", "p")
    rig.look()
    before = len(rig.told())
    rig.look(seconds=6 * HOUR)
    assert len(rig.told()) == before + 1
    assert rig.told()[-1].startswith("alert ")


def test_spend_of_the_ledger(rig: Rig, store: IncidentStore) -> None:
    """From roll-ups; another gateway that shares the ledger tells of it no second time."""
    assert rig.url is not None
    hour = rig.clock.now_ns() // 10**9 // HOUR * HOUR
    empty = {column.name: "" if column.primary_key else 0 for column in rollups.columns}
    rows = [
        {**empty, "team": "t", "hour": hour - week * 7 * 24 * HOUR, "cost_nanos": 5 * 10**9} for week in range(1, 9)
    ]
    engine = open_engine(rig.url)
    with writing(engine) as connection:
        connection.execute(rollups.insert(), [*rows, {**rows[0], "hour": hour, "cost_nanos": 90 * 10**9}])
    engine.dispose()
    assert rig.look() == ["opened spend"]
    (kept,) = store.list()
    assert (kept.subject, kept.gateway, kept.detail["spent_usd"]) == ("t", "", "90.00")
    rig.begin()
    assert rig.look() == []


async def test_one_worker_looks(rig: Rig) -> None:
    """The others wait for the lock, and take over when it is given up."""
    rig.gauge("credential_down", "p")
    metrics = [Metrics(), Metrics()]
    looked: list[int] = []
    options = IncidentOptions(interval=0.01)

    def watch(number: int) -> IncidentWatch:
        def read() -> IncidentOptions:
            looked.append(number)
            return options

        return IncidentWatch(read, metrics[number], None, rig.spool, rig.wake, rig.clock, rig.directory / "run")

    groups = [TaskGroup(lambda _name, error: pytest.fail(str(error))) for _ in metrics]
    groups[0].start(watch(0).run(), "first")
    async with asyncio.timeout(60):
        while not looked:
            await asyncio.sleep(0.005)
        groups[1].start(watch(1).run(), "second")
        while len(looked) < 5:
            await asyncio.sleep(0.005)
        assert set(looked) == {0}
        await groups[0].close()
        while 1 not in looked:
            await asyncio.sleep(0.005)
    await groups[1].close()


def test_burn_rates_are_metrics_of_the_worker_that_looks(rig: Rig):
    """What the console shows of the error budget, and anybody may scrape."""
    assert rig.metrics.page().pulled["tollway_error_burn_rate"].samples == {}
    rig.look()
    cell = rig.page.traffic["t", "m", "p", "chat", "upstream_status"] = list(CELL)
    cell[FAULTLESS], cell[PROVIDER_FAULT] = 90, 10
    rig.look()
    samples = rig.metrics.page().pulled["tollway_error_burn_rate"].samples
    assert {window: round(rate) for (window,), rate in samples.items()} == {"5m": 100, "30m": 100, "1h": 100, "6h": 100}
