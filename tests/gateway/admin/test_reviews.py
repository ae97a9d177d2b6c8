"""Reviewing findings over HTTP: who may, and what is told."""

from collections.abc import Callable

import pytest

from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.support.console_seed import seed
from tests.support.ledgers import ready_ledger

FINDINGS, REVIEWS = "/admin/v1/guardrails/findings", "/admin/v1/guardrails/reviews"
REASONS = "/admin/v1/guardrails/reasons"
RULES = {"standard": [{"detect": "pii", "action": "mask", "mode": "enforce"}]}


@pytest.fixture
def guarded(make_world: Callable[..., FakeWorld]) -> FakeWorld:
    world = make_world(guardrails=RULES)
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    ready_ledger(ledger.url)
    seed(ledger.url, world.clock.now_ns(), 200, days=5)
    return world


async def test_values_are_listed_judged_and_allowed(guarded: FakeWorld):
    async with client_of(guarded) as admin:
        listed = (await admin.get(FINDINGS, params={"rule": "standard.pii.1", "limit": "3"})).json()
        assert listed["more"]
        assert len(listed["values"]) == 3
        assert listed["logging"] is False
        value = listed["values"][0]
        assert {value["verdict"], value["rule"]} == {"open", "standard.pii.1"}
        body = {"rule": value["rule"], "digest": value["digest"], "verdict": "false_positive"}
        marked = (await admin.post(REVIEWS, json=body)).json()
        assert marked["allow"] == f'allow: {{digests: ["{value["digest"]}"]}}'
        after = (await admin.get(FINDINGS, params={"state": "false_positive"})).json()
        assert [each["digest"] for each in after["values"]] == [value["digest"]]
        assert after["values"][0]["reviewed_by"] == "key:admin-key"
        rule = after["rules"][0]
        assert (rule["false_values"], rule["precision"], rule["allow"]) == (1, 0.0, marked["allow"])
        assert rule["false_findings"] == value["findings"]


async def test_the_reasons_of_a_request_are_told_to_whoever_may_see_findings(guarded: FakeWorld):
    async with client_of(guarded, "viewer") as viewer:
        value = (await viewer.get(FINDINGS)).json()["values"][0]
        told = (await viewer.get(REASONS, params={"request_id": value["exchange"]})).json()
        assert [each["exchange"] for each in told["exchanges"]] == [value["exchange"]]
        assert value["rule"] in [each["rule"] for each in told["exchanges"][0]["findings"]]
        assert (await viewer.get(REASONS, params={"request_id": "nobody's"})).status_code == 404
        assert (await viewer.get(REASONS)).status_code == 400
        assert (await viewer.get(REASONS, params={"request_id": "x", "since": "x"})).status_code == 400


async def test_who_may_do_what(guarded: FakeWorld):
    body = {"rule": "standard.pii.1", "digest": "0" * 16, "verdict": "later"}
    async with client_of(guarded, "viewer") as viewer:
        assert (await viewer.get(FINDINGS)).status_code == 200
        assert (await viewer.post(REVIEWS, json=body)).status_code == 403
    async with client_of(guarded, "oncall") as oncall:
        assert (await oncall.post(REVIEWS, json=body)).status_code == 403
    async with client_of(guarded) as admin:
        assert (await admin.post(REVIEWS, json=body)).status_code == 404
        assert (await admin.post(REVIEWS, json={**body, "verdict": "x"})).status_code == 400


@pytest.mark.parametrize(("name", "value"), [("since", "x"), ("state", "x"), ("limit", "0"), ("skip", "-1")])
async def test_wrong_parameters_are_refused(guarded: FakeWorld, name: str, value: str):
    async with client_of(guarded) as admin:
        answer = await admin.get(FINDINGS, params={name: value})
        assert answer.status_code == 400
        assert name in answer.json()["error"]["message"]


async def test_without_a_ledger(make_world: Callable[..., FakeWorld]):
    async with client_of(make_world(ledger="off")) as admin:
        assert (await admin.get(FINDINGS)).status_code == 409
