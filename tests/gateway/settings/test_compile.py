"""What a written configuration becomes."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.keys import authenticate
from gateway.clock import ManualClock
from gateway.ledger.findings import FindingsOptions
from gateway.ledger.keystore import StoredKey
from gateway.quota import Capacity
from gateway.settings.compile import both, compile_snapshot, merge_keys, scope_of
from gateway.settings.load import load_config
from gateway.settings.snapshot import Snapshot
from pricing.catalogue import Catalogue

SECRET = "server-secret-0123456789"
ONE = hashlib.sha256(b"sk-one").hexdigest()
TEXT = f"""\
server: {{port: 0, workers: 1, drain: 2s, runtime_dir: run}}
secrets: {{key_hash: {SECRET}}}
providers:
  openai:
    dialect: openai
    base_url: https://api.openai.com/v1/
    api_key: sk-up
    headers: {{OpenAI-Organization: org}}
    timeouts: {{connect: 2s, total: 20s}}
    prices: openai
  claude: {{dialect: anthropic, base_url: "http://[::1]:9000"}}
  far: {{dialect: openai, base_url: https://h:444/x/v1, proxy: "http://p:3128", asks_usage: off, max_connections: 7}}
  two: {{dialect: openai, base_url: https://h2/v1, http2: on, tls: {{server_name: inner}}}}
passthrough: claude
models:
  gpt-4o:
    targets: [{{provider: openai, weight: 3}}, {{provider: far, model: deployment}}]
    fallbacks: [local/x]
    retry: {{rounds: 2, backoff: 100ms, max_backoff: 1s}}
  "local/*": {{targets: [{{provider: far}}]}}
  "gpt-*": {{targets: [{{provider: openai}}]}}
  "mine-*": {{targets: [{{provider: far, model: "theirs-*"}}]}}
teams:
  search:
    models: [gpt-4o, "local/*"]
    tags: {{a: "1", b: "1"}}
    keys:
      - {{id: one, hash: "sha256:{ONE}", models: ["local/a*", gpt-4o], tags: {{b: "2"}}}}
      - {{id: two, hash: "hmac:{hmac.digest(SECRET.encode(), b"sk-two", "sha256").hex()}", expires: 2027-01-01}}
      - {{id: three, hash: "sha256:…"}}
    limits: {{concurrent: 1}}
ledger: {{url: "sqlite:///x.db", fsync: 500ms, segment: 1MiB, retention: 30d, on_full: serve,
  findings: {{sample: 20%, retention: 7d}}}}
telemetry: {{metrics: off, log_format: console, log_level: warning}}
admin: {{keys: [{{id: ops, role: oncall, hash: "sha256:{hashlib.sha256(b"sk-ops").hexdigest()}"}}]}}
"""
CATALOGUE = Catalogue()


@pytest.fixture
def snapshot(write: Callable[..., Path]) -> Snapshot:
    return compiled(write(TEXT))


def compiled(path: Path, stored: tuple[StoredKey, ...] = ()) -> Snapshot:
    written = load_config(path, env={})
    return compile_snapshot(written, clock=ManualClock(), stored_keys=stored, catalogue=CATALOGUE)


def stored(id_: str, key: bytes, **changes: object) -> StoredKey:
    fields: dict[str, object] = {
        "id": id_, "team": "search", "name": "", "digest": hmac.digest(SECRET.encode(), key, "sha256").hex(),
        "prefix": "sk-tw-", "last4": "", "models": None, "tags": {}, "created_ns": 1, "expires_ns": None,
        "revoked_ns": None, "rotated_from": None, "overlap_until_ns": None,
    }  # fmt: skip
    return StoredKey(**{**fields, **changes})  # type: ignore[arg-type]


def test_options(snapshot: Snapshot) -> None:
    assert (snapshot.server.port, snapshot.server.drain, snapshot.server.runtime_dir) == (0, 2.0, "run")
    assert snapshot.server.max_upload == 512 * 2**20
    assert snapshot.ledger is not None
    assert (snapshot.ledger.url, snapshot.ledger.fsync_seconds) == ("sqlite:///x.db", 0.5)
    assert (snapshot.ledger.segment_bytes, snapshot.ledger.retention_days) == (2**20, 30.0)
    assert snapshot.ledger.on_full == "serve"
    assert snapshot.ledger.findings == FindingsOptions(sample=0.2, most=50, retention_days=7)
    assert not snapshot.telemetry.metrics
    assert (snapshot.telemetry.log_level, snapshot.telemetry.log_format) == ("warning", "console")
    assert [(key.id, key.role, key.digest) for key in snapshot.admin_keys] == [
        ("ops", "oncall", hashlib.sha256(b"sk-ops").digest())
    ]
    assert snapshot.server_secret == SECRET.encode()
    assert snapshot.loaded_ns == ManualClock().now_ns()


def test_providers(snapshot: Snapshot) -> None:
    openai, far = (target.provider for target in snapshot.routes.exact["gpt-4o"].targets)
    assert (openai.origin.scheme, openai.origin.host, openai.origin.port) == ("https", "api.openai.com", 443)
    assert openai.base_path == b"/v1"
    assert openai.headers == [(b"openai-organization", b"org")]
    assert openai.api_key == "sk-up"
    assert (openai.timeouts.connect, openai.timeouts.total, openai.timeouts.idle) == (2.0, 20.0, 60.0)
    assert (openai.transport, openai.prices, openai.asks_usage) == ("pool", "openai", True)
    assert (far.transport, far.origin.proxy, far.origin.port) == ("httpx", "http://p:3128", 444)
    assert (far.asks_usage, far.origin.max_connections, far.base_path) == (False, 7, b"/x/v1")
    claude = snapshot.routes.passthrough
    assert claude is not None
    assert (claude.wire, claude.origin.host, claude.origin.port, claude.base_path) == ("anthropic", "::1", 9000, b"")
    assert claude.api_key is None


def test_http2_takes_the_other_transport(write: Callable[..., Path]) -> None:
    routes = compiled(write(TEXT.replace("passthrough: claude", "passthrough: two"))).routes
    assert routes.passthrough is not None
    assert routes.passthrough.transport == "httpx"
    assert routes.passthrough.origin.http2
    assert routes.passthrough.origin.tls is not None
    assert routes.passthrough.origin.tls.server_name == "inner"


def test_the_first_provider_is_the_default_of_passthrough(write: Callable[..., Path]) -> None:
    routes = compiled(write(TEXT.replace("passthrough: claude\n", ""))).routes
    assert routes.passthrough is not None
    assert routes.passthrough.name == "openai"
    assert compiled(write("version: 1\n")).routes.passthrough is None


@pytest.mark.parametrize(
    ("asked", "provider", "upstream"),
    [
        ("gpt-4o", "openai", "gpt-4o"),
        ("local/x/y", "far", "x/y"),
        ("gpt-4.1", "openai", "gpt-4.1"),
        ("mine-a", "far", "theirs-a"),
    ],
)
def test_which_upstream_model_a_name_means(snapshot: Snapshot, asked: str, provider: str, upstream: str) -> None:
    route = snapshot.routes.find(asked)
    assert route is not None
    assert (route.targets[0].provider.name, route.targets[0].model) == (provider, upstream)


def test_routes(snapshot: Snapshot) -> None:
    route = snapshot.routes.exact["gpt-4o"]
    assert [(target.model, target.weight) for target in route.targets] == [("gpt-4o", 3), ("deployment", 1)]
    assert route.fallbacks == ("local/x",)
    assert (route.retry.rounds, route.retry.backoff, route.retry.max_backoff) == (2, 0.1, 1.0)


def test_keys_of_the_file(snapshot: Snapshot) -> None:
    now = ManualClock().now_ns()
    one = authenticate(snapshot.keys, b"sk-one", now)
    assert (one.key_id, one.team, one.tags) == ("one", "search", {"a": "1", "b": "2"})
    assert one.models.allows("gpt-4o")
    assert one.models.allows("local/abc")
    assert not one.models.allows("local/b")
    two = authenticate(snapshot.keys, b"sk-two", now)
    assert two.expires_ns == 1_798_761_600 * 10**9
    assert two.models.allows("local/b")
    assert len(snapshot.keys) == 2  # the placeholder is none


def test_keys_of_the_ledger(write: Callable[..., Path]) -> None:
    path = write(TEXT)
    keys = (
        stored("a", b"sk-tw-a", models=["gpt-4o", "other"], tags={"b": "3"}, expires_ns=9, overlap_until_ns=5),
        stored("gone", b"sk-tw-gone", revoked_ns=1),
        stored("stray", b"sk-tw-stray", team="nobody"),
    )
    snapshot = compiled(path, keys)
    a = snapshot.keys.find(b"sk-tw-a")
    assert a is not None
    assert (a.key_id, a.tags, a.expires_ns) == ("a", {"a": "1", "b": "3"}, 5)
    assert a.models.allows("gpt-4o")
    assert not a.models.allows("other")
    assert snapshot.keys.find(b"sk-tw-gone") is None
    assert snapshot.keys.find(b"sk-tw-stray") is None
    assert any("keys of a team 'nobody' that is not configured" in warning for warning in snapshot.warnings)
    without = merge_keys(snapshot, load_config(path, env={}), ())
    assert without.keys.find(b"sk-tw-a") is None
    assert without.keys.find(b"sk-one") is not None
    assert without.routes is snapshot.routes


def test_what_is_off_compiles_to_nothing(write: Callable[..., Path], minimal: str) -> None:
    snapshot = compiled(write(minimal + "ledger: off\nprices: off\n"))
    assert snapshot.ledger is None
    assert snapshot.prices is None
    assert snapshot.warnings == ()


def test_prices_come_from_the_catalogue_and_the_overlay(write: Callable[..., Path], minimal: str) -> None:
    own = 'prices: {models: [{model: mine, usd_per_million_tokens: {input: "2.5"}}]}\n'
    prices = compiled(write(minimal + own)).prices
    assert prices is not None
    assert prices.card(None, "mine") is not None
    assert prices.card("openai", "gpt-4o") is not None


def test_warnings(write: Callable[..., Path], minimal: str) -> None:
    text = (
        minimal
        + """\
  odd-model: {targets: [{provider: openai, model: nobody-knows-this}]}
teams:
  a:
    budget: {amount: 1 USD}
    limits: {concurrent: 1}
    guardrails: p
    keys: [{id: k, hash: "sha256:…"}]
guardrails: {p: []}
limits: {store: "redis://h"}
telemetry: {otlp: "http://collector:4318"}
admin: {keys: [{id: ops, role: admin, hash: "hmac:..."}]}
"""
    )
    assert list(compiled(write(text)).warnings) == [
        "the hash of key 'k' of team 'a' is a placeholder: the key cannot be used",
        "the hash of admin key 'ops' is a placeholder: the key cannot be used",
        "the guardrail policy 'p' has no rules: nothing is looked for",
        "no price is known for openai/nobody-knows-this: their cost will be recorded as unknown (see `prices`)",
    ]
    idle = "teams: {a: {}}\ntelemetry: {otlp_metrics: 60s, content: {teams: [a]}}\n"
    found = " ".join(compiled(write(text.split("teams:")[0] + idle)).warnings)
    assert "telemetry.otlp_metrics has no effect without telemetry.otlp" in found
    assert "telemetry.content has no effect without telemetry.otlp" in found
    slow = "providers: {p: {dialect: openai, base_url: 'http://h/v1', breaker: {back_off: 90s}}}\n"
    (warning, _) = compiled(write("version: 1\n" + slow)).warnings
    assert warning == "the breaker of provider 'p' never waits for its back_off: longest is shorter"
    assert "no models are configured: every request for one will be refused" in compiled(write("version: 1\n")).warnings


def test_own_prices_that_nobody_uses_are_warned_of(minimal: str, write: Callable[[str], Path]) -> None:
    """`provider` of an own price is compared with a provider's `prices`: without one the contract is never applied."""
    own = "prices: {models: [{model: m, provider: %s, usd_per_million_tokens: {input: '1'}}]}\n"
    warning = "own prices of provider 'openai' are never used: no provider here has `prices: openai`"
    bare = "version: 1\nproviders: {openai: {dialect: openai, base_url: 'http://h/v1'%s}}\n"
    assert warning in compiled(write(bare % "" + own % "openai")).warnings
    assert warning not in compiled(write(bare % ", prices: OpenAI" + own % "openai")).warnings


NAMES = st.text("ab/", min_size=1, max_size=4)
LISTS = st.none() | st.lists(NAMES | NAMES.map(lambda name: name + "*") | st.just("*"), max_size=4)


@given(LISTS, LISTS, st.text("ab/", min_size=1, max_size=6))
def test_a_key_may_use_what_both_it_and_its_team_allow(
    one: list[str] | None, other: list[str] | None, model: str
) -> None:
    mine, theirs = scope_of(one), scope_of(other)
    assert both(mine, theirs).allows(model) == (mine.allows(model) and theirs.allows(model))


@given(LISTS, NAMES)
def test_an_allow_list_allows_its_names_and_what_begins_like_its_wildcards(
    models: list[str] | None, model: str
) -> None:
    expected = models is None or any(
        model.startswith(name[:-1]) if name.endswith("*") else model == name for name in models
    )
    assert scope_of(models).allows(model) == expected


def test_a_key_has_its_teams_weight_and_its_own_priority(write: Callable[..., Path]) -> None:
    """Also a key of the ledger, whose team has both."""
    text = TEXT.replace("  search:\n", "  search:\n    weight: 3\n    priority: batch\n")
    text = text.replace("{id: one,", "{id: one, priority: interactive,")
    text = text.replace("http2: on,", "http2: on, capacity: {concurrent: 4, queue_per_team: 2},")
    text = text.replace("[{provider: openai}]", "[{provider: two}]")
    snapshot = compiled(write(text), (stored("mine", b"sk-mine"),))
    callers = [authenticate(snapshot.keys, key, snapshot.loaded_ns) for key in (b"sk-one", b"sk-two", b"sk-mine")]
    assert [(caller.weight, caller.priority) for caller in callers] == [
        (3, "interactive"),
        (3, "batch"),
        (3, "batch"),
    ]
    capacities = {provider.name: provider.capacity for provider in snapshot.routes.providers()}
    assert capacities["two"] == Capacity(concurrent=4, queue=1000, queue_per_team=2, wait=10.0)
    assert capacities["openai"] is None


@pytest.mark.parametrize(
    ("team", "key", "expected"),
    [("on", "", [True, True, True]), ("on", "off", [False, True, True]), ("off", "on", [False, False, False])],
)
def test_a_key_has_no_more_passthrough_than_its_team(
    write: Callable[..., Path], team: str, key: str, expected: list[bool]
) -> None:
    """As with models: what the team has not, no key has, those of the ledger included."""
    text = TEXT.replace("  search:\n", f"  search:\n    passthrough: {team}\n")
    text = text.replace("{id: one,", f"{{id: one, passthrough: {key}," if key else "{id: one,")
    snapshot = compiled(write(text), (stored("mine", b"sk-mine"),))
    callers = [authenticate(snapshot.keys, key, snapshot.loaded_ns) for key in (b"sk-one", b"sk-two", b"sk-mine")]
    assert [caller.passthrough for caller in callers] == expected


def test_passthrough_goes_to_the_first_provider_that_speaks_its_dialect(write: Callable[..., Path]) -> None:
    def of(text: str) -> list[str]:
        routes = compiled(write(text)).routes
        found = [routes.passthrough_of("openai"), routes.passthrough_of("anthropic")]
        return [provider.name for provider in found if provider is not None]

    assert of(TEXT) == ["openai", "claude"]
    assert of(TEXT.replace("passthrough: claude", "passthrough: far")) == ["far", "claude"]
    assert of(TEXT.replace("dialect: anthropic", "dialect: openai")) == ["claude", "claude"]
