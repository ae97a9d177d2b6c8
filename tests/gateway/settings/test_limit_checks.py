"""Bad limits and budgets: each has its place, and says what is allowed."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.operations import accept
from gateway.settings.interpolate import Data
from gateway.settings.limit_checks import OPERATIONS, check_limits, limited
from gateway.settings.schema_limits import LimitRuleSection

Complaints = Callable[..., list[str]]


def test_operations_are_the_gateways() -> None:
    paths = ("chat/completions", "completions", "embeddings", "responses", "moderations", "messages",
             "messages/count_tokens", "files")  # fmt: skip
    assert tuple(accept("POST", f"/v1/{path}").name for path in paths) == OPERATIONS


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("requests: 5", "1: 'per' is missing; allowed are second, minute, hour"),
        ("per: minute", "1: this rule has no amount; allowed is one of requests, tokens"),
        ("requests: 5, tokens: 5, per: minute", "32: a second amount beside requests; allowed is one in a rule"),
        ("requests: 0, per: minute", "21: this is too small; allowed is 1 or more"),
        ("requests: -5, per: minute", "21: this is too small; allowed is 1 or more"),
        ("requests: 1.5, per: minute", "21: this is not a whole number; allowed is a whole number from 1, such as"),
        ("requests: 10000000000M, per: minute", "21: this is more than can be counted exactly; allowed is 9007"),
        ("usd: 5, per: day", "16: this is not an amount of money; allowed is an amount in US dollars, such as 500 USD"),
        ("usd: 5 EUR, per: day", "16: this currency is not known: amounts are in US dollars; allowed is"),
        ("usd: €5, per: day", "16: this currency is not known: amounts are in US dollars; allowed is"),
        ("usd: [5 USD], per: day", "16: this is not an amount of money; allowed is an amount in US dollars"),
        ("requests: {a: 5}, per: day", "11: this is not a whole number; allowed is a whole number from 1, such as"),
        ("requests: 5, per: day, soft: [80%, 90%]", "40: this is not a percentage; allowed is a percentage from"),
        ("requests: 5, per: day, wait: 90d", "40: this is too large; allowed is 1h or less"),
        ("requests: 5, per: day, zone: localtime", "40: this is another zone on every machine; allowed are UTC and"),
        ("usd: -5 USD, per: day", "16: this amount is negative; allowed is"),
        ("usd: 0 USD, per: day", "16: this amount is nothing; allowed is more than 0 USD"),
        ("usd: 9007200 USD, per: day", "16: this is more than can be counted exactly; allowed is 9007199 USD or less"),
        ("requests: 5, per: 0s", "29: a window of this length cannot be counted; allowed are whole seconds from 1s"),
        ("requests: 5, per: 400d", "29: a window of this length cannot be counted; allowed are whole seconds from 1s"),
        ("requests: 5, per: 250ms", "29: a window of this length cannot be counted; allowed are whole seconds from 1s"),
        ("requests: 5, per: 5", "29: this is not a duration; allowed is a number with a unit"),
        ("requests: 5, per: -5s", "29: this is not a window; allowed are second, minute"),
        ("requests: 5, per: minut", "29: this is not a window; did you mean 'minute'?"),
        ("requests: 5, per: day, rolling: 7", "43: this is not a switch; allowed are on and off"),
        ("requests: 5, per: 90s, rolling: off", "43: the calendar has no such unit; allowed with rolling: off are sec"),
        ("requests: 5, per: 90s, zone: UTC", "40: a rolling window has no time zone; remove zone"),
        ("requests: 5, per: day, rolling: on, zone: UTC", "53: a rolling window has no time zone; remove zone, or rol"),
        ("requests: 5, per: minute, zone: UTC", "43: a rolling window has no time zone; remove zone, or add rolling:"),
        ("requests: 5, per: day, zone: Europe/Belin", "40: this time zone is not known; did you mean 'Europe/Berlin'?"),
        ("requests: 5, per: day, zone: '../UTC!!!'", "40: this time zone is not known; allowed are UTC and IANA names"),
        ("tokens: 5, per: minute, burst: 2", "42: a burst of tokens cannot be counted; allowed is burst with requests"),
        ("requests: 5, per: minute, burst: 6", "44: more at once than in the whole time; allowed is 5 or less"),
        ("requests: 5, per: minute, burst: 2, rolling: on", "56: a rule with burst is spread evenly over the time; re"),
        ("concurrent: 5, per: minute", "31: concurrent counts what is open now, in no window; remove per"),
        ("streams: 5, zone: UTC", "29: streams counts what is open now, in no window; remove zone"),
        ("concurrent: 5, soft: 80%", "32: a warning comes once in a window, and this rule has none; remove soft"),
        ("requests: 5, per: day, soft: 120%", "40: this is not a percentage; allowed is a percentage from 0% to 100%"),
        ("requests: 5, per: day, on_overrun: cut", "46: a stream cannot outlive its requests; allowed with usd, tok"),
        ("requests: 5, per: day, each: keys", "40: a rule cannot be counted apart by this; did you mean 'key'?"),
        ("requests: 5, per: day, each: ['tag:']", "41: a rule cannot be counted apart by this; did you mean 'tag:NAME"),
        ("requests: 5, per: day, match: {team: serch}", "48: unknown team 'serch'; did you mean 'search'?"),
        ("requests: 5, per: day, match: {team: [search, x]}", "57: unknown team 'x'; allowed are search"),
        ("requests: 5, per: day, match: {key: ki}", "47: unknown key 'ki'; did you mean 'kid'?"),
        ("requests: 5, per: day, match: {model: gpt-4}", "49: unknown model 'gpt-4'; did you mean 'gpt-4o'?"),
        ("requests: 5, per: day, match: {model: 'x*'}", "49: unknown model 'x*'; allowed are gpt-4o"),
        ("requests: 5, per: day, match: {provider: oai}", "52: unknown provider 'oai'; did you mean 'openai'?"),
        ("requests: 5, per: day, match: {operation: chat}", "53: unknown operation 'chat'; did you mean 'chat.com"),
        ("requests: 5, per: day, match: {tags: {a: b}}", "42: unknown key 'tags'; did you mean 'tag'?"),
        ("requests: 5, per: day, match: {tag: {'a b': c}}", "48: this is not a tag's name; allowed are letters"),
        ("requests: 5, per: day, match: {team: []}", "48: this list is empty; allowed is a list with one value or mo"),
        ("requests: 5, per: day, when_exhausted: {downgrade: gpt-4}", "62: unknown model 'gpt-4'; did you mean 'gpt-4"),
        ("requests: 5, per: day, each: provider, when_exhausted: {downgrade: gpt-4o}", "50: a rule by provider is ask"),
        ("requests: 5, per: day}, {name: x, tokens: 5, per: day", "42: this name is taken by limits.rules[0]; allowed"),
    ],
)  # fmt: skip
def test_a_bad_rule_has_a_place_and_says_what_is_allowed(
    complaints_of: Complaints, minimal: str, rule: str, expected: str
) -> None:
    text = minimal + "teams: {search: {keys: [{id: kid, hash: 'sha256:…'}]}}\nlimits: {rules: [\n{name: x, %s}\n]}\n"
    found = complaints_of(text % rule)
    assert [each for each in found if each.startswith(f"gateway.yaml:8:{expected}")], found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("team", "expected"),
    [
        ("budget: [{amount: 1 USD}, {amount: 2 USD}]", "27: only one of several budgets may go without a name; add na"),
        ("budget: [{name: a, amount: 1 USD}, {name: a, amount: 2 USD}]", "43: this name is taken by teams.t.budget[0]"),
        ("budget: {name: a.b, amount: 1 USD}", "16: a budget cannot have this name; allowed are letters, digits, '_'"),
        ("budget: {name: concurrent, amount: 1 USD}", "16: a budget cannot have this name; allowed are letters"),
        ("budget: {name: budget, amount: 1 USD}", "16: a budget cannot have this name; allowed are letters"),
        ("budget: {amount: 1 USD, models: [gpt-4]}", "34: unknown model 'gpt-4'; did you mean 'gpt-4o'?"),
        ("budget: {amount: 1 USD, models: gpt-4}", "33: unknown model 'gpt-4'; did you mean 'gpt-4o'?"),
        ("budget: {amount: 1 USD, rolling: on, zone: UTC}", "44: a rolling window has no time zone; remove zone, or r"),
        ("budget: {amount: 1 USD, zone: Berlin}", "31: this time zone is not known; did you mean 'Europe/Berlin'?"),
        ("budget: {amount: 1 USD, when_exhausted: stop}", "41: this value is not known; allowed are 'block', 'warn'"),
        ("budget: {amount: 1 USD, when_exhausted: {downgrade: 'gpt-4o*'}}", "53: unknown model 'gpt-4o*'; did you mea"),
        ("budget: {amount: 1 USD, soft: 0%}", "31: this is too small; allowed is more than 0"),
        ("budget: 500 USD", "9: this is not a mapping; allowed are the names name, amount, per"),
        ("budget: [500 USD]", "10: this is not a mapping; allowed are the names name, amount, per"),
        ("limits: {wait: 2h}", "16: this is too large; allowed is 1h or less"),
        ("limits: {requests_per_minut: 1}", "10: unknown key 'requests_per_minut'; did you mean 'requests_per_minute'"),
        ("limits: {tokens_per_minute: 2m}", "29: this is not a whole number; allowed is a whole number from 1, such a"),
        ("zone: Mars/Olympus_Mons", "7: this time zone is not known; allowed are UTC and IANA names"),
        ("weight: 0", "9: this is too small; allowed is 1 or more"),
        ("priority: urgent", "11: this value is not known; allowed are 'interactive', 'batch'"),
        ("keys: [{id: k, hash: 'sha256:…', budget: {amount: 5 GBP}}]", "51: this currency is not known"),
        ("keys: [{id: k, hash: 'sha256:…', limits: {streams: none}}]", "52: this is not a whole number; allowed is a"),
    ],
)  # fmt: skip
def test_bad_budgets_and_limits_of_a_team(complaints_of: Complaints, minimal: str, team: str, expected: str) -> None:
    found = complaints_of(minimal + "teams: {t: {\n%s\n}}\n" % team)  # noqa: UP031
    assert [each for each in found if each.startswith(f"gateway.yaml:7:{expected}")], found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("store: redis://", "17: this Redis URL needs a host, and a port from 1 to 65535 if it has one; allowed"),
        ("store: 'redis://:pa-CANARY@h:port/1'", "17: this Redis URL needs a host"),
        ("store: 'redis://u:CANARY@h:99999'", "17: this Redis URL needs a host"),
        ("store: 'redis://u:CANARY@h/main'", "17: what follows the host of this Redis URL is not right; allowed are"),
        ("store: 'redis://u:CANARY@[h'", "17: this is not a Redis URL; allowed are"),
        ("store: 'memory://CANARY'", "17: memory takes no address; allowed is memory://"),
        ("on_store_failure: shut", "28: this value is not known; allowed are 'local', 'closed', 'open'"),
        ("patience: 0s", "20: this is too small; allowed is more than 0"),
        ("patience: 1m", "20: this is too large; allowed is 5"),
        ("lease: 5", "17: this is not a percentage; allowed is"),
        ("counters: 0", "20: this is too small; allowed is 1 or more"),
        ("lease: 0%", "17: this is too small; allowed is more than 0"),
        ("lease: 60%", "17: this is too large; allowed is 50%"),
        ("reserve: p90", "19: this value is not known; allowed are 'upper', 'p95', 'p99'"),
        ("zone: CET/Berlin", "16: this time zone is not known"),
        ("wait: {longest: 90d}", "26: this is too large; allowed is 1h or less"),
        ("wait: 2s", "16: this is not a mapping; allowed are the names longest, queue"),
        ("defaults: {teams: {}}", "21: unknown key 'teams'; did you mean 'team'?"),
        ("defaults: {team: {budget: [{amount: 1 USD}, {amount: 2 USD}]}}", "54: only one of several budgets may go"),
    ],
)  # fmt: skip
def test_bad_options_never_repeat_a_password(complaints_of: Complaints, minimal: str, line: str, expected: str) -> None:
    found = complaints_of(minimal + f"limits: {{{line}}}\n")
    assert [each for each in found if each.startswith(f"gateway.yaml:6:{expected}")], found
    assert "CANARY" not in "".join(found)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "rediss://u:p%40x@h:6380/3",
        "redis+cluster://h:7000,i:7001",
        "redis://[::1]:1?prefix=x",
        "redis+sentinel://:p@a,b:26379/main/2",
    ],
)
def test_stores_that_may_be_written(complaints_of: Complaints, minimal: str, url: str) -> None:
    assert complaints_of(minimal + f"limits: {{store: '{url}'}}\n") == []


def test_a_name_drawn_from_a_variable_is_not_repeated(complaints_of: Complaints, minimal: str) -> None:
    rule = "limits: {rules: [{name: x, requests: 5, per: '${env:PER}', match: {team: '${env:TEAM}'}}]}\n"
    found = complaints_of(minimal + rule, env={"PER": "CANARY", "TEAM": "CANARY"})
    assert [each.split(": ", 1)[1].split(";")[0] for each in found] == [
        "this is not a window",
        "this team is not configured",
    ]


def test_a_key_may_be_one_that_tollway_keys_makes(complaints_of: Complaints, minimal: str) -> None:
    rule = "limits: {rules: [{name: x, requests: 5, per: day, match: {key: made-later}}]}\n"
    assert "unknown key 'made-later'; none is configured" in complaints_of(minimal + rule)[0]
    assert complaints_of(minimal + "secrets: {key_hash: 0123456789abcdef}\n" + rule) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("teams: {a: {budget: {amount: 1 USD}}}", "the limits and budgets of team 'a'"),
        ("teams: {a: {keys: [{id: k, hash: 'sha256:…', limits: {streams: 1}}]}}", "the limits and budgets of team 'a'"),
        ("limits: {defaults: {key: {limits: {streams: 1}}}}", "limits.defaults.key"),
        ("limits: {rules: [{name: x, concurrent: 1}]}", "limits.rules"),
    ],
)
def test_no_rule_in_memory_can_be_shared_by_workers(
    complaints_of: Complaints, minimal: str, text: str, what: str
) -> None:
    told = f"gateway.yaml:6:19: 2 workers cannot share {what} in memory; allowed are 1 worker, or limits.store: redis"
    assert complaints_of(f"{minimal}server: {{workers: 2}}\n{text}\n")[0].startswith(told)
    assert complaints_of(f"{minimal}{text}\n") == []


JUNK = st.recursive(
    st.none() | st.text("ab*:5", max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text("ab", max_size=2), below, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["name", "match", "budget", "limits", "keys", "when_exhausted", "team"]), JUNK)


@settings(max_examples=40, deadline=None)
@given(JUNK | st.dictionaries(st.text("ab", max_size=2), FIELDS | JUNK), JUNK | st.lists(FIELDS), JUNK | FIELDS)
def test_data_of_any_shape_is_looked_at(teams: Data, rules: Data, defaults: Data) -> None:
    """It runs on what the schema has refused, too: it must not trip over it."""
    data: dict[str, Data] = {"teams": teams, "limits": {"rules": rules, "defaults": defaults}}
    found: list[str] = []
    check_limits(data, lambda _, message: found.append(message), set(), 2)
    assert all("; " in message for message in found)
    assert limited({}) is None


written = st.fixed_dictionaries(
    {"name": st.just("x")},
    optional={
        **{name: st.just("5") for name in ("requests", "tokens", "output_tokens", "concurrent", "burst")},
        "usd": st.just("5 USD"),
        "per": st.sampled_from(["minute", "day", "month", "90s"]),
        "rolling": st.sampled_from(["on", "off"]),
        "zone": st.just("Europe/Berlin"),
        "soft": st.just("80%"),
        "on_overrun": st.just("cut"),
        "each": st.sampled_from(["key", "provider"]),
        "when_exhausted": st.sampled_from(["warn", "block"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(written)
def test_what_is_not_complained_of_compiles_to_what_it_says(rule: dict[str, Data]) -> None:
    """Whatever combination passes has one amount, and a window if and only if it counts over time."""
    from gateway.settings.compile_limits import compile_limits
    from gateway.settings.schema import Root

    found: list[str] = []
    check_limits({"limits": {"rules": [rule]}}, lambda _, message: found.append(message), set(), None)
    section = LimitRuleSection.model_validate(rule)
    if found:
        return
    program = compile_limits(Root.model_validate({"limits": {"rules": [rule]}}))
    assert program is not None
    (compiled,) = program.rules
    assert [(compiled.measure, compiled.amount)] == section.amounts
    assert (compiled.window is None) == (compiled.measure == "concurrent") == (section.per is None)
