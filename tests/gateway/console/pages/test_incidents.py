import httpx
import pytest

from gateway.console.figures import read
from gateway.console.pages.incidents import burn, latencies
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
        ({"target": "made:up", "reason": "r"}, "there is no"),
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
        assert f">{provider}</th>" in text
    assert "failed" in text


def test_burn_rates_are_judged_as_the_detector_does():
    """Both windows of a pair must be over its bound: 14.4 in 5 min and 1 h pages, 6 in 30 min and 6 h is a ticket."""
    rates = {"5m": 20, "30m": 7, "1h": 15, "6h": 1}
    lines = "".join(f'tollway_error_burn_rate{{window="{window}"}} {rate}\n' for window, rate in rates.items())
    found = burn(read("# TYPE tollway_error_burn_rate gauge\n" + lines))
    assert found == [("5m", 20.0, "page"), ("1h", 15.0, "page"), ("30m", 7.0, ""), ("6h", 1.0, "")]
    assert burn(read("")) == []


async def test_blocks_and_slow_hours_are_shown(admin: httpx.AsyncClient, world: FakeWorld):
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    seed(ledger.url, world.clock.now_ns(), 2000, days=1)
    text = (await admin.get(PAGE)).text
    assert "Time to the first byte" in text
    assert "of the last 6 hours" in text
    blocked = text.split('id="blocked"')[1].split("</section>")[0]
    assert '<span class="badge warn">blocked</span>' in blocked


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
