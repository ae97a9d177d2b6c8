"""What changed, in words, without secrets."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings.diff import MOST_LINES, difference, needs_restart
from gateway.settings.load import Written, load_config

BASE = """\
server: {drain: 30s}
providers:
  openai: {dialect: openai, base_url: https://h, api_key: sk-one, headers: {x: y}}
  b: {dialect: openai, base_url: https://h}
models:
  gpt-4o: {targets: [{provider: openai, weight: 1}, {provider: b}]}
teams:
  search:
    models: [gpt-4o]
    keys: [{id: one, hash: "sha256:%s", name: n}, {id: two, hash: "sha256:%s"}]
""" % ("aa" * 32, "bb" * 32)  # noqa: UP031


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Written]:
    return lambda text, env=None, **others: load_config(write(text, **others), env=env or {})


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("drain: 30s", "drain: 10s", ["server.drain: 30s → 10s"]),
        ("{drain: 30s}", "{}", ["server.drain: 30s → (default)"]),
        ("{drain: 30s}", "{drain: 30s, port: 1}", ["server.port: (default) → 1"]),
        ("models:\n", "models:\n  m: {targets: [{provider: b}]}\n", ["models.m: added"]),
        ("  b: {dialect: openai, base_url: https://h}\n", "  b: {dialect: anthropic, base_url: https://h}\n",
         ["providers.b.dialect: openai → anthropic"]),
        ("weight: 1", "weight: 2", ["models.gpt-4o.targets[0].weight: 1 → 2"]),
        (", {provider: b}]", "]", ["models.gpt-4o.targets[1]: removed"]),
        ("models: [gpt-4o]", "models: [gpt-4o, '*']", ["teams.search.models: [gpt-4o] → [gpt-4o, *]"]),
        ("sk-one", "sk-two", ["providers.openai.api_key: (changed)"]),
        ("api_key: sk-one, ", "", ["providers.openai.api_key: removed"]),
        ("{x: y}", "{x: z}", ["providers.openai.headers.x: (changed)"]),
        ("bb" * 32, "cc" * 32, ["teams.search.keys[two]: changed (hash)"]),
        ("id: one", "id: three", ["teams.search.keys[one]: removed", "teams.search.keys[three]: added"]),
        ("name: n}", "name: m, tags: {a: b}}", ["teams.search.keys[one]: changed (name, tags)"]),
        ("server:", "ledger: off\nserver:", ["ledger: (default) → off"]),
        ("server:", "limits: {store: 'redis://:CANARY@h'}\nserver:", ["limits: added"]),
    ],
)  # fmt: skip
def test_what_a_change_is_called(load: Callable[..., Written], old: str, new: str, lines: list[str]) -> None:
    assert old in BASE
    assert difference(load(BASE), load(BASE.replace(old, new))) == lines


def test_a_price_file_and_the_order_of_providers(load: Callable[..., Written]) -> None:
    text = BASE + "prices: p.yaml\n"
    prices = "models: [{model: x, usd_each: {request: '%s'}}]\n"
    changed = difference(load(text, p=prices % 1), load(text, p=prices % 2))
    assert changed == ["prices.models[0].usd_each.request: 1 → 2"]
    lines = BASE.splitlines(keepends=True)
    swapped = "".join([*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "the order of providers: changed" in difference(load(BASE), load(swapped))[0]


def test_what_came_from_a_variable_is_not_shown(load: Callable[..., Written]) -> None:
    text = BASE.replace("30s", "${env:D}").replace("[gpt-4o]", "[gpt-4o, '${env:M}']")
    one, two = load(text, {"D": "1s", "M": "gpt-4o"}), load(text, {"D": "2s", "M": "*"})
    assert difference(one, two) == ["server.drain: (changed)", "teams.search.models: (changed)"]
    assert "1s" not in "".join(difference(one, load(BASE)))


def test_a_long_list_is_cut(load: Callable[..., Written]) -> None:
    models = "".join(f"  m{n}: {{targets: [{{provider: b}}]}}\n" for n in range(MOST_LINES + 5))
    lines = difference(load(BASE), load(BASE.replace("models:\n", "models:\n" + models)))
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 5 more"


def test_what_only_counts_after_a_restart_is_named(load: Callable[..., Written]) -> None:
    old = load(BASE)
    assert needs_restart(old, load(BASE.replace("drain: 30s", "drain: 1s"))) == []
    assert needs_restart(old, load(BASE.replace("drain: 30s", "port: 1"))) == ["server.port"]
    assert needs_restart(old, load("ledger: off\n" + BASE)) == ["ledger"]
    assert needs_restart(old, load("ledger: {journal: x}\ntelemetry: {metrics: off}\n" + BASE)) == [
        "ledger",
        "telemetry.metrics",
    ]
    assert needs_restart(old, load("ledger: {url: 'sqlite:///other.db'}\n" + BASE)) == ["ledger"]
    assert needs_restart(
        old, load("limits: {store: 'redis://h', patience: 20ms, lease: 5%, zone: Europe/Berlin}\n" + BASE)
    ) == [
        "limits.store",
        "limits.patience",
        "limits.lease",
    ]


def test_another_password_of_the_limit_store_needs_no_restart(load: Callable[..., Written]) -> None:
    old = load("limits: {store: 'redis://:one@h'}\n" + BASE)
    assert needs_restart(old, load("limits: {store: 'redis://u:two@h'}\n" + BASE)) == []
    assert needs_restart(old, load("limits: {store: 'redis://:one@i'}\n" + BASE)) == ["limits.store"]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("redis://u:p@h:1/3?prefix=t", "redis://h:1/3?prefix=t", True),
        ("redis://:p@a,b", "redis://a,b", True),
        (
            "redis+sentinel://u:p@a/m?sentinel_user=s&sentinel_password=q&prefix=t",
            "redis+sentinel://a/m?prefix=t",
            True,
        ),
        ("redis://h", "redis://h:6379/0", True),
        ("redis://h", "redis://h?prefix=other", False),
        ("redis://h", "memory://", False),
        ("memory://", "memory://", True),
    ],
)
def test_the_same_servers_whoever_comes(load: Callable[..., Written], old: str, new: str, same: bool) -> None:
    before, after = (load(f"limits: {{store: '{each}'}}\n" + BASE) for each in (old, new))
    assert (needs_restart(before, after) == []) is same


def test_rules_are_told_apart_by_their_names(load: Callable[..., Written]) -> None:
    rules = "limits: {rules: [%s{name: a, requests: 1, per: day}, {name: b, concurrent: 1}]}\n"
    old = load(BASE + rules % "")
    assert difference(old, load(BASE + rules % "{name: c, streams: 1}, ")) == ["limits.rules[c]: added"]
    assert difference(old, load(BASE + rules.replace("requests: 1", "requests: 2") % "")) == [
        "limits.rules[a]: changed (requests)"
    ]


def test_digests_of_a_secret_that_is_gone_are_told(load: Callable[..., Written]) -> None:
    """ "Rules whose allowed digests were made with a secret that nobody knows any more.\""""
    rule = "guardrails: {p: [{detect: pii, allow: {digests: ['00112233aabbccdd']}}, {detect: secrets}]}\n"
    secrets = "secrets: {key_hash: CANARY-%s-0123456789%s}\n"
    old = load(BASE + rule + secrets % ("one", ""))
    told = difference(old, load(BASE + rule + secrets % ("two", "")))
    assert told == [
        "guardrails.p[0].allow.digests: 1 of another secrets.key_hash, which match nothing any more; set "
        "secrets.previous_key_hash to what key_hash was",
        "secrets.key_hash: (changed)",
    ]
    kept = load(BASE + rule + secrets % ("two", ", previous_key_hash: CANARY-one-0123456789"))
    assert difference(old, kept) == ["secrets.key_hash: (changed)", "secrets.previous_key_hash: added"]
    fresh = difference(load(BASE + secrets % ("one", "")), load(BASE + rule + secrets % ("two", "")))
    assert not [line for line in fresh if "match nothing" in line]


SECRETS = st.text("abcdefXYZ0123456789", min_size=1, max_size=20).map(lambda text: "CANARY" + text)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SECRETS, SECRETS, st.booleans())
def test_no_difference_tells_a_secret(load: Callable[..., Written], one: str, two: str, drawn: bool) -> None:
    fields = "api_key: {0}, headers: {{x: {0}}}, proxy: 'http://{0}@p:1'"
    text = BASE.replace("api_key: sk-one, headers: {x: y}", fields.format("${env:S}" if drawn else "%s"))
    text += "telemetry: {otlp: 'http://h/%s'}\nledger: {url: 'postgresql://u:%s@h/d'}\n"
    text += "secrets: {key_hash: %s-0123456789abcdef}\n"
    if drawn:
        text = text.replace("%s", "${env:S}")
        texts = [load(text, {"S": value}) for value in (one, two)]
    else:
        texts = [load(text.replace("%s", value)) for value in (one, two)]
    for old, new in [(texts[0], texts[1]), (load(BASE), texts[0]), (texts[1], load(BASE))]:
        assert "CANARY" not in "\n".join(difference(old, new))


def test_values_that_guardrails_look_for_or_allow_are_not_shown(load: Callable[..., Written]) -> None:
    """'they may be people's, and differences are logged'."""
    rules = """\
guardrails:
  p:
    - {detect: pii, mode: shadow, allow: {values: [CANARY-1]}}
    - {detect: terms, terms: [CANARY-2]}
    - {detect: topics, topics: {t: [CANARY-3]}}
"""
    old, new = load(BASE + rules), load(BASE + rules.replace("CANARY", "CANARY-X").replace("shadow", "warn"))
    assert difference(old, new) == [
        "guardrails.p[0].mode: shadow → warn",
        "guardrails.p[0].allow.values: (changed)",
        "guardrails.p[1].terms: (changed)",
        "guardrails.p[2].topics.t: (changed)",
    ]
    assert "CANARY" not in "".join(difference(load(BASE + rules), load(BASE)) + difference(load(BASE), old))
