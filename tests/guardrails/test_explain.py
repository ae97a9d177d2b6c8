"""What a text meets and why."""

import pytest

from guardrails.engine import PolicyEngine
from guardrails.explain import MOST, explain
from guardrails.policy import AllowList, Policy, Rule
from guardrails.scanner import Scanner
from tests.support.detectors import Accuser, Card, Failing, ReGate, mail
from tests.support.oracle import KEY

SCANNER = Scanner([mail(), Card()], [Accuser()], gate=ReGate)


def engine(*rules: Rule, scanner: Scanner = SCANNER) -> PolicyEngine:
    return PolicyEngine([Policy("p", rules)], scanner, key=KEY)


def test_every_match_for_every_rule_and_the_text_that_passes() -> None:
    found = explain(
        engine(
            Rule(id="a", detector="mail", action="mask", threshold=0.5),
            Rule(id="b", detector="card", action="redact", mode="warn"),
            Rule(id="c", detector="accuser", action="flag", threshold=0.9),
        ),
        "a@b.co 4111111111111111 evil",
    )
    assert found.text == "<EMAIL_ADDRESS> 4111111111111111 evil"
    assert [(m.type, m.policy_rule, m.outcome, m.threshold, m.mode) for m in found.matches] == [
        ("PROMPT_INJECTION", "c", "below_threshold", 0.9, "enforce"),
        ("EMAIL_ADDRESS", "a", "acted", 0.5, "enforce"),
        ("CREDIT_CARD", "b", "recorded", 0.0, "warn"),
    ]
    assert found.matches[1].digest == found.verdict.findings[0].digest


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        (Rule(id="a", detector="mail", types=frozenset(("X",))), "other_type"),
        (Rule(id="a", detector="mail", without=frozenset(("mail.one",))), "switched_off"),
        (Rule(id="a", detector="mail", threshold=0.91), "below_threshold"),
        (Rule(id="a", detector="mail", max_scan=2, beyond="allow"), "beyond_scan"),
        (Rule(id="a", detector="mail", allow=AllowList(frozenset(("a@b.co",)))), "allowed"),
        (Rule(id="a", detector="mail", action="flag"), "recorded"),
        (Rule(id="a", detector="mail", action="mask", rollout=0), "recorded"),
    ],
)
def test_why_a_match_is_not_acted_on(rule: Rule, outcome: str) -> None:
    (match,) = explain(engine(rule), "to a@b.co").matches
    assert match.outcome == outcome


def test_of_a_huge_text_the_beginning_is_explained_and_the_whole_is_judged() -> None:
    text = "x" * (MOST - 1) + " a@b.co"
    found = explain(engine(Rule(id="a", detector="mail", action="mask", max_scan=2 * MOST)), text)
    assert (found.matches, found.read) == ((), MOST)
    assert found.text == "x" * (MOST - 1) + " <EMAIL_ADDRESS>"


def test_what_is_blocked_has_no_text() -> None:
    found = explain(engine(Rule(id="a", detector="mail", action="block")), "a@b.co")
    assert (found.text, found.verdict.enforced) == (None, "block")


def test_a_detector_that_fails_shows_in_the_verdict() -> None:
    scanner = Scanner([Failing(mail(), "@")], gate=ReGate)
    found = explain(engine(Rule(id="a", detector="mail", on_failure="open"), scanner=scanner), "a@b.co")
    assert found.matches == ()
    assert found.verdict.failures[0].detector == "mail"


def test_where_no_rule_looks_nothing_is_explained() -> None:
    found = explain(engine(Rule(id="a", detector="mail", roles=frozenset(("tool",)))), "a@b.co \ud83d")
    assert (found.matches, found.text) == ((), "a@b.co \ud83d")
