"""Policies compiled: what runs where."""

import math

from guardrails.glance import LARGEST
from guardrails.interface import Direction
from guardrails.pii import PiiDetector
from guardrails.policy import Policy, Rule
from guardrails.program import WORD, CompiledRule, Plans, Program
from guardrails.scanner import Scanner
from guardrails.secrets.detector import SecretDetector
from tests.support.detectors import Accuser, Card, Overlapping, ReGate, mail

SCANNER = Scanner([mail(), Card(), Overlapping("xs", "x")], [Accuser()], gate=ReGate)


def program(*rules: Rule, direction: Direction = "request") -> Program:
    return Program([CompiledRule(rule, "p", place) for place, rule in enumerate(rules)], SCANNER, direction)


def test_only_detectors_that_some_rule_asks_for_run() -> None:
    one = program(Rule(id="c", detector="card"))
    assert one.detectors == (1,)
    assert one.quick
    assert one.before == 1
    assert one.reach == {1: 20}
    assert not program(Rule(id="x", detector="xs")).gated
    assert not program(Rule(id="a", detector="accuser")).quick


def test_what_is_off_compiles_to_nothing() -> None:
    plans = Plans(
        [Policy("p", (Rule(id="c", detector="card", on=frozenset(("request",)), roles=frozenset(("user",))),))],
        SCANNER,
        "",
    )
    assert plans.plan("response", "chat") is None
    plan = plans.plan("request", "chat")
    assert plan is not None
    assert plan.program("system") is None
    assert plan.program("user") is not None


def test_a_team_that_no_rule_names_has_no_plan() -> None:
    plans = Plans([Policy("p", (Rule(id="c", detector="card", teams=frozenset(("a",))),))], SCANNER, "b")
    assert plans.rules == ()
    assert plans.plan("request", "") is None


def test_how_far_rules_look_together() -> None:
    capped = program(Rule(id="a", detector="card", max_scan=10), Rule(id="b", detector="mail", max_scan=50))
    assert (capped.shortest, capped.cap, capped.both_ends) == (10, 50, False)
    ends = Rule(id="a", detector="card", max_scan=10, beyond="scan_head_and_tail")
    assert (program(ends).cap, program(ends).both_ends) == (10, True)
    assert math.isinf(program(ends, direction="response").cap)
    compiled = CompiledRule(ends, "p", 0)
    assert [at for at in range(100) if compiled.reaches(at, 100)] == [*range(5), *range(95, 100)]
    assert all(compiled.reaches(at, math.inf) for at in range(100))
    assert all(compiled.reaches(at, 10) for at in range(10))


def test_a_glance_says_enough_only_where_the_gate_alone_decides() -> None:
    """`Plan.glanced`: nothing beside the gate looks, and no expression depends on where a text begins or ends."""

    def glanced(*rules: Rule) -> float:
        plan = Plans([Policy("p", rules)], SCANNER, "").plan("request", "")
        assert plan is not None
        return plan.glanced

    assert glanced(Rule(id="c", detector="card")) == LARGEST
    assert glanced(Rule(id="c", detector="card", max_scan=100), Rule(id="m", detector="mail")) == 100
    assert glanced(Rule(id="c", detector="card"), Rule(id="x", detector="xs")) == 0
    assert glanced(Rule(id="c", detector="card"), Rule(id="a", detector="accuser", roles=frozenset(("user",)))) == 0


def test_only_expressions_of_used_detectors_count() -> None:
    plan = Plans([Policy("p", (Rule(id="c", detector="card"),))], SCANNER, "").plan("request", "")
    assert plan is not None
    assert {SCANNER.owners[at] for at in plan.counted} == {1}
    one = program(Rule(id="c", detector="card"))
    assert [math.isinf(lead) for lead in one.lead_of] == [number != 1 for number in SCANNER.owners]


def test_words_are_held_without_asking_only_where_all_detectors_are_wordwise() -> None:
    assert program(Rule(id="c", detector="card")).word == -1
    shipped = Scanner([PiiDetector(), SecretDetector()], gate=ReGate)
    rules = [CompiledRule(Rule(id=name, detector=name), "p", 0) for name in ("pii", "secrets")]
    assert Program(rules, shipped, "response").word == WORD
    plates = Scanner([PiiDetector(frozenset(("DE_KFZ",)))], gate=ReGate)
    assert Program(rules[:1], plates, "response").word == -1
