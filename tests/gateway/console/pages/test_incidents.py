import httpx
import pytest

from gateway.console.figures import read
from gateway.console.pages.incidents import HOUR_NS, SHOWN, heat, latencies, tone_of
from gateway.ledger.overview import Hour
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import post
from tests.support.console_seed import seed

PAGE = "/console/incidents"


async def test_a_switch_is_set_shown_and_cleared(admin: httpx.AsyncClient, world: FakeWorld):
    answer = await post(
        admin, f"{PAGE}/switches", target="stop:provider", name="openai", reason="it <b>burns</b>", **{"for": "15m"}
    )
    assert answer.headers["location"] == f"{PAGE}?said=switched"
    text = (await admin.get(PAGE)).text
    assert "provider <strong>openai</strong>" in text
    assert "it &lt;b&gt;burns&lt;/b&gt;" in text
    assert "key:admin-key" in text
    assert '<span class="badge bad">stopped</span>' in text
    switch_id = text.split("/switches/")[1].split("/clear")[0]
    answer = await post(admin, f"{PAGE}/switches/{switch_id}/clear")
    assert answer.headers["location"] == f"{PAGE}?said=cleared"
    text = (await admin.get(PAGE)).text
    assert "None is on." in text
    assert "cleared" in text
    assert (await post(admin, f"{PAGE}/switches/{switch_id}/clear")).status_code == 409
    assert (await post(admin, f"{PAGE}/switches/none/clear")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target": "stop:provider", "name": "opnai", "reason": "r"}, "Did you mean"),
        ({"target": "stop:team", "name": "search", "reason": ""}, "reason"),
        ({"target": "fallback:model", "name": "gpt-4o-mini", "to": "nothing", "reason": "r"}, "nothing"),
        ({"target": "guardrail:policy", "name": "x", "to": "shadow", "reason": "r"}, "policy"),
        ({"target": "made:up", "reason": "r"}, "Invalid"),
        ({"target": "stop:team", "name": "search", "reason": "r", "for": "soon"}, "for"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    admin: httpx.AsyncClient, fields: dict[str, str], said: str
):
    answer = await post(admin, f"{PAGE}/switches", **fields)
    assert answer.status_code == 400
    assert said in answer.text
    assert '<details open id="set">' in answer.text
    assert f'value="{fields["reason"]}"' in answer.text
    assert "None is on." in answer.text


async def test_the_page_comes_when_the_database_does_not(admin: httpx.AsyncClient, world: FakeWorld, tmp_path):
    (tmp_path / "ledger.db").mkdir()
    answer = await admin.get(PAGE)
    assert answer.status_code == 200
    assert "the ledger database" in answer.text


async def test_failures_of_the_last_day_are_laid_out_by_provider(admin: httpx.AsyncClient, world: FakeWorld):
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    seed(ledger.url, world.clock.now_ns(), 400, days=1)
    text = (await admin.get(PAGE)).text
    for provider in ("openai", "anthropic", "local", "none reached"):
        assert f'<th scope="row">{provider}</th>' in text
    assert "failed" in text


def test_the_heat_map_has_a_field_for_every_hour():
    since_ns = 100 * HOUR_NS
    rows = heat([Hour(100 * 3600, "a", 10, 0), Hour(123 * 3600, "a", 10, 5), Hour(99 * 3600, "b", 1, 1)], since_ns)
    assert [name for name, _ in rows] == ["a"]
    fields = rows[0][1]
    assert len(fields) == SHOWN
    assert (fields[0].tone, fields[1].tone, fields[23].tone) == (0, None, 5)


@pytest.mark.parametrize(
    ("failed", "requests", "tone"), [(0, 9, 0), (1, 1000, 1), (5, 1000, 2), (2, 100, 3), (5, 100, 4), (1, 2, 5)]
)
def test_tones(failed: int, requests: int, tone: int):
    assert tone_of(failed, requests) == tone


def test_latencies_are_by_operation_and_mode_busiest_first():
    lines = "".join(
        f'tollway_request_seconds_bucket{{operation="{name}",mode="unary",le="{le}"}} {count}\n'
        for name, count in (("a", 4), ("b", 9))
        for le in ("1.0", "+Inf")
    )
    counts = "".join(
        f'tollway_request_seconds_count{{operation="{n}",mode="unary"}} {c}\n' for n, c in (("a", 4), ("b", 9))
    )
    found = latencies(read("# TYPE tollway_request_seconds histogram\n" + lines + counts))
    assert [(each.operation, each.requests, each.p50) for each in found] == [("b", 9, 0.5), ("a", 4, 0.5)]
