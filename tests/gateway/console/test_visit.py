import pytest

from gateway.console.session import LIFETIME
from gateway.console.visit import COOKIE, MAX_FORM, SAID
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, token_of, visitor

CHANGES = (
    "/console/logout",
    "/console/configuration/reload",
    "/console/configuration/validate",
    "/console/guardrails/try",
    "/console/incidents/switches",
    "/console/incidents/switches/sw-1/clear",
    "/console/incidents/inc-1/acknowledge",
    "/console/incidents/inc-1/comment",
)


@pytest.mark.parametrize("path", CHANGES)
async def test_a_form_without_its_sessions_token_changes_nothing(world: FakeWorld, path: str):
    async with visitor(world) as client, visitor(world) as other:
        await log_in(client)
        await log_in(other)
        theirs = token_of(await other.get("/console/configuration"))
        mine = token_of(await client.get("/console/configuration"))
        for token in ("", "x", theirs):
            answer = await client.post(path, data={"token": token, "reason": "r", "target": "stop:gateway"})
            assert answer.status_code == 403
            assert "not of your session" in answer.text
        answer = await client.post(path, data={"token": mine}, headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == 403
    assert world.configuration.reloads == {"success": 0, "failure": 0}


@pytest.mark.parametrize("path", CHANGES[1:])
async def test_without_a_session_nothing_is_done(world: FakeWorld, path: str):
    async with visitor(world) as client:
        answer = await client.post(path, data={"token": "x"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login")


MAY = {
    "/console/cost": {"admin", "finops"},
    "/console/cost/exchanges": {"admin", "finops"},
    "/console/cost/export?format=csv": {"admin", "finops"},
    "/console/incidents": {"admin", "finops", "oncall", "viewer"},
    "/console/guardrails": {"admin", "finops", "oncall", "viewer"},
    "/console/configuration": {"admin", "finops", "oncall", "viewer"},
}


@pytest.mark.parametrize("role", ["admin", "finops", "oncall", "viewer"])
async def test_pages_follow_the_matrix_of_roles(world: FakeWorld, role: str):
    async with visitor(world) as client:
        await log_in(client, role)
        for path, roles in MAY.items():
            answer = await client.get(path)
            assert (answer.status_code != 403) == (role in roles), path
        first = await client.get("/console/")
        assert first.headers["location"] == ("/console/cost" if role in ("admin", "finops") else "/console/incidents")


async def test_a_viewer_changes_nothing(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client, "viewer")
        page = await client.get("/console/incidents")
        assert "Set a switch" not in page.text
        for path in CHANGES[1:3] + CHANGES[4:]:
            answer = await client.post(path, data={"token": token_of(page), "reason": "r", "target": "stop:gateway"})
            assert answer.status_code == 403, path
            assert "role" in answer.text
    assert world.configuration.reloads == {"success": 0, "failure": 0}


async def test_a_session_that_is_over_asks_to_log_in_again(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        world.clock.advance(LIFETIME)
        assert (await client.get("/console/configuration")).headers["location"] == "/console/login"
        client.cookies.set(COOKIE, "made.up", domain="gateway.local", path="/console")
        assert (await client.get("/console/configuration")).headers["location"] == "/console/login"


async def test_what_a_page_says_after_a_change_is_never_the_addresss_own_words(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        assert SAID["reloaded"] in (await client.get("/console/configuration?said=reloaded")).text
        assert "pwned" not in (await client.get("/console/configuration?said=pwned")).text


async def test_a_form_has_a_bounded_size(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        answer = await post(client, "/console/configuration/validate", "/console/configuration", text="x" * MAX_FORM)
        assert answer.status_code == 413
