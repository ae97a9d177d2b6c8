"""Samples of pages, and windows over them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.incidents.sample import COARSE, FINE, LONGEST, History, Sample, change, sample_of
from gateway.telemetry.page import CELL, FAULTLESS, GATEWAY_FAULT, PROVIDER_FAULT, Family, Page, Pulled

KEY = ("p", "5xx")


def counted(at: float, count: int) -> Sample:
    return Sample(at=at, attempts={KEY: count})


def pulled(name: str, **samples: float) -> Pulled:
    found = {(() if label == "_" else (label,)): value for label, value in samples.items()}
    return Pulled(Family(f"tollway_{name}", "", "gauge"), found)


def test_a_page_in_short() -> None:
    cell = [3, *CELL[1:]]
    cell[FAULTLESS], cell[PROVIDER_FAULT], cell[GATEWAY_FAULT] = 1, 1, 1
    page = Page(
        traffic={("t", "m", "p", "chat", "ok"): cell, ("t", "n", "p", "chat", "ok"): cell},
        attempts={KEY: 2},
        guardrails={
            ("r", "request", "enforce", "block"): [4, 9],
            ("r", "response", "enforce", "block"): [1, 1],
            ("r", "request", "shadow", "mask"): [5, 5],
            ("r", "request", "enforce", "mask"): [6, 6],
        },
        pulled={
            each.family.name: each
            for each in (
                pulled("credential_down", p=1.0, q=0.0),
                pulled("guardrail_demoted", slow=2.0, quick=0.0),
                pulled("ledger_lag_seconds", _=7.0),
                pulled("limit_store_up", _=0.0),
                pulled("config_info", abc=1.0),
            )
        },
    )
    found = sample_of(page, 5.0)
    assert found.traffic == {("t", "p", "ok"): 6}
    assert found.judged == {("t", True): 2, ("t", False): 4}
    assert found.attempts == {KEY: 2}
    assert found.rules == {("r", "block"): 5, ("r", "shadow"): 5}
    assert found.demoted == {"slow": 2}
    assert (found.down, found.configs) == ({"p"}, {"abc"})
    assert (found.lag, found.limit_store_up, found.loader_up) == (7.0, False, None)


@given(st.integers(0, 100), st.integers(0, 100))
def test_what_went_back_did_not_grow(old: int, new: int) -> None:
    """Counters that begin anew count as nothing, never as less."""
    assert change(counted(1, old), counted(2, new)).attempts.get(KEY, 0) == max(new - old, 0)


@settings(max_examples=20)
@given(st.integers(1, 6000), st.floats(10.0, 7200.0))
def test_windows_are_right_and_memory_is_bounded(count: int, seconds: float) -> None:
    """A window holds what came in it, but for a sample more at its beginning; of six hours 540 samples are kept."""
    found = History()
    for at in range(count):
        found.add(counted(at * 5.0, at))
    window = found.window(seconds)
    available = (count - 1) * 5.0
    assert window.attempts.get(KEY, 0) * 5.0 == window.seconds
    assert min(seconds, available) <= window.seconds <= min(seconds + COARSE + 5.0, available)
    assert len(found) <= FINE / 5.0 + LONGEST / (COARSE - 5.0) + 4
    assert found.newest.at == available
    assert found.seconds <= LONGEST


def test_a_window_that_ended_before() -> None:
    found = History()
    for at in range(100):
        found.add(counted(at * 5.0, at))
    before = found.window(100.0, until=200.0)
    assert before.attempts == {KEY: 20}
    steps = found.steps(20.0)
    assert [each.attempts[KEY] for each in steps] == [95, 96, 97, 98, 99]
