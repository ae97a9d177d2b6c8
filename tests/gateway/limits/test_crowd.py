"""Counters that clients may begin are bounded, and who finds none of their own is refused early, never late."""

import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.limits.crowd import OTHERS, Crowd, Crowds, chosen
from gateway.limits.memory import MemoryStore
from gateway.limits.program import Clause, LimitProgram, escaped
from gateway.quota import Admitted, Calendar, Charge, Refused, Rolling, Rule, Smooth
from tests.gateway.limits.helpers import LIFE, opened
from tests.support.redis_servers import RedisServer


def rule(**more: Any) -> Rule:
    return Rule(
        **{"id": "r", "measure": "requests", "amount": 3, "window": Rolling(60), "each": ("tag:customer",), **more}
    )


def program(clock: ManualClock, most: int, *rules: Rule) -> LimitProgram:
    return LimitProgram([Clause(rule=each) for each in rules], crowds=Crowds(clock.monotonic, most))


def key_of(limits: LimitProgram, customer: str, team: str = "t") -> str:
    return limits.bounds("k", team, "m", "messages", {"customer": customer})[0].key


def test_what_clients_choose() -> None:
    assert [
        chosen(rule(each=each)) for each in (("team",), ("team", "tag:a"), ("model",), ("key", "provider"), ())
    ] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_values_beyond_count_together() -> None:
    clock = ManualClock()
    limits = program(clock, 2, rule(), rule(id="own", each=("team",)))
    assert [key_of(limits, name) for name in "abcdab"] == ["r:a", "r:b", "r:#others", "r:#others", "r:a", "r:b"]
    assert limits.bounds("k", "t", "m", "messages", {"customer": "c"})[1].key == "own:t"
    assert limits.crowds is not None
    assert limits.crowds.turned_away == {"r": 2}
    assert key_of(limits.adjusted([]), "e") == "r:#others", "a raise of some amount begins nothing anew"


def test_each_team_has_its_own_places() -> None:
    limits = program(ManualClock(), 1, rule(each=("team", "tag:customer")))
    keys = [key_of(limits, *asked) for asked in (("a", "one"), ("b", "one"), ("c", "one"), ("a", "two"), ("b", "two"))]
    assert keys == ["r:one:a", "r:#others:one", "r:#others:one", "r:two:a", "r:#others:two"]


@given(st.text())
def test_no_value_is_written_as_the_others_are(value: str) -> None:
    assert escaped(value) != OTHERS


def test_a_place_is_free_again_when_its_window_is_over() -> None:
    for window, seconds in ((Rolling(60), 60), (Calendar("day"), 86_400), (Smooth(10, 2), 10), (None, 60)):
        clock = ManualClock()
        crowds = Crowds(clock.monotonic, 1)
        measure = "requests" if window else "concurrent"
        made = LimitProgram([Clause(rule=rule(window=window, measure=measure))])
        one, other = (made.bounds("k", "t", "m", "messages", {"customer": each})[0] for each in "ab")
        assert crowds.place(one) is one
        clock.advance(seconds - 0.1)
        assert crowds.place(other).key == "r:#others"
        clock.advance(2 * seconds)
        assert crowds.place(other) is other


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.floats(0, 15)), max_size=60))
def test_so_many_have_a_place_and_who_comes_in_every_window_keeps_it(most: int, met: list[tuple[int, float]]) -> None:
    """ "There are `most` values with a place at any time" — and counters of three times as many at the very worst:
    those that were met within two windows."""
    crowd, now, last = Crowd(10.0, 0.0), 0.0, {}
    for value, later in met:
        now += later
        key = str(value)
        known = key in last and now - last[key] < 10
        if crowd.has(key, now, most):
            last[key] = now
        else:
            assert not known
        assert len(crowd.recent) + len(crowd.earlier) <= most
        assert not set(crowd.recent) & set(crowd.earlier)
        assert sum(now - at < 20 for at in last.values()) <= 3 * most


async def test_a_client_that_makes_up_a_tag_for_every_request_takes_no_memory_and_gets_no_more() -> None:
    """Every counter lived as long as its window, of which a client could begin as many as it sent requests."""
    clock = ManualClock()
    limits, store = program(clock, 100, rule(window=Calendar("year"))), MemoryStore(clock)
    admitted = 0
    for number in range(5000):
        bounds = limits.bounds("k", "t", "m", "messages", {"customer": f"made up {number}"})
        admitted += isinstance(await store.admit(f"h{number}", bounds, Charge(), LIFE), Admitted)
        store.settle(f"h{number}", Charge())
    assert store.counters == 101
    assert admitted == 103


async def test_nor_keys_in_redis(redis_server: RedisServer) -> None:
    clock, name = ManualClock(), uuid.uuid4().hex[:12]
    limits = program(clock, 20, rule(id=name, window=Calendar("year")))
    url = f"{redis_server.url}?prefix={name}"
    async with opened(url) as store:
        refused = 0
        for number in range(200):
            bounds = limits.bounds("k", "t", "m", "messages", {"customer": str(number)})
            refused += isinstance(await store.admit(f"{name}{number}", bounds, Charge(), LIFE), Refused)
    assert refused == 200 - 23
    assert len(redis_server.ask("KEYS", f"{name}:*{name}:*")) == 21  # type: ignore[arg-type]
