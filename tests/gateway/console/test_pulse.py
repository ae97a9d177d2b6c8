from gateway.console.pulse import STEP, Heart
from gateway.facts import Caller, Exchange, Operation
from gateway.ledger.incidents import Incident, IncidentStore
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld
from tests.support.ledgers import ready_ledger


def served(world: FakeWorld, outcome: str, count: int) -> None:
    for _ in range(count):
        x = Exchange("id", "id", 1, 1.0, Operation("chat.completions", "openai"), Caller(key_id="k", team="t"))
        x.outcome = outcome  # type: ignore[assignment]
        x.provider, x.model = "openai", "m"
        assert world.metrics is not None
        world.metrics.record(x)


async def test_a_quiet_gateway_is_well(world: FakeWorld):
    pulse = await Heart(world).pulse()
    assert pulse.level in ("ok", "warning")  # no loader has reported in this world
    assert (pulse.requests, pulse.failed) == (None, None)


async def test_failures_of_the_last_minutes_are_trouble(world: FakeWorld):
    heart = Heart(world)
    served(world, "upstream_error", 500)  # before anybody watched
    await heart.pulse()
    served(world, "ok", 70)
    served(world, "upstream_error", 30)
    served(world, "refused", 50)
    world.clock.advance(60)
    pulse = await heart.pulse()
    assert (pulse.level, pulse.requests, pulse.failed) == ("trouble", 100, 0.3)
    assert "30% of requests failed" in pulse.line


async def test_several_watchers_share_one_look(world: FakeWorld):
    heart = Heart(world)
    first = await heart.pulse()
    world.live.add("one")
    assert await heart.pulse() is first
    world.clock.advance(STEP)
    assert (await heart.pulse()).in_flight == 1


async def test_a_gateway_that_leaves_or_whose_reload_was_refused_says_so(world: FakeWorld):
    world.configuration.last_error = "gateway.yaml:1:1: wrong"
    assert "gateway.yaml:1:1: wrong" in (await Heart(world).pulse()).line
    world.draining = True
    pulse = await Heart(world).pulse()
    assert pulse.level == "trouble"
    assert pulse.line.startswith("Draining")


async def test_open_incidents_come_first(world: FakeWorld):
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    ready_ledger(ledger.url)
    engine = open_engine(ledger.url)
    now_ns = world.clock.now_ns()
    found = [
        Incident(
            id=f"inc-{at}", signal="provider", subject=f"p{at}", severity="page" if at else "ticket",
            title=f"provider p{at} fails", detail={}, since_ns=now_ns, opened_ns=now_ns + at, updated_ns=now_ns,
        )
        for at in range(4)
    ]  # fmt: skip
    IncidentStore(engine).save(found, [])
    engine.dispose()
    pulse = await Heart(world).pulse()
    assert pulse.level == "trouble"
    assert pulse.line.startswith("Provider p3 fails; provider p2 fails; 1 more incidents; ")
    assert "provider p0 fails" in pulse.line
