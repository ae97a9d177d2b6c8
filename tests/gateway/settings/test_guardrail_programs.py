"""Engines for policies that are asked for by name."""

import pytest

from gateway.settings.guardrail_programs import GuardrailPrograms, team_engine
from gateway.settings.workshop import Part, Workshop
from guardrails.interface import Segment
from guardrails.policy import Policy, PolicyError, Rule
from guardrails.words.terms import TermList


def programs() -> GuardrailPrograms:
    scanner = Workshop().scanner([Part("terms", "names", (TermList("names", "CUSTOMER", ("Acme",)),))])
    everybody = Rule(id="p.1", detector="names", action="mask")
    one = Rule(id="q.1", detector="names", action="block", teams=frozenset({"search"}))
    policies = {"p": Policy("p", (everybody,)), "q": Policy("q", (one,))}
    return GuardrailPrograms(
        policies=policies, engines={}, scanner=scanner, bounds={}, types={}, backend="", key=b"CANARY"
    )


def test_policies_compose_and_a_team_has_rules_of_its_own() -> None:
    found = programs()
    segments = [Segment("text", "user", "from Acme")]
    assert found.engine("p", "q").inspect(segments, "request").enforced == "mask"
    assert found.engine("p", "q", team="search").inspect(segments, "request").enforced == "block"


def test_unknown_names_and_detectors_are_errors() -> None:
    found = programs()
    with pytest.raises(KeyError):
        found.engine("r")
    with pytest.raises(PolicyError, match="there is no detector 'nobody'"):
        team_engine([Policy("p", (Rule(id="a", detector="nobody"),))], found.scanner, b"", "")


def test_the_key_is_not_shown() -> None:
    assert repr(programs()) == "<GuardrailPrograms of p, q>"
