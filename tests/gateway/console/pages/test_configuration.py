import html
from pathlib import Path

import httpx
import yaml

from gateway.admin.audit import listed
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor

PAGE = "/console/configuration"


async def test_what_is_in_force_is_shown_without_secrets(world: FakeWorld, admin: httpx.AsyncClient):
    text = (await admin.get(PAGE)).text
    for word in (world.configuration.snapshot.hash, "gpt-4o-mini", "local/*", "https://api.openai.example/v1"):
        assert word in text
    assert "pk-canary" not in text
    assert "server secret" not in text


async def test_reload_takes_up_the_file_and_is_in_the_audit_log(
    world: FakeWorld, admin: httpx.AsyncClient, tmp_path: Path
):
    file = tmp_path / "gateway.yaml"
    data = yaml.safe_load(file.read_text())
    data["models"]["extra"] = {"targets": [{"provider": "openai"}]}
    file.write_text(yaml.safe_dump(data))
    answer = await post(admin, f"{PAGE}/reload", PAGE)
    assert answer.headers["location"] == f"{PAGE}?said=reloaded"
    assert world.configuration.snapshot.routes.find("extra") is not None
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    entry = listed(ledger.url, 0, 10).entries[-1]
    assert (entry.actor, entry.action) == ("key:admin-key", "config.reload")
    page = await admin.get(answer.headers["location"])
    assert "is in force" in page.text
    assert "config.reload" in page.text
    assert (await post(admin, f"{PAGE}/reload", PAGE)).headers["location"] == f"{PAGE}?said=unchanged"


async def test_a_file_that_cannot_be_used_changes_nothing_and_its_problems_are_shown(
    world: FakeWorld, admin: httpx.AsyncClient, tmp_path: Path
):
    before = world.configuration.snapshot
    (tmp_path / "gateway.yaml").write_text("version: 1\nprovders: {}\n")
    answer = await post(admin, f"{PAGE}/reload", PAGE)
    assert answer.status_code == 409
    assert "gateway.yaml:2:1" in answer.text
    assert world.configuration.snapshot is before
    assert "The last reload was refused" in (await admin.get(PAGE)).text


async def test_a_candidate_is_judged_by_place_and_never_applied(world: FakeWorld, admin: httpx.AsyncClient):
    before = world.configuration.snapshot
    answer = await post(admin, f"{PAGE}/validate", PAGE, text="version: 1\r\nprovders: {}\r\n<b>: 1\r\n")
    assert answer.status_code == 200
    assert "gateway.yaml:2:1: " in answer.text
    assert "<b>" not in answer.text
    assert world.configuration.snapshot is before
    good = before.source
    text = Path(good).read_text().replace("support: {}", "support: {models: [gpt-4o-mini]}")
    told = html.unescape((await post(admin, f"{PAGE}/validate", PAGE, text=text)).text)
    assert "It can be used." in told
    assert "support" in told
    assert world.configuration.snapshot is before
    assert (await post(admin, f"{PAGE}/validate", PAGE, text=" ")).status_code == 400


async def test_those_who_may_not_reload_see_no_button(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client, "finops")
        text = (await client.get(PAGE)).text
        assert "Validate" not in text
        assert 'id="reload"' not in text
        assert "Who changed what" in text
    async with visitor(world) as client:
        await log_in(client, "viewer")
        assert "does not read the audit log" in (await client.get(PAGE)).text
