"""Which match a character belongs to."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from guardrails.policy import SEVERITY
from guardrails.resolve import Candidate, by_start, runs

ACTIONS = st.sampled_from(["mask", "redact", "hash", "pseudonymize", "block"])
SPANS = st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from([0.1, 0.5, 0.9]), ACTIONS)


def candidate(start: int, length: int, score: float = 0.5, action: str = "mask", place: int = 0) -> Candidate:
    return Candidate(start, start + length, score, "T", action, SEVERITY[action], place, action == "block")  # pyright: ignore


def owned(candidates: list[Candidate], begin: int, end: int) -> dict[int, Candidate]:
    ordered = sorted(candidates, key=by_start)
    return {at: run.owner for run in runs(ordered, begin, end) for at in range(run.start, run.end)}


@given(st.lists(SPANS, max_size=14), st.integers(0, 20), st.integers(20, 45))
def test_each_character_belongs_to_the_strongest_match_that_covers_it(
    spans: list[tuple[int, int, float, str]], begin: int, end: int
) -> None:
    """ "Each character belongs to the strongest match that covers it", and to nobody else."""
    candidates = [candidate(*span, place=place) for place, span in enumerate(spans)]
    found = owned(candidates, begin, end)
    for at in range(begin, end):
        covering = [c for c in candidates if c.start <= at < c.end]
        assert found.get(at) is (min(covering, key=lambda c: c.rank) if covering else None)
    assert all(begin <= at < end for at in found)


@given(st.lists(SPANS, max_size=14))
def test_runs_are_in_order_and_as_long_as_can_be(spans: list[tuple[int, int, float, str]]) -> None:
    """Runs do not touch another run of their owner: a match that was not cut is one run."""
    candidates = sorted([candidate(*span, place=place) for place, span in enumerate(spans)], key=by_start)
    found = list(runs(candidates, 0, 60))
    for one, other in itertools.pairwise(found):
        assert one.end <= other.start
        assert one.end < other.start or one.owner is not other.owner


def test_the_order_severity_length_score_start_place() -> None:
    assert owned([candidate(0, 9), candidate(2, 3, action="block")], 0, 9)[3].action == "block"
    assert owned([candidate(0, 5, 0.9), candidate(2, 8, 0.1)], 0, 10)[3].start == 2
    assert owned([candidate(0, 5, 0.1), candidate(2, 5, 0.9)], 0, 10)[3].start == 2
    assert owned([candidate(0, 5), candidate(2, 5)], 0, 10)[3].start == 0
    assert owned([candidate(0, 5, place=1), candidate(0, 5, place=0)], 0, 10)[3].rank[4] == 0


def test_a_hundred_thousand_matches_that_all_overlap_are_swept_once() -> None:
    """O(n log n): each match is looked at a bounded number of times."""
    candidates = [candidate(at, 50, place=at) for at in range(100_000)]
    assert sum(run.end - run.start for run in runs(candidates, 0, 100_050)) == 100_049
