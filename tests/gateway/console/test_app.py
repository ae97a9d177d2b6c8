import re
from pathlib import Path

import gateway.console
from gateway.console.render import POLICY
from gateway.ledger.posting import post as post_events
from gateway.ledger.store import open_engine, writing
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, visitor
from tests.support.console_seed import seed
from tests.support.ledgers import ready_ledger

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}'
PAGES = ("/console/cost", "/console/cost?by=model", "/console/cost/exchanges", "/console/incidents",
         "/console/guardrails", "/console/configuration", "/console/login", "/console/nowhere")  # fmt: skip


async def test_every_answer_lets_a_browser_run_our_files_and_nothing_else(world: FakeWorld):
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY
    seed(world.configuration.snapshot.ledger.url, world.clock.now_ns(), 50)
    async with visitor(world) as client:
        await log_in(client)
        for path in (*PAGES, "/console/static/console.css", "/console/static/missing.js"):
            answer = await client.get(path)
            assert answer.headers["content-security-policy"] == POLICY, path
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["cache-control"] == ("no-cache" if "console.css" in path else "no-store")


async def test_pages_hold_nothing_inline_and_name_no_other_host(world: FakeWorld):
    """Strict CSP: no inline script or style, no handler attributes, nothing from elsewhere."""
    seed(world.configuration.snapshot.ledger.url, world.clock.now_ns(), 50)
    async with visitor(world) as client:
        await log_in(client)
        for path in PAGES:
            text = (await client.get(path)).text
            assert not re.search(r"<script(?![^>]* src=\"/console/static/)", text), path
            assert not re.search(r"<style|\sstyle=|\son\w+=", text), path
            assert not re.search(r"(src|href|action)=\"(https?:)?//", text), path


async def test_names_that_somebody_chose_come_out_as_words(world: FakeWorld):
    """Team, key, model and tag names are text, wherever they are shown: in tables, charts, attributes, addresses."""
    url = world.configuration.snapshot.ledger.url
    records = seed(url, world.clock.now_ns(), 5, names=(NASTY,))
    async with visitor(world) as client:
        await log_in(client)
        for path in (
            "/console/cost",
            "/console/cost?by=model",
            "/console/cost?by=provider&team=" + NASTY.replace("&", ""),
            "/console/cost/exchanges",
            "/console/cost/exchanges/named-0",
            f"/console/cost?range={NASTY}",
            f"/console/cost?by={NASTY}",
            f"/console/cost/exchanges?team={NASTY}",
            f"/console/cost/exchanges?outcome={NASTY}",
            f"/console/cost/exchanges/{NASTY}",
        ):
            text = (await client.get(path)).text
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            assert "alert(2)&gt;49" not in text, path
        assert "&lt;script&gt;alert(1)" in (await client.get("/console/cost")).text
    assert records[-1].team == NASTY


async def test_tags_come_out_as_words(world: FakeWorld):
    url = world.configuration.snapshot.ledger.url
    ready_ledger(url)
    import msgspec

    record = msgspec.structs.replace(seed(url, world.clock.now_ns(), 1)[0], id="tagged", tags={NASTY: NASTY})
    engine = open_engine(url)
    with writing(engine) as connection:
        post_events(connection, [record], world.clock.now_ns())
    engine.dispose()
    async with visitor(world) as client:
        await log_in(client)
        text = (await client.get("/console/cost/exchanges/tagged")).text
        assert "&lt;script&gt;" in text
        assert "<script>alert" not in text


async def test_what_is_not_there_and_what_is_not_possible_say_so(world: FakeWorld):
    async with visitor(world) as client:
        assert (await client.get("/console/nowhere")).status_code == 404
        await log_in(client)
        missing = await client.get("/console/nowhere")
        assert missing.status_code == 404
        assert "no such page" in missing.text
        assert (await client.put("/console/cost")).status_code == 405
        assert (await client.get("/console/static/../app.py")).status_code == 404


async def test_a_ledger_that_is_away_is_said_and_the_frame_stays(world: FakeWorld):
    async with visitor(world) as client:
        await log_in(client)
        answer = await client.get("/console/cost")
        assert answer.status_code == 503
        assert "The ledger cannot be read" in answer.text
        assert "Configuration</a>" in answer.text
        assert (await client.get("/console/incidents")).status_code == 200


def test_what_is_shipped_is_ours_and_small():
    static = Path(gateway.console.__file__).parent / "static"
    names = sorted(path.name for path in static.iterdir())
    assert names == ["console.css", "console.js", "icon.svg", "theme.js"]
    assert sum(path.stat().st_size for path in static.iterdir()) < 40_000
    for path in static.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://", path.read_text())
