"""Virtual keys over HTTP: list, create, revoke, rotate."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, json_answer, read_json
from gateway.admin.keyring import Keyring, open_keyring
from gateway.admin.shapes import CreateKey, KeyList, RotateKey
from gateway.telemetry.logs import info

T = TypeVar("T")


async def list_keys(call: Call) -> Response:
    team = call.request.query_params.get("team")
    return json_answer(KeyList(await _with_keyring(call, lambda keyring: keyring.list(team))))


async def create_key(call: Call) -> Response:
    asked = await read_json(call.request, CreateKey)
    root = call.world.configuration.written.root
    made = await _with_keyring(
        call,
        lambda keyring: keyring.create(
            team=asked.team,
            teams=root.teams,
            known_models=root.models,
            team_models=section.models if (section := root.teams.get(asked.team)) is not None else None,
            name=asked.name,
            expires=asked.expires,
            models=asked.models,
            tags=asked.tags,
        ),
    )
    info("admin_key_created", admin_key_id=call.admin_id, key_id=made.id, team=made.team)
    return json_answer(made, 201)


async def revoke_key(call: Call) -> Response:
    key_id: str = call.request.path_params["key_id"]
    revoked = await _with_keyring(call, lambda keyring: keyring.revoke(key_id))
    info("admin_key_revoked", admin_key_id=call.admin_id, key_id=revoked.id, team=revoked.team)
    return json_answer(revoked)


async def rotate_key(call: Call) -> Response:
    key_id: str = call.request.path_params["key_id"]
    asked = await read_json(call.request, RotateKey)
    made = await _with_keyring(call, lambda keyring: keyring.rotate(key_id, asked.overlap))
    info("admin_key_rotated", admin_key_id=call.admin_id, key_id=made.id, team=made.team, rotated_from=key_id)
    return json_answer(made, 201)


async def _with_keyring(call: Call, work: Callable[[Keyring], T]) -> T:
    """Run `work` on a thread, because it waits for the database."""
    snapshot = call.world.configuration.snapshot
    ledger = snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off), so it can make no keys.", code="ledger_off")

    def run() -> T:
        with open_keyring(ledger.url, snapshot.server_secret, call.world.clock, call.actor) as keyring:
            return work(keyring)

    return await asyncio.to_thread(run)
