"""Makes the immutable snapshot of a written configuration. What is off compiles to nothing."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec
from pydantic import SecretStr

from gateway.auth.keys import KeyEntry, KeyIndex, parse_hash
from gateway.facts import Caller, Engine, ModelScope, Wire
from gateway.ledger.keystore import StoredKey
from gateway.quota import Capacity
from gateway.routing.breaker import BreakerOptions
from gateway.routing.table import Provider, Retry, Route, RouteTable, Target
from gateway.seams import Clock, Origin, Timeouts, Tls
from gateway.settings.compile_guardrails import compile_guardrails
from gateway.settings.compile_limits import compile_limit_options, compile_limits
from gateway.settings.guardrail_programs import GuardrailPrograms
from gateway.settings.incident_options import compile_incidents
from gateway.settings.limit_warnings import limit_warnings, unpriced_warnings
from gateway.settings.load import Written
from gateway.settings.references import matches
from gateway.settings.schema import Root
from gateway.settings.schema_routes import BreakerSection, ModelSection, ProviderSection
from gateway.settings.schema_teams import PLACEHOLDERS, KeySection, TeamSection
from gateway.settings.schema_telemetry import TelemetrySection
from gateway.settings.shadow import shadow_warnings
from gateway.settings.snapshot import AdminKey, ContentOptions, ServerOptions, Snapshot, TelemetryOptions
from gateway.settings.workshop import Workshop
from gateway.webhooks.signing import Endpoint, parse_secret
from pricing.book import PriceBook
from pricing.catalogue import Catalogue

_PORTS = {"http": 80, "https": 443}


def compile_snapshot(
    written: Written,
    *,
    clock: Clock,
    stored_keys: Sequence[StoredKey] = (),
    catalogue: Catalogue | None = None,
    workshop: Workshop | None = None,
) -> Snapshot:
    """The snapshot of a checked configuration. `stored_keys` come from the ledger database; `catalogue` and `workshop`
    are shared between snapshots, because reading prices takes 0.25 s and building detectors up to some seconds.

    Raises `ConfigError` with the place of every guardrail rule that cannot be compiled."""
    root = written.root
    providers = {name: compile_provider(name, section) for name, section in root.providers.items()}
    routes = _routes(root, providers, written)
    prices = None if written.prices is None else PriceBook(written.prices, catalogue)
    server_secret = _secret(root.secrets.key_hash)
    guardrails = compile_guardrails(written, workshop or Workshop())
    limits = compile_limits(root, clock)
    unpriced = _without_price(routes, prices)
    return Snapshot(
        hash=written.hash,
        source=str(written.path),
        loaded_ns=clock.now_ns(),
        server=_server(written),
        keys=KeyIndex(_entries(root, stored_keys, guardrails), server_secret),
        routes=routes,
        prices=prices,
        ledger=written.ledger,
        telemetry=_telemetry(root.telemetry),
        admin_keys=tuple(
            AdminKey(key.id, key.role, *parse_hash(key.hash)) for key in root.admin.keys if key.hash not in PLACEHOLDERS
        ),
        server_secret=server_secret,
        guardrails=guardrails,
        limits=limits,
        limit_options=compile_limit_options(root.limits),
        webhooks=tuple(
            Endpoint(each.url.get_secret_value(), parse_secret(each.secret.get_secret_value()), frozenset(each.events))
            for each in root.webhooks
        ),
        incidents=compile_incidents(root.incidents),
        warnings=(
            *_warnings(written),
            *_unused_prices(written),
            *(guardrails.warnings if guardrails is not None else ()),
            *limit_warnings(root, limits, {key.id: key.team for key in stored_keys}),
            *_unpriced(unpriced),
            *unpriced_warnings(limits, unpriced),
            *_strays(root, stored_keys),
            *shadow_warnings(),
        ),
    )


def merge_keys(snapshot: Snapshot, written: Written, stored_keys: Sequence[StoredKey]) -> Snapshot:
    """`snapshot` with the keys of `written` and these of the ledger database; all else is the same object."""
    keys = KeyIndex(_entries(written.root, stored_keys, snapshot.guardrails), snapshot.server_secret)
    return msgspec.structs.replace(snapshot, keys=keys)


def scope_of(models: Sequence[str] | None) -> ModelScope:
    """The scope of an allow-list; None: everything."""
    if models is None or "*" in models:
        return ModelScope()
    return ModelScope(
        frozenset(name for name in models if not name.endswith("*")),
        tuple(sorted({name[:-1] for name in models if name.endswith("*")})),
    )


def both(one: ModelScope, other: ModelScope) -> ModelScope:
    """What two scopes both allow."""
    if one.exact is None:
        return other
    if other.exact is None:
        return one
    exact = {name for name in one.exact if other.allows(name)} | {name for name in other.exact if one.allows(name)}
    prefixes = {
        max(mine, theirs, key=len)
        for mine in one.prefixes
        for theirs in other.prefixes
        if mine.startswith(theirs) or theirs.startswith(mine)
    }
    return ModelScope(frozenset(exact), tuple(sorted(prefixes)))


def compile_provider(name: str, section: ProviderSection) -> Provider:
    parts = urlsplit(section.base_url)
    proxy = section.proxy.get_secret_value() if section.proxy is not None else None
    origin = Origin(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=parts.port or _PORTS[parts.scheme],
        tls=None if section.tls is None else Tls(**section.tls.model_dump()),
        max_connections=section.max_connections,
        max_idle=section.max_idle,
        idle_seconds=section.idle_connection,
        proxy=proxy,
        http2=section.http2,
    )
    return Provider(
        name=name,
        wire=section.dialect,
        origin=origin,
        base_path=parts.path.rstrip("/").encode("ascii"),
        api_key=None if section.api_key is None else section.api_key.get_secret_value(),
        headers=[
            (field.lower().encode("ascii"), value.get_secret_value().encode("ascii"))
            for field, value in section.headers.items()
        ],
        timeouts=Timeouts(**section.timeouts.model_dump()),
        transport="httpx" if proxy is not None or section.http2 else "pool",
        prices=section.prices,
        asks_usage=section.asks_usage,
        capacity=None if section.capacity is None else Capacity(**section.capacity.model_dump()),
        breaker=None if section.breaker == "off" else BreakerOptions(**section.breaker.model_dump()),
    )


def _routes(root: Root, providers: dict[str, Provider], written: Written) -> RouteTable:
    exact: list[Route] = []
    wildcards: list[Route] = []
    for name, section in root.models.items():
        (wildcards if name.endswith("*") else exact).append(_route(name, section, providers))
    passthrough = written.passthrough
    others: dict[Wire, Provider] = {wire: providers[name] for wire, name in written.passthrough_others.items()}
    return RouteTable(exact, wildcards, providers[passthrough] if passthrough is not None else None, others)


def _route(name: str, section: ModelSection, providers: dict[str, Provider]) -> Route:
    # `local/*` is a namespace of ours and is taken off; `gpt-*` is how the provider's own names begin.
    usual = "*" if name.endswith("/*") else name
    return Route(
        name,
        tuple(Target(providers[t.provider], t.model or usual, t.weight) for t in section.targets),
        tuple(section.fallbacks),
        Retry(section.retry.rounds, section.retry.backoff, section.retry.max_backoff),
        section.max_output_tokens,
    )


def _server(written: Written) -> ServerOptions:
    options = ServerOptions(**written.root.server.model_dump())
    return options if written.workers is None else msgspec.structs.replace(options, workers=written.workers)


def _telemetry(section: TelemetrySection) -> TelemetryOptions:
    return TelemetryOptions(
        metrics=section.metrics,
        log_level=section.log_level,
        log_format=section.log_format,
        access_log=section.access_log,
        otlp="" if section.otlp is None else section.otlp.get_secret_value().strip(),
        headers=tuple((name.lower(), value.get_secret_value()) for name, value in section.headers.items()),
        sample=section.sample,
        keep=frozenset(section.keep),
        slow=section.slow,
        semconv=section.semconv,
        trace_url=section.trace_url,
        otlp_metrics=section.otlp_metrics,
        content=None
        if section.content == "off"
        else ContentOptions(frozenset(section.content.teams), section.content.max_characters),
    )


def _entries(root: Root, stored_keys: Iterable[StoredKey], guardrails: GuardrailPrograms | None) -> Iterable[KeyEntry]:
    """Every key that can match. A key of a team that is not configured any more matches nothing."""
    engines: Mapping[str, Engine] = guardrails.engines if guardrails is not None else {}
    for name, team in root.teams.items():
        for key in team.keys:
            if key.hash not in PLACEHOLDERS:
                yield KeyEntry(*parse_hash(key.hash), _caller(name, team, key, engines.get(name)))
    for stored in stored_keys:
        team = root.teams.get(stored.team)
        if team is not None and stored.revoked_ns is None:
            yield KeyEntry("hmac", bytes.fromhex(stored.digest), _stored_caller(stored, team, engines.get(stored.team)))


def _caller(name: str, team: TeamSection, key: KeySection, engine: Engine | None) -> Caller:
    return Caller(
        key_id=key.id,
        team=name,
        models=both(scope_of(team.models), scope_of(key.models)),
        tags={**team.tags, **key.tags},
        expires_ns=key.expires,
        guardrails=engine,
        weight=team.weight,
        priority=key.priority or team.priority,
        passthrough="off" not in (team.passthrough, key.passthrough),
    )


def _stored_caller(stored: StoredKey, team: TeamSection, engine: Engine | None) -> Caller:
    return Caller(
        key_id=stored.id,
        team=stored.team,
        models=both(scope_of(team.models), scope_of(stored.models)),
        tags={**team.tags, **stored.tags},
        expires_ns=stored.ends_ns,
        guardrails=engine,
        weight=team.weight,
        priority=team.priority,
        passthrough=team.passthrough == "on",
    )


def _secret(secret: SecretStr | None) -> bytes | None:
    return None if secret is None else secret.get_secret_value().encode()


def _warnings(written: Written) -> Iterable[str]:
    """What is written and has no effect, or not the one that is probably meant."""
    root = written.root
    for name, team in root.teams.items():
        for key in team.keys:
            if key.hash in PLACEHOLDERS:
                yield f"the hash of key '{key.id}' of team '{name}' is a placeholder: the key cannot be used"
    for key in root.admin.keys:
        if key.hash in PLACEHOLDERS:
            yield f"the hash of admin key '{key.id}' is a placeholder: the key cannot be used"
    for name, model in root.models.items():
        for fallback in model.fallbacks:
            if not any(matches(known, fallback) for known in root.models):
                yield f"the fallback '{fallback}' of model '{name}' is not configured: it is skipped"
    if root.telemetry.otlp_metrics and root.telemetry.otlp is None:
        yield "telemetry.otlp_metrics has no effect without telemetry.otlp: there is no collector"
    if root.telemetry.content != "off" and root.telemetry.otlp is None:
        yield "telemetry.content has no effect without telemetry.otlp: nothing is traced"
    for name, provider in root.providers.items():
        if isinstance(provider.breaker, BreakerSection) and provider.breaker.back_off > provider.breaker.longest:
            yield f"the breaker of provider '{name}' never waits for its back_off: longest is shorter"
    if not root.models:
        yield "no models are configured: every request for one will be refused"
    if root.teams and root.secrets.key_hash is None and not any(team.keys for team in root.teams.values()):
        yield "no keys are configured, and `tollway keys create` needs secrets.key_hash"


def _without_price(routes: RouteTable, prices: PriceBook | None) -> dict[str, list[str]]:
    """Targets without a price, by the name of their model. Asks for the card of every target that has a name, so that
    no request pays for making it."""
    found: dict[str, list[str]] = {}
    if prices is None:
        return found
    for route in (*routes.exact.values(), *routes.wildcards):
        for target in route.targets:
            if "*" not in target.model and prices.card(target.provider.prices, target.model) is None:
                found.setdefault(route.name, []).append(f"{target.provider.name}/{target.model}")
    return found


def _unpriced(found: Mapping[str, Sequence[str]]) -> Iterable[str]:
    unknown = {target for targets in found.values() for target in targets}
    if unknown:
        listed = ", ".join(sorted(unknown)[:10]) + (" and more" if len(unknown) > 10 else "")
        yield f"no price is known for {listed}: their cost will be recorded as unknown (see `prices`)"


def _unused_prices(written: Written) -> Iterable[str]:
    """A contract that is never applied costs the list price, silently."""
    used = {provider.prices.lower() for provider in written.root.providers.values() if provider.prices is not None}
    entries = () if written.prices is None else written.prices.entries
    for name in sorted({entry.provider for entry in entries if entry.provider is not None} - used):
        yield f"own prices of provider '{name}' are never used: no provider here has `prices: {name}`"


def _strays(root: Root, stored_keys: Iterable[StoredKey]) -> Iterable[str]:
    teams = sorted({key.team for key in stored_keys if key.revoked_ns is None} - root.teams.keys())
    for team in teams:
        yield f"the ledger holds keys of a team '{team}' that is not configured: they are refused"
