"""What the World's own figures look like in a scrape."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import __version__
from gateway.admin.gauges import LOADER_STALE, join_metrics
from gateway.errors import AtCapacity
from gateway.incidents.watch import BURN_RATE
from gateway.ledger.status import write_status
from gateway.quota import Capacity
from gateway.routing.table import Target
from gateway.telemetry.exporter import Exporter
from gateway.telemetry.logs import alert
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import HttpSender
from gateway.telemetry.sampling import sampling
from gateway.telemetry.semconv import names_of
from gateway.telemetry.traces import Traces
from gateway.webhooks.deliver import Deliverer
from gateway.webhooks.spool import Spool
from guardrails.governor import Governor
from guardrails.policy import Bounds
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.admin.test_health import fail_writes, status
from tests.gateway.ledger.helpers import exchange


def figures(world: FakeWorld) -> dict[str, dict[tuple[str, ...], float]]:
    metrics = Metrics()
    join_metrics(world, metrics)
    page = metrics.page()
    assert metrics.page().failures == 0
    return {name: pulled.samples for name, pulled in page.pulled.items()}


def traces() -> Traces:
    """Traces of every exchange, of which one may wait; nothing is sent."""
    encoder = Encoder({}, ("tollway", "1"), "")
    exporter = Exporter(encoder, HttpSender("http://127.0.0.1:9", {}), capacity=1)
    return Traces(sampling(1.0, (), 1.0), names_of("v1_41"), {}, encoder, exporter)


def test_at_rest(world: FakeWorld) -> None:
    found = figures(world)
    assert found["tollway_in_flight"] == {(): 0}
    assert found["tollway_workers"] == {(): 1}
    assert found["tollway_build_info"] == {(__version__,): 1}
    assert found["tollway_config_info"] == {(world.configuration.snapshot.hash,): 1}
    assert found["tollway_config_reload"] == {("success",): 0, ("failure",): 0}
    assert found["tollway_credential_down"] == {("local",): 0, ("openai",): 0}
    assert found["tollway_journal_healthy"] == {(): 1}
    assert found["tollway_ledger_loader_up"] == {}
    assert found["process_resident_memory_bytes"][()] > 1e6


def test_traces(world: FakeWorld) -> None:
    assert not [name for name in figures(world) if name.startswith("tollway_trace")]
    world.traces = traces()
    for _ in range(3):
        world.traces.record(exchange())
    world.traces.exporter.exported, world.traces.exporter.failed = 7, 2
    found = figures(world)
    assert found["tollway_trace_spans"] == {("exported",): 7, ("failed",): 2}
    assert found["tollway_trace_exchanges_dropped"] == {(): 2}
    assert found["tollway_trace_defects"] == {(): 0}
    assert found["tollway_trace_exchanges_queued"] == {(): 1}


def test_webhooks(world: FakeWorld, tmp_path: Path) -> None:
    assert figures(world)["tollway_webhook_deliveries"] == {}
    world.deliverer = Deliverer(Spool(tmp_path), lambda: (), world.clock, alert)
    world.deliverer.delivered, world.deliverer.failed, world.deliverer.dead = 3, 2, 1
    world.deliverer.dead_letters = 5
    found = figures(world)
    assert found["tollway_webhook_deliveries"] == {("delivered",): 3, ("failed",): 2, ("dead",): 1}
    assert found["tollway_webhook_pending"] == {(): 0}
    assert found["tollway_webhook_dead_letters"] == {(): 5}


def test_busy(world: FakeWorld) -> None:
    assert world.journal is not None
    world.live = {"a", "b"}
    world.draining = True
    provider = world.configuration.snapshot.routes.exact["gpt-4o-mini"].targets[0].provider
    world.origin = provider.origin
    world.health.answered(Target(provider, "m"), 403, None, world.clock.monotonic())
    world.health.answered(Target(provider, "n"), 429, 30.0, world.clock.monotonic())
    x = exchange()
    world.journal.start(x)
    world.journal.finish(x)
    world.configuration.reload("test")
    found = figures(world)
    assert found["tollway_in_flight"] == {(): 2}
    assert found["tollway_draining"] == {(): 1}
    assert found["tollway_provider_paused"] == {("local",): 0, ("openai",): 1}
    url = "https://api.openai.example"
    assert found["tollway_pool_connections"] == {(url, "idle"): 2, (url, "in_use"): 1, (url, "waiting"): 4}
    assert found["tollway_credential_down"][("openai",)] == 1
    assert found["tollway_journal_bytes"][()] > 100
    assert found["tollway_journal_records"] == {(): 2}
    assert found["tollway_config_reload"][("success",)] == 1


def test_a_full_disk(world: FakeWorld) -> None:
    fail_writes(world)
    found = figures(world)
    assert found["tollway_journal_healthy"] == {(): 0}
    assert found["tollway_journal_failures"][()] >= 1


def test_the_loader(world: FakeWorld) -> None:
    assert world.journal is not None
    write_status(world.journal.directory, status(world, lag_bytes=500, lag_seconds=2.5, rejected=1))
    found = figures(world)
    assert found["tollway_ledger_loader_up"] == {(): 1}
    assert found["tollway_ledger_lag_bytes"] == {(): 500}
    assert found["tollway_ledger_lag_seconds"] == {(): 2.5}
    assert found["tollway_ledger_rejected_lines"] == {(): 1}
    world.clock.advance(LOADER_STALE + 1)
    found = figures(world)
    assert found["tollway_ledger_loader_up"] == {(): 0}
    assert found["tollway_ledger_lag_seconds"][()] > LOADER_STALE


def test_without_a_ledger(make_world) -> None:
    assert not [name for name in figures(make_world(ledger="off")) if "journal" in name or "ledger" in name]


def test_every_metric_is_in_the_manual_and_no_other(world: FakeWorld) -> None:
    manual = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text("utf-8")
    metrics = Metrics()
    world.traces = traces()
    join_metrics(world, metrics)
    metrics.pull(BURN_RATE, lambda: [(("5m",), 0.0)])
    assert world.journal is not None
    write_status(world.journal.directory, status(world))
    body, _ = metrics.render(metrics.page())
    families = list(text_string_to_metric_families(body.decode()))
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert set(re.findall(r"\b(?:tollway|process)_[a-z_]+\b", manual)) == shown


def test_rules_that_were_taken_to_shadow(world: FakeWorld) -> None:
    bounds = Bounds(micros=1, at_least=1, cooling=60)
    world.governor = Governor({"slow": bounds, "quick": bounds})
    world.governor.tell("slow", False, 9, world.clock.monotonic())
    found = figures(world)
    assert found["tollway_guardrail_demoted"] == {("slow",): 1, ("quick",): 0}
    assert found["tollway_guardrail_demotions"] == {("slow", "latency"): 1}


async def test_who_waits_for_capacity_and_for_how_long(world: FakeWorld) -> None:
    """Labels are names of configured providers, so their number needs no bound."""
    world.turnstiles.resize({"local": Capacity(concurrent=2, queue=0)})
    turnstile = world.turnstiles.at("local")
    places = [turnstile.enter_now("search", 1, "interactive") for _ in range(2)]
    with pytest.raises(AtCapacity):
        await turnstile.enter("search", 1, "interactive")
    found = figures(world)
    assert found["tollway_capacity_requests"] == {
        ("local", "in_use"): 2,
        ("local", "waiting"): 0,
        ("local", "limit"): 2,
    }
    assert found["tollway_capacity_granted"] == {("local",): 2}
    assert found["tollway_capacity_refused"] == {("local", "full"): 1, ("local", "late"): 0}
    assert found["tollway_admission_waiting"] == {(): 0}
    assert found["tollway_admission_waited"] == {("admitted",): 0, ("full",): 0, ("late",): 0}
    world.turnstiles.resize({})
    assert ("local", "limit") not in figures(world)["tollway_capacity_requests"]
    assert None not in places


async def test_waits_for_a_place_are_a_histogram_of_the_exposition(world: FakeWorld) -> None:
    world.turnstiles.resize({"local": Capacity(concurrent=1, wait=60.0)})
    turnstile = world.turnstiles.at("local")
    place = turnstile.enter_now("search", 1, "interactive")
    assert place is not None
    waiting = asyncio.ensure_future(turnstile.enter("support", 1, "interactive"))
    await asyncio.sleep(0)
    world.clock.advance(0.3)
    place.leave()
    (await waiting).leave()
    metrics = Metrics()
    join_metrics(world, metrics)
    text = metrics.render(metrics.page())[0].decode()
    series = next(f for f in text_string_to_metric_families(text) if f.name == "tollway_capacity_wait_seconds")
    found = {(s.name.rsplit("_", 1)[1], s.labels.get("le")): s.value for s in series.samples}
    assert (found["bucket", "0.25"], found["bucket", "0.5"], found["count", None]) == (0, 1, 1)
    assert found["sum", None] == pytest.approx(0.3)
