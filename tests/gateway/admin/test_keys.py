"""Keys over HTTP: made, listed, used, rotated, revoked; secrets seen once."""

import logging
from pathlib import Path

import httpx
import pytest

from gateway.auth.keys import authenticate
from gateway.errors import LedgerError, Unauthenticated
from gateway.ledger.keystore import KeyStore
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld, client_of

KEYS = "/admin/v1/keys"


def take_keys(world: FakeWorld) -> None:
    """What the key watch does."""
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    world.configuration.set_keys(KeyStore(open_engine(ledger.url), world.clock).load())


def opens(world: FakeWorld, secret: str) -> bool:
    take_keys(world)
    try:
        authenticate(world.configuration.snapshot.keys, secret.encode(), world.clock.now_ns())
    except Unauthenticated:
        return False
    return True


async def test_the_life_of_a_key(admin: httpx.AsyncClient, world: FakeWorld, tmp_path: Path) -> None:
    answer = await admin.post(
        KEYS, json={"team": "search", "name": "ci", "expires": "90d", "models": ["gpt-4o-mini"], "tags": {"app": "x"}}
    )
    assert answer.status_code == 201
    made = answer.json()
    assert made["secret"].startswith(made["prefix"])
    assert made["secret"].endswith(made["last4"])
    assert (made["team"], made["name"], made["state"]) == ("search", "ci", "active")
    assert made["models"] == ["gpt-4o-mini"]
    assert made["expires_at"] == "2024-02-12T22:13:20Z"
    assert opens(world, made["secret"])

    listed = (await admin.get(KEYS)).json()["keys"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert "secret" not in listed[0]
    assert made["secret"] not in str(listed)
    assert made["secret"].encode() not in (tmp_path / "ledger.db").read_bytes()

    rotated = (await admin.post(f"{KEYS}/{made['id']}/rotate", json={"overlap": "1h"})).json()
    assert rotated["rotated_from"] == made["id"]
    assert opens(world, made["secret"])
    assert opens(world, rotated["secret"])
    world.clock.advance(3601)
    assert not opens(world, made["secret"])
    assert opens(world, rotated["secret"])

    revoked = await admin.post(f"{KEYS}/{rotated['id']}/revoke")
    assert revoked.json()["state"] == "revoked"
    assert not opens(world, rotated["secret"])
    again = await admin.post(f"{KEYS}/{rotated['id']}/revoke")
    assert again.json() == revoked.json()

    states = {key["id"]: key["state"] for key in (await admin.get(KEYS)).json()["keys"]}
    assert states == {made["id"]: "expired", rotated["id"]: "revoked"}
    assert (await admin.get(KEYS, params={"team": "support"})).json() == {"keys": []}


async def test_rotation_without_a_body_overlaps_for_a_day(admin: httpx.AsyncClient, world: FakeWorld) -> None:
    made = (await admin.post(KEYS, json={"team": "search"})).json()
    assert (await admin.post(f"{KEYS}/{made['id']}/rotate")).status_code == 201
    old = next(key for key in (await admin.get(KEYS)).json()["keys"] if key["id"] == made["id"])
    assert (old["state"], old["replaced_until"]) == ("replaced", "2023-11-15T22:13:20Z")


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"team": "serach"}, "unknown_team", "'search'"),
        ({"team": "search", "models": ["gpt-4o-mni"]}, None, "'gpt-4o-mini'"),
        ({"team": "search", "expires": "tomorrow"}, None, "90d"),
        ({"team": "search", "expires": "2001-01-01"}, None, "future"),
        ({"team": "search", "tags": {"a,b": "c"}}, None, "tags"),
    ],
)
async def test_wrong_wishes(admin: httpx.AsyncClient, body: dict[str, object], code: str | None, says: str) -> None:
    answer = await admin.post(KEYS, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert says in answer.json()["error"]["message"]
    assert (await admin.get(KEYS)).json() == {"keys": []}


async def test_nobody_has_this_id(admin: httpx.AsyncClient) -> None:
    for verb in ("revoke", "rotate"):
        answer = await admin.post(f"{KEYS}/search-dev/{verb}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "key_not_found")


async def test_a_key_that_ended_is_not_rotated(admin: httpx.AsyncClient) -> None:
    made = (await admin.post(KEYS, json={"team": "search"})).json()
    await admin.post(f"{KEYS}/{made['id']}/revoke")
    answer = await admin.post(f"{KEYS}/{made['id']}/rotate")
    assert answer.status_code == 409
    assert "revoked" in answer.json()["error"]["message"]


async def test_no_server_secret(make_world) -> None:
    async with client_of(make_world(secrets={})) as client:
        answer = await client.post(KEYS, json={"team": "search"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "key_hash_missing")
        assert "secrets.key_hash" in answer.json()["error"]["message"]
        assert (await client.get(KEYS)).json() == {"keys": []}


async def test_no_ledger(make_world) -> None:
    async with client_of(make_world(ledger="off")) as client:
        for answer in (await client.get(KEYS), await client.post(KEYS, json={"team": "search"})):
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ledger_off")


async def test_the_database_is_away(world: FakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(url: str) -> None:
        raise LedgerError("the ledger database: connection refused")

    monkeypatch.setattr("gateway.ledger.store.ensure_schema", away)
    async with client_of(world) as client:
        answer = await client.get(KEYS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "ledger_unavailable")
    assert answer.headers["retry-after"]


async def test_changes_are_logged_without_the_secret(world: FakeWorld, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tollway"):
        async with client_of(world) as client:
            made = (await client.post(KEYS, json={"team": "search"})).json()
            await client.post(f"{KEYS}/{made['id']}/revoke")
    said = {record.message: str(record.__dict__) for record in caplog.records}
    assert {"admin_key_created", "admin_key_revoked"} <= said.keys()
    assert "admin-key" in said["admin_key_created"]
    assert made["secret"] not in str(said)
