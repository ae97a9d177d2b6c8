"""Which targets are left alone, and what attempts tell of them."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import AtCapacity, CircuitOpen, ConnectFailed, Disconnected, PoolTimeout
from gateway.routing.breaker import BreakerOptions
from gateway.routing.circuits import MOST, OTHER, Circuits, Flip
from gateway.routing.table import Target
from gateway.seams import Origin
from tests.gateway.routing.conftest import provider


def of(name: str, model: str = "m") -> Target:
    return Target(provider(name), model)


def circuits() -> tuple[Circuits, list[Flip]]:
    flips: list[Flip] = []
    return Circuits(flips.append), flips


def break_(made: Circuits, target: Target, now: float = 0.0, times: int = 5) -> None:
    for _ in range(times):
        made.broke(target, made.enter(target, True, now), ConnectFailed("no", sent=False), now)


def test_nothing_is_kept_of_a_target_that_does_well() -> None:
    made, flips = circuits()
    a = of("p")
    made.answered(a, 0, 200, 0.0)
    made.answered(a, 0, 404, 0.0)
    assert not made.watching
    made.answered(a, 0, 302, 0.0)
    assert made.watching
    made.answered(a, 0, 200, 1.0)
    made.answered(a, 0, 200, 31.0)
    assert not made.watching
    assert flips == []


def test_an_open_circuit_is_passed_over_and_tried_again_later() -> None:
    made, flips = circuits()
    a, b = of("p"), of("q")
    break_(made, a)
    assert flips == [Flip("p", "m", "open", 2.0)]
    assert made.choose([a, b], 1.0) == [b]
    assert made.choose([a, b], 2.0) == [a, b]
    probe = made.enter(a, False, 2.0)
    assert made.choose([a, b], 2.0) == [b], "somebody tries it already"
    with pytest.raises(CircuitOpen):
        made.enter(a, False, 2.0)
    made.broke(a, probe, asyncio.CancelledError(), 2.5)
    assert made.choose([a, b], 2.5) == [a, b], "the client left: the next one is the probe"
    made.failed(a, made.enter(a, False, 3.0), 3.0)
    assert flips[-1] == Flip("p", "m", "open", 4.0, again=True)
    made.answered(a, made.enter(a, False, 7.0), 200, 7.5)
    assert flips[-1] == Flip("p", "m", "closed")
    assert made.opened == {("p", "m"): 2}
    assert dict(made.states(8.0)) == {("p", "m"): "closed"}


@given(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=6), st.floats(0.0, 40.0))
def test_a_model_is_never_left_without_a_target(broken_at: list[float], now: float) -> None:
    """ "A model is never left without a target: who has only targets whose circuits are open tries the one that is
    closest to its probe"; what is worth trying keeps its order."""
    made, _ = circuits()
    targets = [of(f"p{at}") for at in range(len(broken_at))]
    for target, at in sorted(zip(targets, broken_at, strict=True), key=lambda pair: pair[1]):
        break_(made, target, at)
    at = max(now, *broken_at)
    chosen = made.choose(targets, at)
    waits = [max(0.0, began + 2.0 - at) for began in broken_at]
    if min(waits) > 0:
        assert chosen == [targets[waits.index(min(waits))]]
    else:
        assert chosen == [target for target, wait in zip(targets, waits, strict=True) if not wait]


def test_the_only_target_is_tried_however_it_fails() -> None:
    made, _ = circuits()
    a = of("p")
    break_(made, a, times=50)
    assert made.choose([a], 0.1) == [a]
    assert made.enter(a, True, 0.1) > 0


@pytest.mark.parametrize("status", [401, 403, 409, 425, 429])
def test_what_says_nothing_frees_the_probe(status: int) -> None:
    made, flips = circuits()
    a = of("p")
    break_(made, a)
    made.answered(a, made.enter(a, False, 2.0), status, 2.0)
    assert made.enter(a, False, 2.0) < 0
    assert len(flips) == 1


def test_our_own_queues_are_not_the_targets_fault() -> None:
    made, _ = circuits()
    for error in (PoolTimeout("x", sent=False), AtCapacity("x", 1.0), asyncio.CancelledError(), ValueError()):
        made.broke(of("p"), 0, error, 0.0)
    assert not made.watching
    made.broke(of("p"), 0, Disconnected("x", sent=True), 0.0)
    assert made.watching


def test_off_is_off_and_a_moved_provider_begins_anew() -> None:
    made, flips = circuits()
    off = Target(msgspec.structs.replace(provider("p"), breaker=None), "m")
    break_(made, off, times=50)
    assert not made.watching
    on = Target(msgspec.structs.replace(provider("p"), breaker=BreakerOptions(failures=1)), "m")
    break_(made, on, times=1)
    assert [flip.to for flip in flips] == ["open"]
    moved = Target(msgspec.structs.replace(provider("p"), origin=Origin("http", "127.0.0.1", 2)), "m")
    assert made.enter(moved, False, 0.5) == 0
    break_(made, on, times=1)
    made.answered(off, 0, 200, 0.5)
    assert not made.watching


def test_names_that_clients_make_up_are_bounded() -> None:
    made, flips = circuits()
    for at in range(MOST * 2):
        break_(made, of("p", f"made-up-{at}"))
    assert len(dict(made.states(0.0))) == len(made.opened) == MOST + 1
    assert flips[-1].model == OTHER
