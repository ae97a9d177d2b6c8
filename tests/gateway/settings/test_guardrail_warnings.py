"""What `tollway check` says of guardrail rules that are legal and do not do what is probably meant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.settings.guardrail_rules import place_rules
from gateway.settings.guardrail_warnings import guardrail_warnings
from gateway.settings.load import load_config

Write = Callable[..., Path]
HEAD = "prices: off\nsecrets: {key_hash: server-secret-0123456789}\n"
MASK = "detect: pii, action: mask, mode: enforce"
BLOCK = "detect: pii, action: block, mode: enforce"


def warned(write: Write, minimal: str, *rules: str) -> list[str]:
    written = "".join(f"    - {{{rule}}}\n" for rule in rules)
    text = f"{HEAD}guardrails:\n  p:\n{written}teams:\n  s: {{guardrails: p}}\n  other: {{}}\n"
    return said_of(write(minimal + text))


def said_of(config: Path) -> list[str]:
    """Without the detectors, which take their time and have nothing to do with it."""
    written = load_config(config, env={})
    placed, problems = place_rules(written.root.guardrails, written.terms)
    assert not problems
    return list(guardrail_warnings(written.root, placed))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("detect: pii, beyond: scan_head_and_tail", "answers are scanned whole, whatever beyond says"),
        ("detect: pii, rollout: 10%", "rollout has no effect in mode shadow"),
        (f"{MASK}, rollout: 0%", "rollout: 0% leaves it in shadow for everybody"),
        ("detect: pii, mode: warn, bounds: {latency: 2ms}", "bounds take a rule to shadow that is enforced"),
        (f"{MASK}, teams: []", "teams: [] means all of them"),
        (f"{MASK}, roles: []", "roles: [] means all of them"),
        (f"{MASK}, operations: []", "operations: [] means all of them"),
        (f"{MASK}, teams: [s, other]", "the team 'other' does not use the policy 'p'"),
        (f"{MASK}, on: [response], operations: [embeddings]", "answers of embeddings hold no text"),
        (f"{MASK}, on: [response], roles: [user]", "answers have no texts of the roles user"),
        (f"{MASK}, on: [request], roles: [output]", "requests have no texts of the roles output"),
        (f"{MASK}, operations: [completions], roles: [user]", "texts of completions have the roles input and output"),
        (f"{BLOCK}, answer: No., operations: [embeddings]", "embeddings cannot be answered with a text"),
        (
            "detect: patterns, threshold: 0.9, patterns: [{name: x, regex: abc, score: 0.5}]",
            "pattern 'x' has the score 0.5, less than the threshold 0.9: it is never found",
        ),
        ("detect: prompt_leak, streams: pass, canaries: [abc]", "a canary of fewer than 8 characters"),
    ],
)
def test_a_rule_that_cannot_do_what_it_says(write: Write, minimal: str, rule: str, said: str) -> None:
    found = warned(write, minimal, rule)
    assert len(found) == 1, found
    assert said in found[0]
    assert found[0].startswith("guardrail rule p.")


@pytest.mark.parametrize(
    "rule",
    [
        f"{MASK}, rollout: 10%, bounds: {{latency: 2ms}}",
        f"{MASK}, operations: [embeddings], roles: [input]",
        f"{MASK}, operations: [embeddings]",
        f"{MASK}, on: [request, response], roles: [user]",
        f"{MASK}, on: [response], roles: [tool]",
        f"{MASK}, teams: [s]",
        f"{BLOCK}, answer: No., operations: [embeddings, chat.completions]",
        "detect: prompt_leak, streams: pass, canaries: [abcdefgh]",
    ],
)
def test_a_rule_that_does_what_it_says(write: Write, minimal: str, rule: str) -> None:
    assert warned(write, minimal, rule) == []


@pytest.mark.parametrize(
    ("weak", "strong", "never"),
    [
        (MASK, BLOCK, True),
        (f"{MASK}, entities: [EMAIL_ADDRESS]", BLOCK, True),
        (f"{MASK}, on: [request], teams: [s]", BLOCK, True),
        (MASK.replace("mask", "hash"), MASK, True),
        (MASK, f"{BLOCK}, entities: [EMAIL_ADDRESS]", False),
        (MASK, f"{BLOCK}, on: [request]", False),
        (MASK, f"{BLOCK}, threshold: 0.9", False),
        (MASK, f"{BLOCK}, rollout: 10%", False),
        (MASK, f"{BLOCK}, roles: [user]", False),
        (MASK, f"{BLOCK}, allow: {{values: [a@b.de]}}", False),
        (MASK, f"{BLOCK}, without: [pii.email_address]", False),
        (MASK, BLOCK.replace("enforce", "shadow"), False),
        (MASK, "detect: pii, reroute: gpt-4o, mode: enforce, on: [request]", False),
        (MASK, MASK, False),
    ],
)
def test_a_rule_that_another_one_leaves_nothing_to(
    write: Write, minimal: str, weak: str, strong: str, never: bool
) -> None:
    """Of a masked and a blocked entity only the block is seen; where one of them looks at less, both act."""
    for rules, id_ in (((weak, strong), "p.pii.1"), ((strong, weak), "p.pii.2")):
        found = warned(write, minimal, *rules)
        assert any(f"{id_}: it never acts" in warning for warning in found) == never, found


def test_policies_that_nobody_meets(write: Write, minimal: str) -> None:
    text = f"{HEAD}guardrails: {{p: [], unused: [{{{MASK}}}]}}\nteams: {{s: {{guardrails: p}}}}\n"
    assert set(said_of(write(minimal + text))) == {
        "the guardrail policy 'p' has no rules: nothing is looked for",
        "no team uses the guardrail policy 'unused'",
    }
