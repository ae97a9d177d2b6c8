"""Detectors judged: the sums are right, whatever the corpus."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.actions import Hasher
from guardrails.corpus import Row, Span
from guardrails.detector import Expression, Hit, Match, Reach
from guardrails.evaluation import Evaluation, Report, wilson
from guardrails.matching.gate import open_gate
from guardrails.policy import AllowList, Policy, Rule
from guardrails.scanner import Scanner


class Capitals:
    """Finds every capital letter; X is surer than the others."""

    name = "capitals"
    expressions: Sequence[Expression] = (Expression("[A-Z]"),)
    reach = Reach(1)

    def confirm(self, text: str, hits: Sequence[Hit]) -> list[Match]:
        return [
            Match("X" if char == "X" else "CAPITAL", at, at + 1, 0.9 if char == "X" else 0.5, "capital")
            for at, char in enumerate(text)
            if "A" <= char <= "Z"
        ]

    def settled(self, text: str) -> int:
        return len(text)


class Shouting:
    """Judges texts that hold an exclamation mark; of tools, all of them."""

    name = "moderation"

    def judge(self, text: str, role: str) -> list[Match]:
        return [Match("loud", 0, len(text), 0.8, "loud")] if "!" in text or role == "tool" else []


class Ticks:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1000
        return self.now


def judged(rows: list[Row], *rules: Rule) -> Report:
    policy = Policy("p", rules or (Rule(id="a", detector="capitals"), Rule(id="b", detector="moderation")))
    scanner = Scanner([Capitals()], [Shouting()], gate=open_gate)
    types = {"capitals": frozenset({"X", "CAPITAL"}), "moderation": frozenset({"loud"})}
    evaluation = Evaluation([policy], scanner, types, Hasher(b"k"), Ticks())
    for row in rows:
        evaluation.add(row)
    return evaluation.report()


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_share(hits: int, misses: int) -> None:
    """Wilson 1927: the interval lies in [0, 1], holds the share, and shrinks as more is seen."""
    total = hits + misses
    found = wilson(hits, total)
    if total == 0:
        assert found is None
        return
    assert found is not None
    low, high = found
    assert 0.0 <= low <= hits / total + 1e-12
    assert hits / total - 1e-12 <= high <= 1.0
    wider, more = high - low, wilson(4 * hits, 4 * total)
    assert more is not None
    assert more[1] - more[0] < wider


def test_an_interval_of_the_text_books() -> None:
    """Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662, 0 of 20 is 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


LABELLED = st.lists(
    st.builds(Row, st.text("aB! ", max_size=4), st.sampled_from(["attack", "benign"]), source=st.sampled_from("st")),
    max_size=20,
)


@given(LABELLED)
def test_shares_are_of_attacks_and_of_benign_texts(rows: list[Row]) -> None:
    """'an attack ought to be found by every detector, a benign text by none', by source and together."""
    report = judged(rows)
    for name, sign in (("capitals", "B"), ("moderation", "!")):
        found = report.detectors[name]
        for source, part in [*found.by_source.items(), (None, found)]:
            here = [row for row in rows if source in (None, row.source)]
            attacks = [sign in row.text for row in here if row.label == "attack"]
            benign = [sign in row.text for row in here if row.label == "benign"]
            assert (part.attacks, part.benign) == (len(attacks), len(benign))
            assert part.recall == (sum(attacks) / len(attacks) if attacks else None)
            assert part.false_positive_rate == (sum(benign) / len(benign) if benign else None)
    assert report.texts == len(rows)


def test_categories_speak_of_moderation_alone() -> None:
    rows = [Row("A!", categories={"loud": 1, "odd": 0}), Row("B", categories={"loud": 0}), Row("c!", categories=())]
    report = judged(rows)
    assert report.detectors["capitals"].by_source == {}
    found = report.detectors["moderation"]
    assert (found.attacks, found.recall, found.benign, found.false_positive_rate) == (1, 1.0, 2, 0.5)


def test_spans_are_covered_by_half() -> None:
    """'a span counts as found when matches of its type cover half of it or more', and the other way round."""
    rows = [
        Row("ABcd XX", spans=(Span("CAPITAL", 0, 4), Span("X", 5, 7))),
        Row("ABcde", spans=(Span("CAPITAL", 0, 5),)),
        Row("C", spans=(Span("PERSON", 0, 1),)),
    ]
    report = judged(rows)
    capital, x, person = (report.entities[name] for name in ("CAPITAL", "X", "PERSON"))
    assert (capital.gold, capital.recall, capital.matches, capital.precision) == (2, 0.5, 5, 0.8)
    assert (x.gold, x.recall, x.matches, x.precision) == (1, 1.0, 2, 1.0)
    assert (person.gold, person.recall, person.matches, person.precision) == (1, 0.0, 0, None)
    found = report.detectors["capitals"]
    assert (found.attacks, found.recall, found.benign, found.false_positive_rate) == (2, 1.0, 1, 1.0)
    assert report.detectors["moderation"].by_source == {}


def test_names_of_public_corpora() -> None:
    report = judged([Row("a", spans=(Span("DOMAIN_NAME", 0, 1),))])
    assert report.entities["URL"].gold == 1


def test_rules_decide_what_is_a_finding() -> None:
    """'type, threshold, switched-off rules and allow-lists count; mode, rollout, direction and teams do not'."""
    rows = [Row("X", "attack"), Row("A", "attack"), Row("B", "attack")]
    for rule, recall in (
        (Rule(id="a", detector="capitals", mode="shadow", rollout=0.0, teams=frozenset({"t"})), 1.0),
        (Rule(id="a", detector="capitals", threshold=0.9), 1 / 3),
        (Rule(id="a", detector="capitals", thresholds={"X": 0.95}), 2 / 3),
        (Rule(id="a", detector="capitals", types=frozenset({"X"})), 1 / 3),
        (Rule(id="a", detector="capitals", without=frozenset({"capital"})), 0.0),
        (Rule(id="a", detector="capitals", allow=AllowList(values=frozenset({"A"}))), 2 / 3),
        (Rule(id="a", detector="capitals", allow=AllowList(digests=frozenset({Hasher(b"k").digest("b")}))), 2 / 3),
        (Rule(id="a", detector="capitals", roles=frozenset({"tool"})), 0.0),
    ):
        assert judged(rows, rule).detectors["capitals"].recall == recall


def test_latency_counts_the_gate_where_it_is_needed() -> None:
    report = judged([Row("a!", "attack")] * 3)
    assert report.detectors["capitals"].latency_us.p50 == 2.0
    assert report.detectors["moderation"].latency_us.p99 == 1.0


def test_of_several_rules_any_may_find_it() -> None:
    surer, x = Rule(id="a", detector="capitals", threshold=0.95), Rule(id="b", detector="capitals", threshold=0.4)
    found = judged([Row("A", "attack", role="tool")], surer, x).detectors
    assert (list(found), found["capitals"].threshold, found["capitals"].recall) == (["capitals"], 0.4, 1.0)
