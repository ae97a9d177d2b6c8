import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Attempt
from gateway.routing.health import Health
from gateway.routing.plan import Failed, first_try, moves_on, order, tries
from gateway.routing.table import Retry, Route, RouteTable


def failed(retry_after: float | None = None) -> Failed:
    return Failed(Attempt(provider="p", model="m"), retry_after)


def walk(route: Route, targets, answers=()):
    """Every try of a walk in which nothing ever serves."""
    steps, answers = [], list(answers)
    plan = tries(route, targets)
    step = next(plan)
    while True:
        steps.append(step)
        try:
            step = plan.send(answers.pop(0) if answers else failed())
        except StopIteration:
            return steps


def test_targets_then_fallbacks_each_once(target) -> None:
    a = Route("a", (target("p1"),), fallbacks=("b", "c"))
    b = Route("b", (target("p2"),), fallbacks=("a", "c"))
    c = Route("c", (target("p3"),))
    table = RouteTable([a, b, c], [])
    assert [t.provider.name for t in order(a, table, Health(), random.Random(1), 0)] == ["p1", "p2", "p3"]


def test_held_back_targets_go_last_but_are_still_tried(target) -> None:
    one, two = target("p1"), target("p2")
    route = Route("a", (one,), fallbacks=("b",))
    table = RouteTable([route, Route("b", (two,))], [])
    health = Health()
    health.answered(one, 429, 30, 0)
    assert [t.provider.name for t in order(route, table, health, random.Random(1), 10)] == ["p2", "p1"]
    assert [t.provider.name for t in order(route, table, health, random.Random(1), 31)] == ["p1", "p2"]


def test_weights_are_kept_in_the_long_run(target) -> None:
    route = Route("a", (target("p1", weight=3), target("p2", weight=1)))
    table, chance = RouteTable([route], []), random.Random(7)
    first = Counter(order(route, table, Health(), chance, 0)[0].provider.name for _ in range(4000))
    assert 0.72 < first["p1"] / 4000 < 0.78


def test_without_rounds_each_target_is_tried_once_and_nothing_waits(target) -> None:
    steps = walk(Route("a", ()), [target("p1"), target("p2")])
    assert [(s.target.provider.name, s.wait, s.last) for s in steps] == [("p1", 0, False), ("p2", 0, True)]


def test_rounds_back_off_doubling_to_the_maximum(target) -> None:
    route = Route("a", (), retry=Retry(rounds=4, backoff=0.5, max_backoff=1.5))
    assert [s.wait for s in walk(route, [target("p1")])] == [0, 0.5, 1.0, 1.5, 1.5]


def test_retry_after_overrides_the_back_off(target) -> None:
    """must-haves: `retry-after` from upstream overrides back-off."""
    route = Route("a", (), retry=Retry(rounds=2, backoff=0.5, max_backoff=5))
    assert [s.wait for s in walk(route, [target("p1")], [failed(2.0), failed()])] == [0, 2.0, 1.0]


def test_a_retry_after_longer_than_the_route_waits_ends_the_walk(target) -> None:
    route = Route("a", (), retry=Retry(rounds=3, backoff=0.5, max_backoff=5))
    assert len(walk(route, [target("p1")], [failed(60.0)])) == 1


@given(
    rounds=st.integers(0, 4),
    count=st.integers(1, 4),
    pauses=st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=20),
)
def test_a_walk_always_ends_within_its_bound(rounds: int, count: int, pauses: list[float | None]) -> None:
    from gateway.routing.table import Provider, Target
    from gateway.seams import Origin

    targets = [
        Target(Provider(name=str(n), wire="openai", origin=Origin("http", "h", 1), base_path=b""), "m")
        for n in range(count)
    ]
    retry = Retry(rounds=rounds, backoff=0.1, max_backoff=5)
    route = Route("a", (), retry=retry)
    steps = walk(route, targets, [failed(p) for p in pauses])
    assert first_try(route, targets) == steps[0]
    assert 1 <= len(steps) <= count * (rounds + 1)
    assert all(0 <= step.wait <= 5 for step in steps)
    assert [step.last for step in steps].count(True) <= 1


def test_what_moves_on() -> None:
    """must-haves: 429 from one target moves on to the next; a client's own mistake does not."""
    assert all(moves_on(status) for status in (301, 302, 307, 308)), "a redirect, never followed, has served nobody"
    assert all(moves_on(status) for status in (401, 429, 500, 502, 503, 504, 529))
    assert not any(moves_on(status) for status in (200, 204, 400, 404, 413, 422))
