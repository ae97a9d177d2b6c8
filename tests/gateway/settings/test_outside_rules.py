"""What is made of written outside rules: one detector for those that share it, and when it is waited for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.ner.config import ENTITIES, NerConfig
from gateway.settings.compile import compile_snapshot
from gateway.settings.guardrail_programs import GuardrailPrograms
from gateway.settings.load import load_config
from gateway.settings.outside_rules import LeakConfig, OutsideRule, collect
from gateway.settings.schema_guardrails import RuleSection

Write = Callable[..., Path]


def collected(*rules: dict[str, Any]) -> tuple[Any, list[Any]]:
    written = [RuleSection.model_validate(rule) for rule in rules]
    return collect([(("guardrails", "p", at), each, f"r{at}") for at, each in enumerate(written)])


def lakera(**more: Any) -> dict[str, Any]:
    return {"detect": "external", "service": "lakera", "url": "https://l.example", **more}


def test_options_reach_the_detector() -> None:
    rules, problems = collected(
        lakera(api_key="k", threshold=0.7, deadline="1s", cache="0", failures=2, back_off="3s", headers={"X-A": "b"})
    )
    assert problems == []
    config = rules.sources["external:r0"].config
    assert isinstance(config, ExternalConfig)
    assert (config.name, config.kind, config.base_url, config.api_key) == ("r0", "lakera", "https://l.example", "k")
    assert (config.threshold, config.deadline, config.cache_seconds, config.failures, config.back_off) == (
        0.7, 1.0, 0.0, 2, 3.0,
    )  # fmt: skip
    assert config.headers == {"X-A": "b"}


@pytest.mark.parametrize(
    ("more", "waits", "holds", "loud"),
    [
        ({"mode": "enforce"}, True, False, True),
        ({"mode": "enforce", "when": "alongside"}, False, False, True),
        ({"mode": "shadow"}, False, False, False),
        ({"mode": "warn"}, False, False, True),
        ({"mode": "enforce", "on": ["response"], "streams": "hold"}, True, True, True),
        ({"mode": "shadow", "on": ["response"], "streams": "hold"}, False, False, False),
        ({"mode": "enforce", "on": ["response"], "streams": "pass"}, True, False, True),
    ],
)
def test_only_a_rule_that_enforces_makes_anybody_wait(
    more: dict[str, Any], waits: bool, holds: bool, loud: bool
) -> None:
    """A rule that does not enforce never makes a request wait; holding a stream back is an action too."""
    rules, _ = collected(lakera(**more))
    assert rules.rules["r0"] == OutsideRule(
        source="external:r0", waits=waits, holds=holds, loud=loud, roles=frozenset()
    )


def test_rules_with_one_name_share_a_detector_and_say_the_same_of_it() -> None:
    rules, problems = collected(lakera(name="l", action="block"), lakera(name="l", mode="enforce", roles=["user"]))
    assert (list(rules.sources), problems) == (["external:l"], [])
    _, problems = collected(lakera(name="l"), lakera(name="l", deadline="9s"))
    assert [path for path, _ in problems] == [("guardrails", "p", 1, "name")]


def test_rules_of_names_share_their_workers_whatever_they_look_for() -> None:
    rules, problems = collected({"detect": "ner", "entities": ["PERSON"]}, {"detect": "ner", "entities": ["LOCATION"]})
    assert problems == []
    assert rules.sources["ner"].config == NerConfig(entities=ENTITIES)
    _, problems = collected({"detect": "ner"}, {"detect": "ner", "workers": 2})
    assert "worker processes" in problems[0][1]


def test_a_leak_rule_has_its_own_canaries_and_never_shows_them() -> None:
    rules, _ = collected({"detect": "prompt_leak", "canaries": ["CANARY"]}, {"detect": "prompt_leak"})
    assert rules.sources["prompt_leak:r0"].config == LeakConfig(("CANARY",))
    assert rules.sources["prompt_leak"].config == LeakConfig()
    assert "CANARY" not in repr(rules)


def programs(path: Path) -> GuardrailPrograms:
    found = compile_snapshot(load_config(path, env={}), clock=ManualClock()).guardrails
    assert found is not None
    return found


RULES = """\
prices: off
teams: {a: {guardrails: p}, b: {guardrails: q}, c: {guardrails: [p, q]}}
guardrails:
  p: [{detect: pii, action: mask}]
  q: [{detect: external, id: l, service: lakera, url: 'https://l.example', api_key: SECRET, entities: [PERSON]}]
"""


def test_outside_rules_have_an_engine_of_their_own(write: Write, minimal: str) -> None:
    """Nothing changes for teams without them; a team that has no others is inspected all the same."""
    found = programs(write(minimal + RULES))
    assert sorted(found.engines) == ["a", "b", "c"]
    assert sorted(found.outside_engines) == ["b", "c"]
    assert [found.engines[team].inspects("request", "x") for team in "abc"] == [True, False, True]
    assert found.outside_engines["b"].rules("request", "x") == [("l", "external:l")]
    assert found.outside_engines["b"].rules("response", "x") == ()
    assert found.unasked("p", "q") == ["l"]
    assert [len(policy.rules) for policy in found.inside("p", "q")] == [1, 0]
    assert "SECRET" not in repr(found.outside)


def test_a_shared_name_that_differs_is_told_with_its_place(write: Write, minimal: str) -> None:
    rules = RULES.replace("id: l,", "id: l, name: n,") + (
        "  r: [{detect: external, name: n, service: lakera, url: 'https://m.example'}]\n"
    )
    with pytest.raises(ConfigError, match=r"gateway\.yaml:11:.*must say the same of it"):
        programs(write(minimal + rules))
