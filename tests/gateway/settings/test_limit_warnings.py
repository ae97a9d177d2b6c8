"""Rules that are right and do nothing are told of."""

import pytest

from gateway.settings.compile_limits import compile_limits
from gateway.settings.limit_warnings import limit_warnings, unpriced_warnings
from gateway.settings.schema import Root

BASE = {
    "providers": {name: {"dialect": "openai", "base_url": "https://h"} for name in ("p", "q")},
    "models": {
        "gpt": {"targets": [{"provider": "p"}], "fallbacks": ["backup"]},
        "backup": {"targets": [{"provider": "q"}], "fallbacks": ["gpt"]},
        "mini": {"targets": [{"provider": "p"}]},
        "local/*": {"targets": [{"provider": "p"}]},
    },
    "teams": {
        "a": {"models": ["gpt"], "keys": [{"id": "k", "hash": "sha256:…"}]},
        "b": {"keys": [{"id": "l", "hash": "sha256:…"}]},
    },
}


def warnings(rule: dict[str, object], **more: object) -> list[str]:
    rules = [{"name": "x", "per": "day", **rule}]
    root = Root.model_validate({**BASE, **more, "limits": {**more.get("limits", {}), "rules": rules}})
    return list(limit_warnings(root, compile_limits(root), {"made": "b"}))


@pytest.mark.parametrize(
    ("match", "why"),
    [
        ({"team": "b", "key": "k"}, "the key 'k' is of team 'a'"),
        ({"team": "a", "key": "made"}, "the key 'made' is of team 'b'"),
        ({"team": "a", "model": "mini"}, "team 'a' may not use 'mini'"),
        ({"key": "k", "model": "mini"}, "team 'a' may not use 'mini'"),
        ({"provider": "q", "model": "mini"}, "provider 'q' does not serve 'mini'"),
        ({"operation": "passthrough", "model": "mini"}, "what is passed through names no model"),
    ],
)
def test_a_rule_that_can_never_match(match: dict[str, object], why: str) -> None:
    assert warnings({"requests": "5", "match": match}) == [f"limits.rules.x can never match: {why}"]


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"team": ["a", "b"], "key": "k"},
        {"team": ["a", "b"], "model": "mini"},
        {"team": "b", "key": "made"},
        {"team": "a", "model": "g*"},
        {"provider": "q", "model": "gpt"},
        {"provider": "p", "model": "local/*"},
        {"provider": "p", "model": "local/x"},
        {"operation": ["passthrough", "messages"], "model": "gpt"},
    ],
)
def test_a_rule_that_can_match_is_not_told_of(match: dict[str, object]) -> None:
    assert warnings({"requests": "5", "match": match}) == []


def test_what_has_no_output_cannot_be_limited_by_it() -> None:
    found = warnings({"output_tokens": "5", "match": {"operation": "embeddings"}})
    assert found == ["limits.rules.x can never match: embeddings has no output tokens"]


def test_a_model_that_is_downgraded_to_itself_is_never_refused() -> None:
    action = {"when_exhausted": {"downgrade": "mini"}}
    told = "limits.rules.x counts 'mini', the model it downgrades to, too: requests for that are never refused"
    assert warnings({"requests": "5", "match": {"model": ["gpt", "m*"]}, **action}) == [told]
    assert warnings({"requests": "5", "match": {"model": "gpt"}, **action}) == []
    assert warnings({"requests": "5", **action}) == []


def budget(name: str, model: str, to: str, **match: object) -> dict[str, object]:
    match = {"model": model, **match}
    return {"name": name, "usd": "5 USD", "per": "day", "match": match, "when_exhausted": {"downgrade": to}}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([budget("y", "gpt", "mini"), budget("z", "mini", "gpt")], ["limits.rules.y, limits.rules.z"]),
        (
            [budget("w", "gpt", "mini"), budget("y", "mini", "backup"), budget("z", "backup", "gpt")],
            ["limits.rules.w, limits.rules.y, limits.rules.z"],
        ),
        ([budget("y", "gpt", "mini"), budget("z", "mini", "backup")], []),
        ([budget("y", "gpt", "mini", team="a"), budget("z", "mini", "gpt", team="b")], []),
    ],
)
def test_downgrades_that_come_round(rules: list[dict[str, object]], told: list[str]) -> None:
    """A chain ends somewhere; a circle lets in what it should refuse."""
    root = Root.model_validate({**BASE, "limits": {"rules": rules}})
    found = list(limit_warnings(root, compile_limits(root), {}))
    assert found == [f"{ids} downgrade in a circle: what comes round is never refused" for ids in told]


def test_money_is_not_counted_of_what_has_no_price() -> None:
    rules = [budget("x", "gpt", "mini"), {"name": "y", "requests": 5, "per": "day", "match": {"model": "mini"}}]
    root = Root.model_validate({**BASE, "limits": {"rules": rules}})
    program = compile_limits(root)
    assert list(unpriced_warnings(program, {"backup": ["q/backup"]})) == []
    assert list(unpriced_warnings(program, {"gpt": ["p/gpt"], "mini": ["p/mini"]})) == [
        "limits.rules.x counts nothing of 'gpt' that p/gpt serves: no price is known for it",
        "limits.rules.x downgrades to 'mini', and counts nothing of it that p/mini serves: no price is known for it",
    ]
    assert list(unpriced_warnings(None, {"gpt": ["p/gpt"]})) == []


def test_a_key_that_is_not_there_yet() -> None:
    (found,) = warnings({"requests": "5", "match": {"key": "later"}})
    assert found.startswith("limits.rules.x matches a key 'later' that is not in these files")


def test_options_without_effect() -> None:
    assert warnings({"usd": "1 USD"}, prices="off") == [
        "limits.rules.x counts nothing: prices are off, so no request has a cost"
    ]
    assert warnings({"requests": "1"}, limits={"store": "redis://h"}) == []
    nobody = {"wait": {"longest": "0s", "queue": "0"}}
    assert warnings({"requests": "1", "wait": "2s"}, limits=nobody) == [
        "limits.rules.x lets nobody wait: limits.wait.queue is 0"
    ]
    assert warnings({"requests": "1"}, limits=nobody) == []
    assert list(limit_warnings(Root.model_validate({"limits": {}}), None, {})) == []


def test_what_is_not_leased_is_said() -> None:
    steady = {"requests": 600, "per": "minute", "burst": 20}
    assert warnings(steady, limits={"lease": "5%", "store": "redis://h"}) == [
        "limits.rules.x has a burst, and is asked for in the store at every request: what it holds for is not leased"
    ]
    assert warnings({"requests": 600}, limits={"lease": "5%"}) == [
        "limits.lease has no effect: limits in memory are not asked for elsewhere"
    ]
    assert warnings(steady) == []
