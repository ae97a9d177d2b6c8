"""Which counters a request counts on, from the written form: an interpreter that knows nothing of programs agrees."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.limits.program import LimitProgram
from gateway.quota import Bound, Calendar, Rolling, Smooth
from gateway.settings.compile_limits import (
    budgets_of,
    compile_limit_options,
    compile_limits,
    window_of,
)
from gateway.settings.schema import Root
from gateway.settings.schema_limits import LimitsSection

TEAMS, MODELS, PROVIDERS = ("a", "b", "c"), ("gpt", "gpt-4", "local/x"), ("p", "q")
OPERATIONS = ("chat.completions", "embeddings")
KEYS = {"a1": "a", "a2": "a", "b1": "b", "stored": "c"}
KINDS = ("requests_per_minute", "tokens_per_day", "concurrent")

amounts = st.integers(1, 9)
limits = st.dictionaries(st.sampled_from(KINDS), st.just("off") | amounts.map(str), max_size=3)
budget = st.fixed_dictionaries(
    {"amount": amounts.map(lambda n: f"{n} USD")},
    optional={"models": st.sampled_from(["gpt", "gpt*", ["gpt", "local/*"]]), "per": st.sampled_from(["day", "month"])},
)
budgets = budget | st.lists(budget, max_size=3).map(
    lambda each: [one if not at else {**one, "name": f"n{at}"} for at, one in enumerate(each)]
)
own = st.fixed_dictionaries({}, optional={"limits": limits, "budget": budgets})


def some(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=2)


match = st.fixed_dictionaries(
    {},
    optional={
        "team": some(TEAMS),
        "key": some(tuple(KEYS)),
        "model": some((*MODELS, "gpt*", "*")),
        "provider": some(PROVIDERS),
        "operation": some(OPERATIONS),
        "tag": st.dictionaries(st.sampled_from(("env", "who")), some(("x", "y")), max_size=2),
    },
)
rule = st.fixed_dictionaries(
    {
        "match": match,
        "each": st.lists(
            st.sampled_from(("team", "key", "model", "provider", "operation", "tag:env", "tag:who")),
            max_size=3,
            unique=True,
        ),
        "requests": amounts.map(str),
        "per": st.just("minute"),
    }
)
rules = st.lists(rule, max_size=4).map(lambda each: [{"name": f"r{at}", **one} for at, one in enumerate(each)])
zones = st.sampled_from([{}, {"zone": "Europe/Berlin"}])


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    teams: dict[str, Any] = {name: {**draw(own), **draw(zones)} for name in TEAMS}
    for name in ("a", "b"):
        teams[name]["keys"] = [
            {"id": key, "hash": "sha256:…", **draw(own)} for key, team in KEYS.items() if team == name
        ]
    return {"teams": teams, "limits": {"defaults": {"team": draw(own), "key": draw(own)}, "rules": draw(rules)}}


requests = st.fixed_dictionaries(
    {
        "key": st.sampled_from(tuple(KEYS)),
        "model": st.sampled_from((*MODELS, "")),
        "provider": st.sampled_from(PROVIDERS),
        "operation": st.sampled_from(OPERATIONS),
        "tags": st.dictionaries(st.sampled_from(("env", "who")), st.sampled_from(("x", "y", "z"))),
    }
).map(lambda request: {**request, "team": KEYS[request["key"]]})


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def fits(pattern: str, model: str) -> bool:
    return bool(model) and (model.startswith(pattern.rstrip("*")) if "*" in pattern else model == pattern)


def own_rules(config: dict[str, Any], kind: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    default = config["limits"]["defaults"][kind]
    if kind == "team":
        return config["teams"][name], default
    keys = {key["id"]: key for team in config["teams"].values() for key in team.get("keys", ())}
    return keys.get(name, {}), default


def naively(config: dict[str, Any], request: dict[str, Any], provider: bool) -> Iterator[tuple[str, int]]:
    """Counters and amounts, read off the written form: an owner's own value, or else the default of the same kind."""
    for kind in ("team", "key") if not provider else ():
        mine, default = own_rules(config, kind, request[kind])
        for one in listed(mine.get("budget", default.get("budget", []))):
            if "models" not in one or any(fits(each, request["model"]) for each in listed(one["models"])):
                ending = f".{one['name']}" if "name" in one else ""
                yield f"{kind}s.{request[kind]}.budget{ending}", int(one["amount"].split()[0]) * 10**9
        for name in KINDS:
            amount = mine.get("limits", {}).get(name) or default.get("limits", {}).get(name) or "off"
            if amount != "off":
                yield f"{kind}s.{request[kind]}.{name}", int(amount)
    for one in config["limits"]["rules"]:
        wanted, each = one["match"], one["each"]
        if ("provider" in wanted or "provider" in each) is not provider:
            continue
        plain = all(
            request[name] in listed(wanted[name]) for name in ("team", "key", "provider", "operation") if name in wanted
        )
        models = "model" not in wanted or any(fits(pattern, request["model"]) for pattern in listed(wanted["model"]))
        tags = all(request["tags"].get(name) in listed(values) for name, values in wanted.get("tag", {}).items())
        if plain and models and tags:
            values = [request["tags"].get(name[4:], "") if ":" in name else request[name] for name in each]
            yield ":".join([f"limits.rules.{one['name']}", *values]), int(one["requests"])


def asked(program: LimitProgram | None, request: dict[str, Any], provider: bool) -> tuple[Bound, ...]:
    if program is None:
        return ()
    tags = request["tags"] or None
    who = (request["key"], request["team"], request["model"], request["operation"], tags)
    return program.provider_bounds(request["provider"], *who) if provider else program.bounds(*who)


@settings(max_examples=150, deadline=None)
@given(configurations(), st.lists(requests, min_size=1, max_size=8))
def test_all_rules_that_match_apply_each_on_its_own_counter(
    config: dict[str, Any], several: list[dict[str, Any]]
) -> None:
    """Issue 4: "scoped to key, team, model, provider, tag value, operation and the whole gateway, all rules that match
    apply; defaults and inheritance (gateway → team → key)". What was kept for one request is not given to another."""
    program = compile_limits(Root.model_validate(config))
    for request in several * 2:
        for provider in (False, True):
            found = asked(program, request, provider)
            expected = sorted(naively(config, request, provider))
            assert sorted((bound.key, bound.rule.amount) for bound in found) == expected
            for bound in found:
                apart = any(each in ("team", "key") for each in bound.rule.each)
                assert (
                    not (apart or bound.rule.scope.team == (request["team"],)) or bound.group == f"t:{request['team']}"
                )


@settings(max_examples=60, deadline=None)
@given(configurations(), requests)
def test_what_is_known_is_what_traffic_counts_on(config: dict[str, Any], request: dict[str, Any]) -> None:
    """Counters listed without traffic are the very ones that requests count on: same rule, name, group and scope."""
    program = compile_limits(Root.model_validate(config))
    if program is None:
        return
    known = {bound.key: bound for bound in program.known(keys=KEYS)}
    for bound in asked(program, request, False):
        if bound.rule.each in ((), ("team",), ("key",)):
            assert known[bound.key] == bound
    for team in TEAMS:
        assert program.known(team, KEYS) == [bound for bound in known.values() if bound.group == f"t:{team}"]


@pytest.mark.parametrize(
    ("per", "rolling", "burst", "expected"),
    [
        ("minute", None, None, Rolling(60)),
        ("second", None, None, Rolling(1)),
        ("hour", False, None, Calendar("hour", "Z")),
        ("day", None, None, Calendar("day", "Z")),
        ("month", None, None, Calendar("month", "Z")),
        ("month", True, None, Rolling(30 * 86400)),
        ("90s", None, None, Rolling(90)),
        ("1h30m", True, None, Rolling(5400)),
        ("minute", None, 5, Smooth(60, 5)),
    ],
)
def test_short_windows_roll_and_long_ones_follow_the_calendar(
    per: str, rolling: bool | None, burst: int | None, expected: object
) -> None:
    assert window_of(per, rolling, "Z", burst) == expected


def program_of(**config: Any) -> LimitProgram:
    program = compile_limits(Root.model_validate(config))
    assert program is not None
    return program


def test_a_budget_has_its_teams_time_zone_and_exact_shares() -> None:
    budget = [
        {"amount": "0.7 USD", "soft": "33.3%"},
        {"name": "us", "amount": "1 USD", "zone": "UTC", "on_overrun": "cut", "when_exhausted": {"downgrade": "m"}},
    ]
    team = {"zone": "Europe/Berlin", "budget": budget, "limits": {"requests_per_day": "1"}}
    first, second, third = program_of(teams={"t": team}).rules
    assert (first.window, first.soft, first.budget) == (Calendar("month", "Europe/Berlin"), 233_100_000, True)
    assert (second.id, second.window) == ("teams.t.budget.us", Calendar("month", "UTC"))
    assert (second.on_overrun, second.when_exhausted, second.downgrade_to) == ("cut", "downgrade", "m")
    assert (third.window, third.budget) == (Calendar("day", "Europe/Berlin"), False)


def test_a_default_follows_the_calendar_of_each_team() -> None:
    defaults = {"team": {"budget": {"amount": "1 USD"}}, "key": {"limits": {"tokens_per_day": "2k"}}}
    limits = {"zone": "Asia/Tokyo", "defaults": defaults}
    program = program_of(teams={"a": {"zone": "Europe/Berlin"}, "b": {}, "c": {"zone": "Asia/Tokyo"}}, limits=limits)
    for team, zone in (("a", "Europe/Berlin"), ("b", "Asia/Tokyo"), ("c", "Asia/Tokyo")):
        found = program.bounds("k", team, "m", "embeddings", None)
        assert [(bound.key, bound.rule.window) for bound in found] == [
            (f"teams.{team}.budget", Calendar("month", zone)),
            ("keys.k.tokens_per_day", Calendar("day", zone)),
        ]


def test_what_a_rule_does_not_say_is_what_limits_say() -> None:
    limits = {
        "on_store_failure": "closed",
        "wait": {"longest": "2s", "queue": "7"},
        "rules": [
            {"name": "x", "usd": "1 USD", "per": "90s"},
            {"name": "y", "streams": "3", "wait": "0s", "on_store_failure": "open"},
        ],
    }
    team = {"limits": {"concurrent": "1"}, "budget": {"amount": "1 USD", "on_store_failure": "local"}}
    program = program_of(teams={"t": team}, limits=limits)
    assert [(rule.id, rule.on_store_failure, rule.wait) for rule in program.rules] == [
        ("teams.t.budget", "local", 2.0),
        ("teams.t.concurrent", "closed", 2.0),
        ("limits.rules.x", "closed", 2.0),
        ("limits.rules.y", "open", 0.0),
    ]
    options = compile_limit_options(Root.model_validate({"limits": limits}).limits)
    assert (options.store, options.on_store_failure, options.patience) == ("memory://", "closed", 0.05)
    assert repr(compile_limit_options(LimitsSection.model_validate({"store": "redis://u:CANARY@h"}))) == (
        "LimitOptions(redis, on_store_failure='local')"
    )
    assert (options.reserve, options.queue) == ("upper", 7)


def test_who_counts_requests_bounds_what_clients_choose() -> None:
    limits = {"counters": "2", "rules": [{"name": "x", "each": "tag:customer", "requests": "1", "per": "day"}]}
    root = Root.model_validate({"limits": limits})
    program = compile_limits(root, ManualClock())
    assert program is not None
    found = [program.bounds("k", "t", "m", "messages", {"customer": each})[0].key for each in "abc"]
    assert found == ["limits.rules.x:a", "limits.rules.x:b", "limits.rules.x:#others"]


def test_nothing_written_is_no_program() -> None:
    root = Root.model_validate({"teams": {"a": {"budget": [], "limits": {"concurrent": "off"}}}})
    assert compile_limits(root) is None
    assert budgets_of(None) == []
