"""Tallies of several processes add up exactly, also after their way over a pipe."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loadtest.generator.tally import Tally

_CALL = st.tuples(st.floats(0, 5), st.integers(0, 4), st.sampled_from(["", "http_429", "reset"]))


def _tally(calls: list[tuple[float, int, str]]) -> Tally:
    tally = Tally()
    for latency, index, error in calls:
        tally.started += 1
        second = tally.second(index)
        if error:
            tally.errors[error] = tally.errors.get(error, 0) + 1
            second.errors += 1
            continue
        tally.ok += 1
        tally.statuses[200] = tally.statuses.get(200, 0) + 1
        tally.latency.record(latency)
        second.done += 1
        second.latency.record(latency)
    return tally


@given(st.lists(_CALL, max_size=30), st.lists(_CALL, max_size=30))
def test_merging_is_counting_everything_in_one(
    first: list[tuple[float, int, str]], second: list[tuple[float, int, str]]
) -> None:
    merged = _tally(first)
    merged.merge(msgspec.json.decode(msgspec.json.encode(_tally(second)), type=Tally))
    whole = _tally(first + second)
    assert merged == whole
    assert merged.started == merged.ok + merged.failed


def test_the_busiest_process_counts() -> None:
    merged = Tally(cpu_seconds=1.0)
    merged.merge(Tally(cpu_seconds=3.0))
    merged.merge(Tally(cpu_seconds=2.0))
    assert merged.cpu_seconds == 3.0
