import html
from pathlib import Path

import httpx
import pytest

from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor

PAGE = "/console/configuration"


@pytest.fixture
async def changed(world: FakeWorld, admin: httpx.AsyncClient) -> Path:
    """Two versions, and a refusal whose text somebody chose."""
    path = Path(world.configuration.snapshot.source)
    await post(admin, f"{PAGE}/reload", PAGE)
    good = path.read_text() + "passthrough: local\n"
    path.write_text(good)
    world.clock.advance(60)
    await post(admin, f"{PAGE}/reload", PAGE)
    path.write_text(good + '"<i>": 1\n')
    await post(admin, f"{PAGE}/reload", PAGE)
    path.write_text(good)
    return path


async def test_history_one_version_and_a_difference(changed: Path, admin: httpx.AsyncClient):
    page = (await admin.get(PAGE)).text
    assert f'href="{PAGE}/versions/1"' in page
    assert "<i>" not in page
    assert "passthrough: openai → local" in html.unescape(page) or "passthrough: (default) → local" in page
    one = (await admin.get(f"{PAGE}/versions/2")).text
    for word in ("key:admin-key", "in force", "+passthrough: local", "[masked]"):
        assert word in html.unescape(one)
    assert "canary" not in one
    assert "Roll back to it" not in one, "it is in force"
    compared = (await admin.get(f"{PAGE}/diff?old=1&new=2")).text
    assert '<span class="line plus">+passthrough: local</span>' in compared
    assert (await admin.get(f"{PAGE}/versions/7")).status_code == 404
    assert (await admin.get(f"{PAGE}/diff?old=1")).status_code == 400


async def test_roll_back(changed: Path, admin: httpx.AsyncClient, world: FakeWorld):
    action, one = f"{PAGE}/versions/1/rollback", f"{PAGE}/versions/1"
    missing = await post(admin, action, one, reason=" ")
    assert (missing.status_code, "Say why" in missing.text) == (400, True)
    changed.write_text(changed.read_text() + "# never in force\n")
    refused = await post(admin, action, one, reason="local is <slow>")
    assert refused.status_code == 409
    assert "never in force" in refused.text
    assert 'value="local is &lt;slow&gt;"' in refused.text, "what was typed is kept"
    done = await post(admin, action, one, reason="local is <slow>", discard="1")
    assert done.headers["location"] == f"{PAGE}?said=rolled_back"
    assert "passthrough" not in changed.read_text()
    page = (await admin.get(done.headers["location"])).text
    assert "rollback to version 1" in page
    assert "local is &lt;slow&gt;" in page
    assert "config.rollback" in page
    assert world.configuration.written.root.passthrough is None


async def test_no_token_no_roll_back(changed: Path, admin: httpx.AsyncClient):
    before = changed.read_text()
    answer = await admin.post(f"{PAGE}/versions/1/rollback", data={"reason": "x"})
    assert answer.status_code == 403
    assert changed.read_text() == before


async def test_who_may_not(changed: Path, world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client, "oncall")
        assert "Roll back to it" not in (await client.get(f"{PAGE}/versions/1")).text
        assert (await post(client, f"{PAGE}/versions/1/rollback", PAGE, reason="x")).status_code == 403
    async with visitor(world) as client:
        await log_in(client, "viewer")
        assert (await client.get(f"{PAGE}/versions/1")).status_code == 403
        assert "does not read earlier configurations" in (await client.get(PAGE)).text
