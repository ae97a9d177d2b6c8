"""Incidents open once, worsen, hold, resolve, and come back as the same."""

from itertools import count, pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.incidents.book import AGAIN, QUIET, Book
from gateway.incidents.detect import Finding

S = 10**9
RESOLVE = 60.0


def finding(level: str = "firing", severity: str = "page", subject: str = "p", **more: object) -> Finding:
    return Finding(signal="provider", subject=subject, severity=severity, level=level, title=f"{subject}!", **more)


class Rig:
    """A book whose clock is turned by hand."""

    def __init__(self) -> None:
        self.now = 1000
        numbers = count(1)
        self.book = Book((), 0, lambda: f"inc-{next(numbers)}", "here")

    def __call__(self, *findings: Finding, after: float = 5) -> list[str]:
        self.now += round(after)
        steps = self.book.observe(findings, self.now * S, float(self.now), RESOLVE)
        return [f"{step.happened} {step.incident.id}" for step in steps]


def test_a_life() -> None:
    rig = Rig()
    assert rig(finding(severity="ticket")) == ["opened inc-1"]
    assert rig(finding(severity="ticket")) == []
    assert rig(finding()) == ["worsened inc-1"]
    assert rig(finding(severity="ticket")) == [], "it is not told to be better before it is over"
    assert rig.book.open[0].severity == "page"
    assert rig(finding("holding"), after=300) == []
    assert rig(after=59) == []
    assert rig(after=1) == ["resolved inc-1"]
    assert rig.book.open == []
    assert rig(finding(), after=AGAIN - 1) == ["reopened inc-1"]
    assert rig(after=RESOLVE) == ["resolved inc-1"]
    assert rig(finding(), after=AGAIN) == ["opened inc-2"]


def test_since_is_what_the_finding_says() -> None:
    rig = Rig()
    rig(finding(since=990.0))
    (incident,) = rig.book.open
    assert (incident.since_ns, incident.opened_ns) == (990 * S, 1005 * S)
    assert incident.gateway == "here"


def test_holding_and_quiet_open_nothing() -> None:
    rig = Rig()
    assert rig(finding("holding"), finding("quiet", subject="q")) == []


def test_what_is_quiet_stays_open_for_ten_minutes() -> None:
    rig = Rig()
    rig(finding())
    assert rig(finding("quiet"), after=QUIET - 1) == []
    assert rig(finding("quiet"), after=1) == ["resolved inc-1"]


def test_what_was_well_before_it_went_quiet_is_over() -> None:
    rig = Rig()
    rig(finding())
    assert rig() == []
    assert rig(finding("quiet"), after=RESOLVE) == ["resolved inc-1"]


def test_some_must_go_on_for_a_while() -> None:
    rig = Rig()
    slow = finding(after=30.0)
    assert rig(slow) == []
    assert rig(after=20) == [], "it went away: begin anew"
    assert rig(slow) == []
    assert rig(slow, after=29) == []
    assert rig(slow, after=1) == ["opened inc-1"]
    assert rig.book.open[0].since_ns == (rig.now - 30) * S


def test_those_of_before_are_given_time() -> None:
    rig = Rig()
    rig(finding())
    later = Book(rig.book.open, 2000 * S, lambda: "new", "here")
    assert later.observe([], 2059 * S, 2059.0, RESOLVE) == []
    assert [each.happened for each in later.observe([], 2060 * S, 2060.0, RESOLVE)] == ["resolved"]
    again = Book(rig.book.open, 2000 * S, lambda: "new", "here")
    assert again.observe([finding()], 2010 * S, 2010.0, RESOLVE) == [], "found again: no second incident"


@given(st.lists(st.tuples(st.sampled_from(["firing", "holding", "quiet", ""]), st.integers(1, 400)), max_size=40))
def test_told_in_turns(rounds: list[tuple[str, int]]) -> None:
    """Whatever comes: an incident is opened before it is resolved, never twice in a row; nothing is open that was not
    told, and at most one of a subject."""
    rig = Rig()
    told: list[str] = []
    for level, after in rounds:
        told += [each.split()[0] for each in rig(*([finding(level)] if level else []), after=after)]
        assert len(rig.book.open) <= 1
        assert len(rig.book.open) == sum({"resolved": -1}.get(each, 1) for each in told)
    for one, other in pairwise(told):
        assert (one == "resolved") != (other == "resolved")


def test_replaced_by_what_another_gateway_told() -> None:
    rig = Rig()
    rig(finding())
    rig.book.replace(msgspec.structs.replace(rig.book.open[0], id="theirs"))
    assert rig(after=RESOLVE) == ["resolved theirs"]
