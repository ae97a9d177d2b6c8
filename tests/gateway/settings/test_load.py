"""A whole configuration: what is said of every kind of mistake, what the hash means, and that no secret is told."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.settings.compile import compile_snapshot
from gateway.settings.load import LoadError, load_config

Complaints = Callable[..., list[str]]
HEX = "ab" * 32
CONTRACT = (Path(__file__).parent / "contract.yaml").read_text("utf-8")
SECRETS = {"OPENAI_API_KEY": "k1", "ANTHROPIC_API_KEY": "k2"}


def test_the_contracts_configuration_is_right(write: Callable[..., Path]) -> None:
    """The YAML of the contract, verbatim, and the one model that it names and leaves out."""
    rest = "models: {claude-haiku: {targets: [{provider: anthropic, model: claude-haiku-4-5}]}}\n"
    path = write(CONTRACT + "include: [rest.yaml]\n", rest=rest)
    written = load_config(path, env=SECRETS)
    root = written.root
    assert root.server.max_body == 20 * 2**20
    assert root.server.drain == 30
    key = root.providers["openai"].api_key
    assert key is not None
    assert key.get_secret_value() == "k1"
    assert root.providers["local"].timeouts.first_event == 30
    assert root.providers["local"].timeouts.total == 600
    assert root.providers["local"].timeouts.header == 300
    budget = root.teams["search"].budget
    assert budget is not None
    assert (budget.amount, budget.soft, budget.when_exhausted) == (500 * 10**9, 0.8, "block")
    assert [rule.detect for rule in root.guardrails["standard"]] == ["pii", "secrets", "prompt_injection"]
    assert root.guardrails["standard"][2].threshold == 0.9
    assert root.telemetry.sample == 0.05
    assert root.telemetry.otlp is None
    assert written.ledger is not None
    assert written.ledger.url == "sqlite:///var/tollway.db"
    assert written.passthrough == "openai"


def test_the_contracts_configuration_alone_is_right_too(write: Callable[..., Path], complaints_of: Complaints) -> None:
    """Its fallback is not configured: nobody's misspelling, so it is skipped, and the warning says so."""
    assert complaints_of(CONTRACT, env=SECRETS) == []
    snapshot = compile_snapshot(load_config(write(CONTRACT), env=SECRETS), clock=ManualClock())
    assert "the fallback 'claude-haiku' of model 'gpt-4o-mini' is not configured: it is skipped" in snapshot.warnings


def test_a_misspelt_fallback_is_an_error(complaints_of: Complaints) -> None:
    found = complaints_of(CONTRACT.replace("[claude-haiku]", "[gpt-4o-minni]"), env=SECRETS)
    assert found == ["gateway.yaml:11:17: unknown model 'gpt-4o-minni'; did you mean 'gpt-4o-mini'?"]


def test_the_example_and_the_demo_are_right_without_any_environment() -> None:
    root = Path(__file__).parents[3]
    for name in ("config/gateway.yaml", "gateway/settings/defaults/demo.yaml"):
        assert load_config(root / name, env={}).root.models


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("modells: {}", "6:1: unknown key 'modells'; did you mean 'models'?"),
        ("server: {prot: 1}", "6:10: unknown key 'prot'; did you mean 'port'?"),
        ("server: {port: many}", "6:16: this is not a whole number; allowed is a whole number"),
        ("server: {port: 65536}", "6:16: this is too large; allowed is 65535 or less"),
        ("server: {workers: 0}", "6:19: this is too small; allowed is 1 or more"),
        ("server: {drain: 30}", "6:17: this is not a duration; allowed is a number with a unit"),
        ("server: {max_body: 20 apples}", "6:20: this is not a size; allowed is a size such as"),
        ("server: {max_body: 1}", "6:20: this is too small; allowed is 1KiB or more"),
        ("server: {max_values: 10}", "6:22: this is too small; allowed is 1000 or more"),
        ("server: [1]", "6:9: this is not a mapping; allowed are the names host, port, workers"),
        ("server: x", "6:9: this is not a mapping; allowed are the names host, port, workers"),
        ("telemetry: {metrics: perhaps}", "6:22: this is not a switch; allowed are on and off"),
        ("telemetry: {otlp_metrics: 10ms}", "6:27: this is too often; allowed are 1s or more, and off"),
        (
            "telemetry: {otlp_metrics: often}",
            "6:27: this is not a duration; allowed is a number with a unit (ms, s, m, h, d, w), such as 250ms, 30s, "
            "1m30s, 10m, 90d; and off",
        ),
        ("telemetry: {content: {teams: [nobody]}}", "6:31: unknown team 'nobody'"),
        ("telemetry: {sample: 0.05}", "6:21: this is not a percentage; allowed is a percentage from 0% to 100%"),
        (
            "telemetry: {log_level: loud}",
            "6:24: this value is not known; allowed are 'debug', 'info', 'warning', 'error'",
        ),
        ("telemetry: {keep: [eror]}", "6:20: this value is not known; allowed are 'error', 'blocked', 'slow'"),
        ("ledger: no", "6:9: this value is not known; allowed are 'off'"),
        ("ledger: {url: mysql://x/y}", "6:15: this is not a URL of a known kind; allowed are sqlite:///PATH"),
        ("ledger: {findings: {sample: 0%}}", "6:29: this is too small; allowed is"),
        ("ledger: {findings: {most: 0}}", "6:27: this is too small; allowed is 1 or more"),
        ("ledger: {findings: on}", "6:20: this value is not known; allowed are 'off'"),
        ("ledger: {on_full: explode}", "6:19: this value is not known; allowed are 'refuse', 'serve'"),
        ("limits: {store: 'memcached://x'}", "6:17: this is not a URL of a known kind; allowed are memory://"),
        ("secrets: {from: [vault]}", "6:18: this value is not known; allowed are 'env', 'file'"),
        ("secrets: {key_hash: short}", "6:21: this secret is too short; allowed are 16 bytes or more"),
        ("passthrough: opnai", "6:14: unknown provider 'opnai'; did you mean 'openai'?"),
        ("teams: []", "6:8: this is not a mapping; allowed are names with values under them"),
        ("teams: {'a b': {}}", "6:9: this is not a usable name; allowed are letters, digits"),
        ("teams: {a: {models: gpt-4o}}", "6:21: this is not a list; allowed is a list such as [a, b]"),
        ("teams: {a: {models: [gpt-4]}}", "6:22: unknown model 'gpt-4'; did you mean 'gpt-4o'?"),
        ("teams: {a: {models: [x/*]}}", "6:22: unknown model 'x/*'; allowed are gpt-4o"),
        ("teams: {a: {tags: {app: 'x,y'}}}", "6:25: this cannot be in a tag; allowed are printable names and values"),
        ("teams: {a: {tags: {ok: x, 'b=c': y}}}", "6:27: this cannot be in a tag; allowed are printable names"),
        ("teams: {a: {tags: {'': y}}}", "6:13: a tag has no name; allowed are printable names and values"),
        (f"teams: {{a: {{tags: {{k: {'v' * 200}}}}}}}", "6:13: a tag is too long; allowed are printable names"),
        (
            f"teams: {{a: {{tags: {{{', '.join(f't{n}: v' for n in range(33))}}}}}}}",
            "6:13: 33 are too many; allowed are 32",
        ),
        (
            "teams: {a: {keys: [{id: x, hash: 'sha256:…', tags: {app: \"x\\ny\"}}]}}",
            "6:58: this cannot be in a tag; allowed are printable names and values without comma and equals sign, "
            "together at most 200 characters",
        ),
        ("teams: {a: {guardrails: standrd}}", "6:25: unknown guardrail policy 'standrd'; none is configured"),
        ("teams: {a: {guardrails: [p, q]}}\nguardrails: {p: []}", "6:29: unknown guardrail policy 'q'; allowed are p"),
        (
            "guardrails: {p: [{detect: prompt_injection, action: reroute, reroute: gpt-4}]}",
            "6:71: unknown model 'gpt-4'; did you mean 'gpt-4o'?",
        ),
        ("teams: {a: {budget: {per: day}}}", "6:13: 'amount' is missing; US dollars per period"),
        (
            "teams: {a: {budget: {amount: 5}}}",
            "6:30: this is not an amount of money; allowed is an amount in US dollars",
        ),
        ("teams: {a: {budget: {amount: 5 USD, per: fortnight}}}", "6:42: this value is not known; allowed are 'hour'"),
        ("teams: {a: {budget: {amount: 5 USD, soft: 120%}}}", "6:43: this is not a percentage; allowed is"),
        (
            "teams: {a: {budget: {amount: 5 USD, when_exhausted: {downgrade: gpt}}}}",
            "6:65: unknown model 'gpt'; did you mean 'gpt-4o'?",
        ),
        ("teams: {a: {limits: {concurrent: 0}}}", "6:34: this is too small; allowed is 1 or more"),
        ("teams: {a: {keys: [{id: x}]}}", "6:20: 'hash' is missing; sha256:HEX"),
        ("teams: {a: {keys: [{hash: 'sha256:…'}]}}", "6:20: 'id' is missing; name of the key"),
        (
            "teams: {a: {keys: [{id: x, hash: md5:00}]}}",
            "6:34: unknown hash scheme; allowed are sha256:HEX and hmac:HEX",
        ),
        ("teams: {a: {keys: [{id: x, hash: sha256:zz}]}}", "6:34: the hash is not hexadecimal; allowed are 64"),
        ("teams: {a: {keys: [{id: x, hash: sha256:00}]}}", "6:34: the hash has 2 hex digits; allowed are exactly 64"),
        (f"teams: {{a: {{keys: [{{id: x, hash: hmac:{HEX}}}]}}}}", "6:34: an hmac: hash needs secrets.key_hash"),
        (
            "teams: {a: {keys: [{id: x, hash: 'sha256:…', expires: soon}]}}",
            "6:55: this is not a date; allowed is a UTC date",
        ),
        (
            "guardrails: {p: {detect: pii}}",
            "6:14: this is not a list; allowed is a list of mappings with the names det",
        ),
        ("guardrails: {p: [{detect: pi}]}", "6:27: unknown detector 'pi'; did you mean 'pii'?"),
        ("guardrails: {p: [{detect: pii, threshold: 2}]}", "6:43: this is too large; allowed is 1.0 or less"),
        (
            "guardrails: {p: [{detect: pii, on: []}]}",
            "6:36: this list is empty; allowed is a list with one value or more",
        ),
        (
            "admin: {keys: [{id: x, role: root, hash: 'sha256:…'}]}",
            "6:30: this value is not known; allowed are 'admin'",
        ),
        ("prices: [1]", "6:9: this is not a mapping; allowed are names with values under them"),
        ("prices: {modles: []}", "6:10: price: unknown key; did you mean models?"),
        ("prices: {models: [{model: x, usd_each: {request: -1}}]}", "6:50: price: not a price; write a decimal"),
        (
            "prices: {models: [{model: x, usd_each: {request: 1}}, {model: x, usd_each: {request: 2}}]}",
            "6:55: price: never used, because the entry at gateway.yaml:6:19 matches first",
        ),
        ("prices: nowhere.yaml", "6:9: the price file cannot be read: No such file or directory; allowed are off"),
        ("<<: 1", "6:5: << needs a mapping; allowed is an alias of a mapping, or a list of them"),
    ],
)
def test_each_mistake_has_its_place_and_says_what_is_allowed(
    complaints_of: Complaints, minimal: str, line: str, expected: str
) -> None:
    found = complaints_of(minimal + line + "\n")
    assert found, "nothing was found wrong"
    assert found[0].startswith(f"gateway.yaml:{expected}")


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("{base_url: https://h}", "'dialect' is missing; wire format it speaks"),
        ("{dialect: openai}", "'base_url' is missing; http or https URL"),
        ("{dialect: grpc, base_url: https://h}", "this value is not known; allowed are 'openai', 'anthropic'"),
        ("{dialect: openai, base_url: h}", "this is not an http or https URL; allowed is a base URL such as"),
        ("{dialect: openai, base_url: 'ftp://h'}", "this is not an http or https URL"),
        ("{dialect: openai, base_url: 'https://h:port'}", "this is not a URL"),
        ("{dialect: openai, base_url: 'https://u:p@h'}", "this URL holds credentials; give them as api_key or headers"),
        ("{dialect: openai, base_url: 'https://h/?a=b'}", "a base URL has no query, fragment or port 0"),
        ("{dialect: openai, base_url: https://h, api_key: 'a b'}", "this key cannot stand in a header"),
        ("{dialect: openai, base_url: https://h, headers: {Host: x}}", "one of these names cannot be set; allowed are"),
        ('{dialect: openai, base_url: https://h, headers: {X: "a\\r\\nb"}}', "one of these values cannot stand in a"),
        ("{dialect: openai, base_url: https://h, proxy: socks5://p:1}", "this is not a proxy URL; allowed is"),
        ("{dialect: openai, base_url: http://h, tls: {server_name: x}}", "TLS options of a provider whose base_url is"),
        (
            "{dialect: openai, base_url: https://h, tls: {ca_file: /etc/passwd}}",
            "TLS: cannot use ca_file: no certificate or crl found; allowed are PEM files",
        ),
        (
            "{dialect: openai, base_url: https://h, tls: {ca_file: /none.pem}}",
            "this file is not there; allowed is a PEM",
        ),
        (
            "{dialect: openai, base_url: https://h, timeouts: {conect: 1s}}",
            "unknown key 'conect'; did you mean 'connect'?",
        ),
        ("{dialect: openai, base_url: https://h, timeouts: {idle: 0}}", "this is too small; allowed is more than 0"),
        ("{dialect: openai, base_url: https://h, max_connections: 0}", "this is too small; allowed is 1 or more"),
    ],
)
def test_mistakes_in_a_provider(complaints_of: Complaints, minimal: str, provider: str, expected: str) -> None:
    found = complaints_of(minimal.replace("models:", f"  p: {provider}\nmodels:"))
    assert len(found) == 1
    assert re.match(r"gateway\.yaml:4:\d+: ", found[0])
    assert expected in found[0]


def test_every_problem_is_reported_at_once_in_the_order_of_lines(complaints_of: Complaints) -> None:
    text = """\
version: 2
server: {drain: 5, wrkers: 2}
providers:
  openai: {dialect: opnai, base_url: https://h}
models:
  a: {targets: [{provider: opnai}], fallbacks: [zzz, a]}
  ccc: {targets: [], fallbacks: [cccc]}
  d*e: {targets: [{provider: openai, model: "x*"}]}
teams:
  t:
    keys:
      - {id: one, hash: "%s"}
      - {id: one, hash: "SHA256:%s"}
    budget: {amount: ${env:NONE}}
""" % ("sha256:" + HEX, HEX)  # noqa: UP031
    found = [problem.split(";")[0] for problem in complaints_of(text)]
    assert found == [
        "gateway.yaml:1:10: this version of the configuration is not known",
        "gateway.yaml:2:17: this is not a duration",
        "gateway.yaml:2:20: unknown key 'wrkers'",
        "gateway.yaml:4:21: this value is not known",
        "gateway.yaml:6:28: unknown provider 'opnai'",
        "gateway.yaml:6:54: a model cannot be its own fallback",
        "gateway.yaml:7:18: this list is empty",
        "gateway.yaml:7:34: unknown model 'cccc'",
        "gateway.yaml:8:3: this is not a model name",
        "gateway.yaml:8:45: a * in the target of a model without one",
        "gateway.yaml:13:14: this id is taken by teams.t.keys.0",
        "gateway.yaml:13:25: this is the same key as teams.t.keys.0",
        "gateway.yaml:13:25: unknown hash scheme",
        "gateway.yaml:14:22: the environment variable NONE is not set",
    ]


def test_limits_in_memory_cannot_be_shared_by_workers(complaints_of: Complaints, minimal: str) -> None:
    limited = minimal + "teams: {a: {limits: {concurrent: 1}}}\n"
    told = "2 workers cannot share the limits and budgets of team 'a' in memory; allowed are 1 worker, or limits.store"
    assert told in complaints_of(limited + "server: {workers: 2}\n")[0]
    assert complaints_of(limited + "server: {workers: 2}\n")[0].startswith("gateway.yaml:7:19:")
    assert told in complaints_of(limited, workers=2)[0]
    assert complaints_of(limited + "server: {workers: 2}\n", workers=1) == []
    assert complaints_of(limited + "server: {workers: 2}\nlimits: {store: redis://h}\n") == []
    assert complaints_of(minimal + "server: {workers: 2}\nteams: {a: {}}\n") == []


def test_a_key_may_not_use_more_than_its_team(complaints_of: Complaints, minimal: str) -> None:
    text = (
        minimal
        + "  b: {targets: [{provider: openai}]}\n"
        + 'teams: {t: {models: [b], keys: [{id: x, hash: "sha256:…", models: [%s]}]}}\n'
    )
    assert complaints_of(text % "b") == []
    assert complaints_of(text % "gpt-4o") == ["gateway.yaml:7:68: the team 't' may not use this model; allowed are b"]


def test_files_that_hold_nothing_or_something_else(complaints_of: Complaints, tmp_path: Path) -> None:
    for text, what in [
        ("", "is empty"),
        ("# x\n", "is empty"),
        ("- a\n", "does not hold a mapping"),
        ("a\n", "does not"),
    ]:
        found = complaints_of(text)
        assert len(found) == 1
        assert found[0].startswith("gateway.yaml:1:1: the file ")
        assert what in found[0]
    with pytest.raises(ConfigError, match=r"none.yaml:1:1: this file cannot be read: No such file or directory"):
        load_config(tmp_path / "none.yaml", env={})
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path, env={})


def test_names_with_nothing_behind_them_count_as_not_written(complaints_of: Complaints, minimal: str) -> None:
    assert complaints_of(minimal + "server:\nteams:\n  a:\nledger:\nprices:\nadmin:\n  keys:\ninclude:\n") == []


def test_words_of_yaml_1_1_are_words(write: Callable[..., Path], minimal: str) -> None:
    path = write(
        minimal + "ledger: off\nprices: off\ntelemetry: {metrics: off}\nteams: {on: {tags: {no: yes, v: 1.10}}}\n"
    )
    written = load_config(path, env={})
    assert written.ledger is None
    assert written.prices is None
    assert written.root.telemetry.metrics is False
    assert written.root.teams["on"].tags == {"no": "yes", "v": "1.10"}


def test_a_failed_load_says_what_it_read(write: Callable[..., Path], minimal: str) -> None:
    """So that a watcher can tell when to try again."""
    path = write(
        minimal + "include: [a.yaml]\nprices: p.yaml\nserver: {host: '${file:h}'}\n", a="teams: x\n", p="- 1\n"
    )
    with pytest.raises(LoadError) as caught:
        load_config(path, env={})
    assert {file.name for file in caught.value.sources.stamps} == {"gateway.yaml", "a.yaml", "p.yaml", "h"}


def test_problems_of_a_price_file_stand_in_that_file(complaints_of: Complaints, minimal: str) -> None:
    found = complaints_of(minimal + "prices: p.yaml\n", p="models:\n  - model: x\n    usd_each: {requst: 1}\n")
    assert found[0].startswith("p.yaml:3:16: price: unknown key; did you mean request?")


# The hash -----------------------------------------------------------------------------------------------------------

SAME = [
    lambda text: "# a comment\n" + text.replace("\n", "   # more\n", 1),
    lambda text: text.replace("30s", "0.5m").replace("20MiB", "20480KiB"),
    lambda text: "limits: {store: 'memory://'}\n" + text,
    lambda text: text.replace("weight: 1", "weight: '1'"),
    lambda text: text.replace(", model: gpt-4o-mini, weight: 1", ", model: gpt-4o-mini"),
]
OTHER = [
    lambda text: text.replace("30s", "31s"),
    lambda text: text.replace("sk-one", "sk-two"),
    lambda text: text.replace("weight: 1", "weight: 2"),
    lambda text: text.replace("prices: {}", "prices: {models: [{model: x, usd_each: {request: '1'}}]}"),
    lambda text: text.replace("prices: {}", "prices: off"),
    lambda text: (
        text.replace("  b: {dialect", "  a: {dialect", 1).replace("  a: {dialect", "  b: {dialect", 1)
        + "passthrough: b\n"
    ),
    lambda text: text + "ledger: off\n",
    lambda text: text + "teams: {a: {}}\n",
]
HASHED = """\
server: {drain: 30s, max_body: 20MiB}
providers:
  a: {dialect: openai, base_url: https://h, api_key: sk-one}
  b: {dialect: openai, base_url: https://h}
models: {m: {targets: [{provider: a, model: gpt-4o-mini, weight: 1}]}}
prices: {}
"""


@pytest.mark.parametrize("change", SAME)
def test_the_hash_is_of_the_meaning(write: Callable[..., Path], change: Callable[[str], str]) -> None:
    one = load_config(write(HASHED), env={}).hash
    assert re.fullmatch(r"[0-9a-f]{16}", one)
    assert change(HASHED) != HASHED
    assert load_config(write(change(HASHED)), env={}).hash == one


@pytest.mark.parametrize("change", OTHER)
def test_what_means_something_else_has_another_hash(write: Callable[..., Path], change: Callable[[str], str]) -> None:
    one = load_config(write(HASHED), env={}).hash
    assert load_config(write(change(HASHED)), env={}).hash != one


def test_splitting_into_files_keeps_the_hash_and_variables_count(write: Callable[..., Path]) -> None:
    lines = HASHED.splitlines(keepends=True)
    one = load_config(write(HASHED), env={}).hash
    split = load_config(write("include: rest.yaml\n" + "".join(lines[:1]), rest="".join(lines[1:])), env={}).hash
    assert split == one
    drawn = HASHED.replace("sk-one", "${env:KEY}")
    assert load_config(write(drawn), env={"KEY": "sk-one"}).hash == one
    assert load_config(write(drawn), env={"KEY": "sk-two"}).hash != one


def test_a_price_file_counts_for_the_hash(write: Callable[..., Path]) -> None:
    text = HASHED.replace("prices: {}", "prices: p.yaml")
    prices = "models: [{model: x, usd_each: {request: '%s'}}]\n"
    assert load_config(write(text, p=prices % 1), env={}).hash != load_config(write(text, p=prices % 2), env={}).hash


# Secrets ------------------------------------------------------------------------------------------------------------

SLOTS = CONTRACT + "include: [rest.yaml]\n"
CANARY = st.text("abcdefghjkmnpqrstuvwxyz0123456789/+=:#'\"{}[]*&!,- ", min_size=0, max_size=20).map(
    lambda text: f"CANARY{text}CANARY"
)
PATHS = [
    "drain: 30s", "max_body: 20MiB", "port: 8080", "host: 0.0.0.0", "dialect: openai", "connect: 2s", "weight: 1",
    "amount: 500 USD", "per: month", "soft: 80%", "when_exhausted: block", "concurrent: 50", "guardrails: standard",
    "id: search-dev", 'hash: "sha256:…"', "detect: pii", "action: mask", "mode: enforce", "threshold: 0.9",
    'url: "sqlite:///var/tollway.db"', 'store: "memory://"', "sample: 5%", "role: admin", "version: 1",
    "provider: openai", "model: gpt-4o-mini", "base_url: http://127.0.0.1:9000/v1", "journal: var/journal",
]  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CANARY, st.sampled_from(PATHS), st.sampled_from(["${env:C}", "'${env:C}'", "x${env:C}", "${file:canary}"]))
def test_no_message_tells_what_a_variable_held(write: Callable[..., Path], canary: str, slot: str, drawn: str) -> None:
    """A secret may be drawn into any place at all; no problem, and no warning of the hash, repeats it."""
    assert slot in SLOTS
    path = write(SLOTS.replace(slot, f"{slot.split(':')[0]}: {drawn}"), rest="unknown: 1\n")
    (path.parent / "canary").write_text(canary)
    with pytest.raises(ConfigError) as caught:
        load_config(path, env={**SECRETS, "C": canary})
    assert "CANARY" not in str(caught.value)


SECRET_FIELDS = [
    "secrets: {key_hash: '%s'}", "providers: {p: {dialect: x, base_url: 'https://h', api_key: '%s'}}",
    "providers: {p: {dialect: openai, base_url: 'https://h', headers: {a: '%s', host: x}}}",
    "providers: {p: {dialect: openai, base_url: 'https://h', proxy: '%s'}}", "ledger: {url: 'mysql://%s@h'}",
    "ledger: {url: 'sqlite:///x', jurnal: '%s'}", "limits: {store: 'x://%s'}", "telemetry: {otlp: '%s', smple: 1}",
    "providers: {p: {dialect: openai, base_url: 'https://user:%s@h'}}", "admin: {keys: [{id: a, hash: '%s'}]}",
    "providers: {p: {dialect: '%s'}}", "server: {port: '%s'}", "version: '%s'", "server: '%s'", "teams: [['%s']]",
]  # fmt: skip


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CANARY.map(lambda text: text.replace("'", "")), st.sampled_from(SECRET_FIELDS))
def test_no_message_tells_what_a_secret_field_holds(complaints_of: Complaints, canary: str, field: str) -> None:
    """Nor what stands beside a misspelt name, or in a field of another type."""
    found = complaints_of(field % canary + "\nunknown: 1\n")
    assert found
    assert "CANARY" not in "\n".join(found)


def test_secrets_do_not_show_in_the_value_itself(write: Callable[..., Path]) -> None:
    written = load_config(write(HASHED.replace("sk-one", "CANARY")), env={})
    assert "CANARY" not in repr(written.root)
    assert ("providers", "a", "api_key") in written.secret
    assert hashlib.sha256(b"CANARY").hexdigest()[:16] != written.hash


def test_the_examples_guardrails_are_right_too(complaints_of: Complaints) -> None:
    """What the example configuration shows behind `#`, with the file it names."""
    example = (Path(__file__).parents[3] / "config" / "gateway.yaml").read_text("utf-8")
    shown = re.search(r"(?:^# (?:guardrails:|  .*)\n)+", example[example.index("# guardrails:\n") :], re.MULTILINE)
    assert shown is not None
    rules = shown[0].replace("\n# ", "\n").removeprefix("# ").replace("customers.txt", "customers.yaml")
    assert rules.count("detect:") == 8
    assert complaints_of(example + rules, env={}, customers="Acme\n") == []
