"""Who may do what: every role against every route."""

import hashlib
import re

import httpx
import pytest

from gateway.admin.access import MATRIX, Permission, authorize, sent_key
from gateway.admin.routes import ROUTES
from gateway.auth.keys import digest_of
from gateway.errors import Forbidden, Unauthenticated
from gateway.settings.snapshot import AdminKey
from tests.gateway.admin.fakes import ROLES, SERVER_SECRET, FakeWorld, client_of

EXPECTED = {
    "read_config": {"viewer", "finops", "oncall", "admin"},
    "read_budgets": {"viewer", "finops", "oncall", "admin"},
    "list_keys": {"finops", "oncall", "admin"},
    "read_audit": {"finops", "oncall", "admin"},
    "read_incidents": {"viewer", "finops", "oncall", "admin"},
    "manage_incidents": {"oncall", "admin"},
    "read_spend": {"finops", "admin"},
    "manage_budgets": {"finops", "admin"},
    "reload": {"oncall", "admin"},
    "roll_back": {"admin"},
    "manage_keys": {"admin"},
    "review_findings": {"admin"},
}
GUARDED = [endpoint for endpoint in ROUTES if endpoint.permission is not None]


def path_of(path: str) -> str:
    return re.sub(r"{\w+}", "nobody", path)


def test_the_matrix_is_the_documented_one() -> None:
    assert {permission: set(roles) for permission, roles in MATRIX.items()} == EXPECTED


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_opens_what_it_may(world: FakeWorld, role: str) -> None:
    async with client_of(world, role) as client:
        for endpoint in GUARDED:
            answer = await client.request(endpoint.method, path_of(endpoint.path))
            assert endpoint.permission is not None
            refused = answer.status_code == 403
            assert refused == (role not in EXPECTED[endpoint.permission]), (role, endpoint.path)
            if refused:
                assert answer.json()["error"]["code"] == "role_not_allowed"
                assert f"'{role}'" in answer.json()["error"]["message"]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"authorization": "Basic c2stYWRtaW4="}])
async def test_no_key(world: FakeWorld, headers: dict[str, str]) -> None:
    async with client_of(world, None) as client:
        for endpoint in GUARDED:
            answer = await client.request(endpoint.method, path_of(endpoint.path), headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "key", ["sk-search", "sk-admin ", "sk-Admin", "sk-admi", hashlib.sha256(b"sk-admin").hexdigest()]
)
async def test_a_wrong_key_is_not_repeated(world: FakeWorld, key: str) -> None:
    async with client_of(world, None) as client:
        answer = await client.get("/admin/v1/config", headers={"x-api-key": f"{key}x"})
        assert answer.status_code == 401
        assert key.strip() not in answer.text


async def test_x_api_key(world: FakeWorld) -> None:
    async with client_of(world, None) as client:
        assert (await client.get("/admin/v1/config", headers={"x-api-key": "sk-viewer"})).status_code == 200


async def test_no_admin_keys_are_configured(make_world) -> None:
    async with client_of(make_world(admin={})) as client:
        answer = await client.get("/admin/v1/config")
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "admin_not_configured"
        assert "admin.keys" in answer.json()["error"]["message"]
        assert (await client.get("/readyz")).status_code == 200


def test_a_keyed_admin_hash(make_world) -> None:
    digest = digest_of(b"sk-ops", "hmac", SERVER_SECRET.encode())
    world = make_world(admin={"keys": [{"id": "ops", "role": "oncall", "hash": f"hmac:{digest.hex()}"}]})
    snapshot = world.configuration.snapshot
    assert authorize(snapshot, "sk-ops", "reload") == AdminKey("ops", "oncall", "hmac", digest)
    with pytest.raises(Forbidden):
        authorize(snapshot, "sk-ops", "manage_keys")
    for wrong in ("sk-admin", "", "\udcff"):
        with pytest.raises(Unauthenticated):
            authorize(snapshot, wrong, "read_config")


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer k", None, "k"),
        ("bearer  k ", None, "k"),
        ("Bearer k", "x", "x"),
        (None, " x ", "x"),
        ("Basic k", None, None),
        ("k", None, None),
        (None, None, None),
        ("Bearer", "", None),
    ],
)
def test_where_a_key_may_stand(authorization: str | None, x_api_key: str | None, key: str | None) -> None:
    assert sent_key(authorization, x_api_key) == key


def test_every_permission_guards_something() -> None:
    used: set[Permission | None] = {endpoint.permission for endpoint in ROUTES}
    assert used == {*MATRIX, None}


async def test_a_client_without_a_key_learns_nothing_of_paths(world: FakeWorld) -> None:
    async with client_of(world, None) as client:
        answers: list[httpx.Response] = [await client.post(f"/admin/v1/keys/{name}/revoke") for name in ("a", "b")]
        assert {answer.status_code for answer in answers} == {401}
