import html
import io
import json
import re
from collections.abc import Callable
from csv import DictReader as csv_reader
from decimal import Decimal

import httpx
import pytest

from gateway.console import wording
from gateway.ledger.periods import moment_ns
from gateway.ledger.spend import Filters, report, wasted
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, visitor
from tests.support.console_seed import TEAMS, seed


@pytest.fixture
def seeded(world: FakeWorld) -> FakeWorld:
    seed(url_of(world), world.clock.now_ns(), 400, days=60)
    return world


def url_of(world: FakeWorld) -> str:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    return ledger.url


def spend_of(page: httpx.Response) -> str:
    found = re.search(r'id="spend">([^<]+)<', page.text)
    assert found is not None
    return found[1]


SINCE = {"month": "2023-11-01", "last-month": "2023-10-01", "7d": "2023-11-08", "30d": "2023-10-16"}
UNTIL = {"last-month": "2023-11-01"}


@pytest.mark.parametrize("name", SINCE)
@pytest.mark.parametrize("team", [None, "search"])
async def test_totals_equal_tollway_spend_to_the_cent(
    seeded: FakeWorld, admin: httpx.AsyncClient, name: str, team: str | None
):
    """ "Totals on the page equal `tollway spend` to the cent": the same range, the same filters, the same events."""
    now_ns = seeded.clock.now_ns()
    engine = open_engine(url_of(seeded))
    since_ns, until_ns = moment_ns(SINCE[name], now_ns), moment_ns(UNTIL.get(name, "now"), now_ns)
    told = report(engine, ["team"], since_ns, until_ns, Filters(team=(team,) if team else ()), seeded.clock)
    engine.dispose()
    assert told.total["cost_nanos"] > 0
    query = {"range": name} if team is None else {"range": name, "team": team}
    page = await admin.get("/console/cost", params=query)
    assert page.status_code == 200
    assert spend_of(page) == wording.dollars(told.total["cost_nanos"])
    rows = re.findall(r'<td class="number"><strong>(\$[\d,.]+)</strong></td>', page.text)
    assert rows == [wording.dollars(row.sums["cost_nanos"]) for row in told.rows]
    assert f">{told.total['requests']:,}<" in page.text


@pytest.mark.parametrize("by", ["team", "model", "provider"])
async def test_the_trend_is_stacked_and_its_legend_adds_up(seeded: FakeWorld, admin: httpx.AsyncClient, by: str):
    page = await admin.get("/console/cost", params={"by": by})
    assert page.text.count("<rect class=") > 10
    legend = re.findall(r'class="quiet">\$([\d,.]+)</span></li>', page.text)
    whole = Decimal(spend_of(page).replace("$", "").replace(",", ""))
    assert abs(sum(Decimal(each.replace(",", "")) for each in legend) - whole) <= Decimal("0.03")


async def test_what_is_said_of_trust_and_waste(seeded: FakeWorld, admin: httpx.AsyncClient):
    text = (await admin.get("/console/cost?range=30d")).text
    assert "in-house-7b) are in no sum" in text
    assert re.search(r"<dt>Untagged</dt><dd>\d+ % of spend", text)
    assert "outcome=client_left" in text
    assert "80 % between" not in text  # only a month has a forecast
    assert "80 % between" in (await admin.get("/console/cost")).text


async def test_budgets_stand_beside_their_teams(make_world: Callable[..., FakeWorld]):
    world = make_world(
        teams={"search": {"budget": {"amount": "900 USD", "per": "month", "soft": "80%"}}},
        limits={"rules": [{"name": "company", "usd": "4000 USD", "per": "month"}]},
    )
    seed(url_of(world), world.clock.now_ns(), 100, days=20)
    limits = world.configuration.snapshot.limits
    assert limits is not None
    for bound in limits.known():
        await world.limits.put(bound, 750 * 10**9)
    async with visitor(world) as client:
        await log_in(client, "finops")
        text = (await client.get("/console/cost")).text
    assert "$750.00 of $900.00" in text
    assert 'aria-label="Budget of search: $750.00 of $900.00 used"' in text
    assert "$750.00 of $4,000.00" in text
    assert 'class="nowrap warn"' in text


async def test_the_file_behind_the_page_adds_up_to_it(seeded: FakeWorld, admin: httpx.AsyncClient):
    page = await admin.get("/console/cost?range=last-month&team=search")
    found = re.findall(r'<a href="(/console/cost/export[^"]+)">([\w ]+)<', page.text)
    links = {title: html.unescape(href) for href, title in found}
    assert list(links) == ["CSV", "Parquet", "JSON", "FOCUS", "FOCUS Parquet"]
    told = json.loads((await admin.get(links["JSON"])).content)
    assert wording.dollars(int(Decimal(told["total"]["cost_usd"]).scaleb(9))) == spend_of(page)
    csv = await admin.get(links["CSV"])
    assert csv.headers["content-disposition"].startswith("attachment")
    assert csv.text.startswith("day,team,key,model,provider,requests")
    assert (await admin.get(links["Parquet"])).content.startswith(b"PAR1")
    focus = await admin.get(links["FOCUS"])
    rows = list(csv_reader(io.StringIO(focus.text, newline="")))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(told["total"]["cost_usd"])
    assert {row["SubAccountId"] for row in rows} == {"search"}


async def test_waste_is_told_in_dollars_and_adds_up(seeded: FakeWorld, admin: httpx.AsyncClient):
    """The page's waste is that of `tollway spend`: requests and dollars by outcome, and their sum."""
    engine = open_engine(url_of(seeded))
    now_ns = seeded.clock.now_ns()
    told = report(engine, [], moment_ns(SINCE["30d"], now_ns), now_ns, clock=seeded.clock)
    engine.dispose()
    lost = wasted(told.total)
    assert {each.outcome for each in lost} >= {"client_left", "blocked", "upstream_status"}
    assert sum(each.nanos for each in lost) > 0
    page = (await admin.get("/console/cost?range=30d")).text
    (whole,) = re.findall(r'id="wasted">([^<]+)<', page)
    assert whole == wording.dollars(sum(each.nanos for each in lost))
    for each in lost:
        row = page[page.index(f"outcome={each.outcome}") :].partition("</tr>")[0]
        assert f">{each.requests:,}<" in row
        assert wording.dollars(each.nanos) in row


async def test_an_empty_ledger_has_a_page_too(world: FakeWorld, admin: httpx.AsyncClient):
    seed(url_of(world), world.clock.now_ns(), 0)
    page = await admin.get("/console/cost")
    assert page.status_code == 200
    assert spend_of(page) == "$0.00"
    assert "Nothing was spent" in page.text


async def test_without_a_ledger_it_says_so(make_world: Callable[..., FakeWorld]):
    async with visitor(make_world(ledger="off")) as client:
        await log_in(client)
        assert "keeps no ledger" in (await client.get("/console/cost")).text


async def test_many_teams_are_added_up_below_the_largest(world: FakeWorld, admin: httpx.AsyncClient):
    seed(url_of(world), world.clock.now_ns(), 200, days=10, names=tuple(f"team-{at}" for at in range(30)))
    text = (await admin.get("/console/cost?range=30d")).text
    (rest,) = re.findall(r'<tr id="other-teams">.*?</tr>', text, re.DOTALL)
    assert re.findall(r'href="([^"]+)"', rest) == ["?range=30d&amp;by=team&amp;all=1#teams"], "no team is called others"
    assert "team-29" not in text or "team-28" not in text
    every = (await admin.get("/console/cost?range=30d&all=1")).text
    assert all(f">team-{at}</a>" in every for at in range(30))
    assert "others</a>" not in every
    assert spend_in(every) == spend_in(text)
    assert len(TEAMS) < 12


def spend_in(text: str) -> str:
    return text.partition('id="spend">')[2].partition("<")[0]


async def test_every_budget_is_on_the_page(make_world: Callable[..., FakeWorld]):
    """A team that spent nothing has a budget all the same, and a team's second budget is one, too."""
    second = [{"amount": "900 USD", "per": "month"}, {"name": "daily", "amount": "50 USD", "per": "day"}]
    budget = {"amount": "70 USD", "per": "month"}
    world = make_world(teams={"search": {"budget": second}, "idle": {"budget": budget}})
    seed(url_of(world), world.clock.now_ns(), 100, days=20)
    async with visitor(world) as client:
        await log_in(client, "finops")
        text = (await client.get("/console/cost")).text
        narrowed = (await client.get("/console/cost?team=search")).text
    assert text.count("Budget of ") == 3
    assert "teams.idle.budget" in text
    assert "teams.search.budget.daily" in text
    assert "idle" not in narrowed
    assert "teams.search.budget.daily" in narrowed
