from collections.abc import Callable

import pytest

from gateway.console.attempts import MOST_FAILURES, WINDOW
from gateway.console.session import LIFETIME
from gateway.console.visit import COOKIE
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor


async def test_a_right_key_begins_a_session_in_a_cookie_no_script_and_no_other_site_sees(world: FakeWorld):
    async with visitor(world) as client:
        answer = await log_in(client)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        for flag in ("HttpOnly", "SameSite=strict", "Path=/console", f"Max-Age={LIFETIME}"):
            assert flag in cookie
        assert "Secure" not in cookie  # this connection is not encrypted
        assert (await client.get("/console/cost")).status_code in (200, 503)


async def test_behind_tls_the_cookie_is_for_tls_alone(world: FakeWorld):
    async with visitor(world) as client:
        answer = await client.post("/console/login", data={"key": "sk-admin"}, headers={"x-forwarded-proto": "https"})
        assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "wrong", "sk-search", "sk-admin\udcff", "x" * 100_000])
async def test_a_wrong_key_begins_nothing(world: FakeWorld, key: str):
    async with visitor(world) as client:
        answer = await client.post("/console/login", data={"key": key.encode("utf-8", "surrogateescape")})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert "That is no admin key" in answer.text
        assert key == "" or key not in answer.text


async def test_keys_cannot_be_tried_out(world: FakeWorld):
    """Once there were too many wrong keys, the right one must wait too: else the answer tells which it is."""
    async with visitor(world) as client:
        for _ in range(MOST_FAILURES):
            assert (await client.post("/console/login", data={"key": "wrong"})).status_code == 401
        answer = await log_in(client)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW
        world.clock.advance(WINDOW)
        assert (await log_in(client)).status_code == 303


async def test_another_site_cannot_log_anybody_in(world: FakeWorld):
    async with visitor(world) as client:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"origin": "null"}):
            answer = await client.post("/console/login", data={"key": "sk-admin"}, headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
        same = {"sec-fetch-site": "same-origin", "origin": "http://elsewhere.example"}
        assert (await client.post("/console/login", data={"key": "sk-admin"}, headers=same)).status_code == 303


async def test_logging_out_forgets_the_cookie(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        answer = await post(client, "/console/logout", "/console/configuration")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")
        assert (await client.get("/console/configuration")).status_code == 303


async def test_a_gateway_without_admin_keys_says_how_to_add_one(make_world: Callable[..., FakeWorld]):
    async with visitor(make_world(admin={"keys": []})) as client:
        assert "admin.keys" in (await client.get("/console/login")).text
        answer = await log_in(client)
        assert answer.status_code == 403
        assert "admin.keys" in answer.text


async def test_what_is_no_form_is_refused(world: FakeWorld):
    async with visitor(world) as client:
        assert (await client.post("/console/login", json={"key": "sk-admin"})).status_code == 400
