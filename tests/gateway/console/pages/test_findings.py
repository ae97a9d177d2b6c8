"""The part of the guardrails page that is made of the findings log."""

import html
from collections.abc import Callable

import httpx
import pytest
from sqlalchemy import Engine

from gateway.console.pages.findings import PATH
from gateway.ledger.audit import entries, verify
from gateway.ledger.store import open_engine
from tests.gateway.admin.fakes import FakeWorld
from tests.gateway.console.conftest import log_in, post, visitor
from tests.support.console_seed import seed

RULES = {
    "standard": [
        {"detect": "pii", "entities": ["EMAIL_ADDRESS"], "action": "mask", "mode": "enforce",
         "allow": {"digests": ["00000000000000aa"]}},
        {"detect": "secrets", "on": ["request"], "action": "block", "mode": "enforce"},
        {"detect": "prompt_injection", "on": ["request"], "action": "block", "mode": "shadow"},
    ]
}  # fmt: skip


@pytest.fixture
def guarded(make_world: Callable[..., FakeWorld]) -> FakeWorld:
    world = make_world(guardrails=RULES)
    seed(url_of(world), world.clock.now_ns(), 300, days=5)
    return world


def url_of(world: FakeWorld) -> str:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    return ledger.url


def engine_of(world: FakeWorld) -> Engine:
    return open_engine(url_of(world))


def plain(page: httpx.Response) -> str:
    return " ".join(html.unescape(page.text).split())


async def marked(client: httpx.AsyncClient, digest: str, verdict: str, **fields: str) -> httpx.Response:
    return await post(client, f"{PATH}/review", PATH, rule="standard.pii.1", digest=digest, verdict=verdict, **fields)


def digest_on(page: httpx.Response, kind: str) -> str:
    return page.text.split(f'aria-label="False positive: {kind} ')[1].split('"')[0]


async def test_a_value_is_judged_and_the_line_that_allows_it_is_shown(guarded: FakeWorld):
    async with visitor(guarded) as client:
        await log_in(client)
        page = await client.get(PATH)
        digest = digest_on(page, "EMAIL_ADDRESS")
        answer = await marked(client, digest, "false_positive", in_since="30d", in_team="search", in_x="//evil.example")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"{PATH}?since=30d&team=search&said=judged#review"
        after = await client.get(PATH)
        assert digest not in after.text.split('id="precision"')[0]
        assert f'allow: {{digests: ["00000000000000aa", "{digest}"]}}' in html.unescape(after.text)
        assert "0 % 0–79" in plain(after).replace('<span class="quiet">', "")
        judged = await client.get(f"{PATH}?state=false_positive")
        assert digest in judged.text
        await marked(client, digest, "open")
        assert digest in (await client.get(PATH)).text
    engine = engine_of(guarded)
    told = [(each.actor, each.action, each.object) for each in entries(engine)]
    assert told == [("key:admin-key", "guardrails.review", f"standard.pii.1 {digest}")] * 2
    assert verify(engine).broken is None
    engine.dispose()


async def test_who_may_look_may_not_judge(guarded: FakeWorld):
    async with visitor(guarded) as client:
        await log_in(client, "oncall")
        page = await client.get(PATH)
        assert "Judging takes the role admin." in page.text
        assert "False positive:" not in page.text
        assert (await marked(client, "0" * 16, "later")).status_code == 403
    async with visitor(guarded) as client:
        await log_in(client)
        right = {"rule": "standard.pii.1", "digest": digest_on(await client.get(PATH), "EMAIL_ADDRESS")}
        without = await client.post(f"{PATH}/review", data={**right, "verdict": "later", "token": "x"})
        assert without.status_code == 403


async def test_the_list_is_narrowed_and_turned(guarded: FakeWorld):
    async with visitor(guarded) as client:
        await log_in(client)
        of_team = await client.get(f"{PATH}?team=search&type=SECRET&state=all")
        assert "Remove the filter team" in of_team.text
        assert "False positive: EMAIL_ADDRESS" not in of_team.text
        first = await client.get(PATH)
        older = html.unescape(first.text.split('" rel="next"')[0].rsplit('href="', 1)[1]).partition("#")[0]
        second = await client.get(older)
        assert digest_on(first, "EMAIL_ADDRESS") not in second.text
        assert "More frequent" in second.text


async def test_shadow_is_compared_with_enforce(guarded: FakeWorld):
    async with visitor(guarded) as client:
        await log_in(client, "viewer")
        text = plain(await client.get(PATH))
    effect = text.split('id="effect"')[1].split("</section>")[0]
    assert '<span class="badge">shadow</span></td><td class="nowrap"><span class="quiet">would</span> block' in effect
    assert '<span class="badge good">enforce</span></td><td class="nowrap">mask</td>' in effect
    assert "The findings log is off now" in effect


@pytest.mark.parametrize("query", ["since=1y", "state=x", "skip=-1", "skip=x"])
async def test_wrong_addresses_are_refused(guarded: FakeWorld, query: str):
    async with visitor(guarded) as client:
        await log_in(client)
        assert (await client.get(f"{PATH}?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("fields", "status"), [({"verdict": "maybe"}, 400), ({"verdict": "later", "digest": "f" * 16}, 404), ({}, 400)]
)
async def test_what_cannot_be_judged(guarded: FakeWorld, fields: dict[str, str], status: int):
    async with visitor(guarded) as client:
        await log_in(client)
        answer = await post(client, f"{PATH}/review", PATH, **{"rule": "standard.pii.1", "digest": "0" * 16, **fields})
        assert answer.status_code == status


async def test_without_a_log_or_a_ledger_the_page_says_how_to_begin(make_world: Callable[..., FakeWorld]):
    async with visitor(make_world(guardrails=RULES)) as client:
        await log_in(client)
        assert "The findings log is off." in (await client.get(PATH)).text
    async with visitor(make_world(guardrails=RULES, ledger="off")) as client:
        await log_in(client)
        assert "keeps no ledger" in (await client.get(PATH)).text
