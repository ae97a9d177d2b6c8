"""What the gateway is doing now: its configuration and reload, and its providers."""

import asyncio
import contextlib

from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.audit import note
from gateway.admin.endpoint import Call, json_answer, on_database
from gateway.admin.shapes import ConfigView, PoolView, ProviderList, ProviderView, ReloadView, iso
from gateway.admin.workers import signal_others
from gateway.errors import LedgerError
from gateway.ledger.config_history import Origin as Asked
from gateway.seams import Origin
from gateway.settings.history import tell_now
from gateway.settings.reload import ReloadResult
from gateway.telemetry.logs import info


async def show_config(call: Call) -> Response:
    configuration = call.world.configuration
    snapshot = configuration.snapshot
    return json_answer(
        ConfigView(
            hash=snapshot.hash,
            loaded_at=iso(snapshot.loaded_ns),
            source=snapshot.source,
            last_error=configuration.last_error,
            warnings=list(snapshot.warnings),
            models=snapshot.routes.names(),
        )
    )


async def reload(call: Call) -> Response:
    """Reload here, and, if the file is good, tell the other workers to."""
    world = call.world
    result = await world.reload(f"admin key {call.admin_id}")
    await _told(call, result)
    info("admin_reload", admin_key_id=call.admin_id, ok=result.ok, old_hash=result.old_hash, new_hash=result.new_hash)
    if not result.ok:
        raise Conflict(
            f"The configuration was not reloaded, and the last good one stays in force.\n{result.error}",
            code="invalid_configuration",
        )
    if (ledger := world.configuration.snapshot.ledger) is not None:
        await asyncio.to_thread(
            note,
            ledger.url,
            world.clock,
            actor=call.actor,
            action="config.reload",
            object=world.configuration.snapshot.source,
            before={"hash": result.old_hash},
            after={"hash": result.new_hash},
        )
    return json_answer(
        ReloadView(
            old_hash=result.old_hash,
            new_hash=result.new_hash,
            changed=result.old_hash != result.new_hash,
            difference=result.difference,
            restart=result.restart,
            signalled=signal_others(world.configuration.snapshot.server.runtime_dir),
        )
    )


async def _told(call: Call, result: ReloadResult) -> None:
    """The history of the configuration says at once who asked for it. A database that is away holds up no reload: the
    worker itself tells it later."""
    world = call.world
    ledger = world.configuration.snapshot.ledger
    if ledger is not None:
        asked = Asked("reload", call.actor)
        with contextlib.suppress(LedgerError):
            await on_database(
                ledger.url, lambda engine: tell_now(world.configuration, engine, world.clock, asked, result)
            )


async def list_providers(call: Call) -> Response:
    world = call.world
    now = world.clock.monotonic()
    down = set(world.health.down(now))
    open_ = sorted(key for key, state in world.circuits.states(now) if state != "closed")
    pools = {stats.origin: stats for stats in world.pool_stats()}
    views: list[ProviderView] = []
    for provider in world.configuration.snapshot.routes.providers():
        stats = pools.get(provider.origin)
        views.append(
            ProviderView(
                name=provider.name,
                dialect=provider.wire,
                base_url=url_of(provider.origin) + provider.base_path.decode("ascii", "replace"),
                transport=provider.transport,
                credential_down=provider.name in down,
                open_circuits=[model for name, model in open_ if name == provider.name],
                pool=None if stats is None else PoolView(stats.open, stats.idle, stats.in_use, stats.waiting),
            )
        )
    return json_answer(ProviderList(views))


def url_of(origin: Origin) -> str:
    """`https://api.openai.com`; the port is left out where it is the scheme's own."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    usual = {"http": 80, "https": 443}.get(origin.scheme)
    return f"{origin.scheme}://{host}" + ("" if origin.port == usual else f":{origin.port}")
