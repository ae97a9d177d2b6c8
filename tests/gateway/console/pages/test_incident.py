import httpx
import pytest

from gateway.ledger.incidents import Incident, IncidentStore, Note
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor
from tests.support.ledgers import ready_ledger

PAGE = "/console/incidents/inc-1"


@pytest.fixture
def incident(world: FakeWorld) -> Incident:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    ready_ledger(ledger.url)
    engine = open_engine(ledger.url)
    now_ns = world.clock.now_ns()
    made = Incident(
        id="inc-1", signal="provider", subject="openai", severity="page", title="openai <fails>",
        detail={"share": 0.4, "teams": ["search"]}, since_ns=now_ns - 10**11, opened_ns=now_ns, updated_ns=now_ns,
    )  # fmt: skip
    IncidentStore(engine).save([made], [Note(at_ns=now_ns, incident="inc-1", kind="opened", text=made.title)])
    engine.dispose()
    return made


async def test_an_incident_is_listed_looked_after_and_commented(
    incident: Incident, admin: httpx.AsyncClient, world: FakeWorld
):
    board = (await admin.get("/console/incidents")).text
    assert 'href="/console/incidents/inc-1"' in board
    assert "openai &lt;fails&gt;" in board
    answer = await post(admin, f"{PAGE}/acknowledge", PAGE)
    assert answer.headers["location"] == f"{PAGE}?said=acknowledged"
    answer = await post(admin, f"{PAGE}/comment", PAGE, comment="the <i>provider</i> knows")
    page = (await admin.get(answer.headers["location"])).text
    assert "Your note is in the timeline." in page
    assert "key:admin-key" in page
    assert "the &lt;i&gt;provider&lt;/i&gt; knows" in page
    assert "I look after it" not in page
    assert (await post(admin, f"{PAGE}/comment", PAGE, comment=" ")).status_code == 400


async def test_a_draft_of_the_postmortem_is_a_markdown_file(incident: Incident, admin: httpx.AsyncClient):
    answer = await admin.get(f"{PAGE}/postmortem.md")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="postmortem-inc-1.md"'
    assert answer.text.startswith("# Postmortem: openai \\<fails\\>")


async def test_unknown_ones_and_those_who_may_only_look(incident: Incident, admin: httpx.AsyncClient, world: FakeWorld):
    assert (await admin.get("/console/incidents/none")).status_code == 404
    assert (await admin.get("/console/incidents/none/postmortem.md")).status_code == 404
    async with visitor(world) as client:
        await log_in(client, "viewer")
        page = await client.get(PAGE)
        assert page.status_code == 200
        assert "I look after it" not in page.text
