"""Which finding a character belongs to when several cover it.

The order, strongest first: severity of the enforced action; length; score; start (earlier first); the rule's place in
the policies; type. Each character belongs to the strongest match that covers it. So whatever a rule was told to take
out is taken out, also where a stronger match covers a part of it only; and whose a character is depends on the matches
that cover it and on no chain of others, so that a stream can decide it as soon as no further match can start there.

A match that lost some of its characters to a stronger one is written once, at its first piece, and only as a label:
what a redaction or a hash of a part would mean nobody could say.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from guardrails.interface import Action


class Candidate:
    """A match that some rule enforces an action on. `start`, `end`: characters of its text."""

    __slots__ = ("action", "blocks", "end", "rank", "start", "type", "written")

    def __init__(
        self, start: int, end: int, score: float, type: str, action: Action, severity: int, place: int, blocks: bool
    ) -> None:
        self.start = start
        self.end = end
        self.type = type
        self.action: Action = action
        self.blocks = blocks
        self.written = False
        self.rank = (-severity, start - end, -score, start, place, type)
        """Sorts the stronger first."""


class Run(NamedTuple):
    """Characters that belong to one match."""

    start: int
    end: int
    owner: Candidate


def by_start(candidate: Candidate) -> int:
    return candidate.start


def runs(candidates: Sequence[Candidate], begin: int, end: int) -> Iterator[Run]:
    """The owned stretches of `begin..end`, in order. `candidates` are sorted by start. O(n log n)."""
    count = len(candidates)
    at = 0
    while at < count:
        cluster_end = candidates[at].end
        after = at + 1
        while after < count and candidates[after].start < cluster_end:
            cluster_end = max(cluster_end, candidates[after].end)
            after += 1
        if after == at + 1:
            only = candidates[at]
            start, stop = max(only.start, begin), min(only.end, end)
            if start < stop:
                yield Run(start, stop, only)
        else:
            yield from _contested(candidates[at:after], begin, end)
        at = after


def _contested(cluster: Sequence[Candidate], begin: int, end: int) -> Iterator[Run]:
    """Runs of matches that overlap: a sweep over their edges with the strongest on top of a heap."""
    edges = sorted({edge for c in cluster for edge in (c.start, c.end) if begin < edge < end} | {begin, end})
    active: list[tuple[tuple[int, int, float, int, int, str], int, Candidate]] = [
        (c.rank, number, c) for number, c in enumerate(cluster) if c.start <= begin
    ]
    heapify(active)
    coming = len(active)
    run: Run | None = None
    for left, right in pairwise(edges):
        while coming < len(cluster) and cluster[coming].start <= left:
            heappush(active, (cluster[coming].rank, coming, cluster[coming]))
            coming += 1
        while active and active[0][2].end <= left:
            heappop(active)
        owner = active[0][2] if active else None
        if run is not None and run.owner is owner:
            run = Run(run.start, right, run.owner)
            continue
        if run is not None:
            yield run
        run = None if owner is None else Run(left, right, owner)
    if run is not None:
        yield run
