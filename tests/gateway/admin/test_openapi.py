"""The OpenAPI document: complete, consistent, and true of what is answered."""

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from starlette.routing import Route

from gateway.admin import openapi
from gateway.admin.app import admin_app
from gateway.admin.routes import ROUTES
from gateway.facts import FindingNote
from gateway.ledger.incidents import Incident, IncidentStore
from gateway.ledger.posting import post
from gateway.ledger.store import open_engine, writing
from tests.gateway.admin.fakes import FakeWorld, client_of
from tests.gateway.ledger.helpers import end

DOCUMENT = msgspec.json.decode(msgspec.json.encode(openapi.document(ROUTES)))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def test_every_served_route_is_in_it(world: FakeWorld) -> None:
    served = {
        (route.path.replace(":path}", "}"), method)
        for route in admin_app(world).routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert served == {(path, method) for path, method, _ in operations()}


def test_every_reference_leads_somewhere() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    names = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text))
    assert names == set(DOCUMENT["components"]["schemas"])


def test_operation_ids_differ() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_path_parameters_are_declared() -> None:
    for path, _, operation in operations():
        declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize("endpoint", ROUTES, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_guarded_routes_say_so(endpoint) -> None:
    operation = DOCUMENT["paths"][endpoint.path][endpoint.method.lower()]
    guarded = endpoint.permission is not None
    assert bool(operation["security"]) == guarded
    assert ({"401", "403"} <= operation["responses"].keys()) == guarded
    assert str(endpoint.status) in operation["responses"]


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def conforms(value: object, schema: dict[str, Any]) -> bool:
    """As much of JSON Schema as our own schemas use."""
    schema = resolve(schema)
    if "anyOf" in schema:
        return any(conforms(value, option) for option in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    match schema.get("type"):
        case "object":
            if not isinstance(value, dict):
                return False
            known = schema.get("properties", {})
            rest = schema.get("additionalProperties", {})
            return set(schema.get("required", [])) <= value.keys() and all(
                conforms(item, known.get(name, rest)) for name, item in value.items()
            )
        case "array":
            return isinstance(value, list) and all(conforms(item, schema["items"]) for item in value)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int)
        case "number":
            return isinstance(value, int | float)
        case "null":
            return value is None
    return True


async def test_answers_are_as_described(make_world: Callable[..., FakeWorld]) -> None:
    world = make_world(
        teams={"search": {"budget": [{"amount": "5 USD", "per": "day"}, {"name": "m", "amount": "9 USD"}]}}
    )
    async with client_of(world) as admin:
        await answers(world, admin)


def keep_incident(world: FakeWorld) -> None:
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    detail = {"teams": ["search"], "attempts": 9, "burn_rate": 1.5, "spent_usd": "1.00"}
    incident = Incident(
        id="inc-1", signal="provider", subject="openai", severity="page", title="x", detail=detail,
        since_ns=1, opened_ns=1, updated_ns=1,
    )  # fmt: skip
    engine = open_engine(ledger.url)
    IncidentStore(engine).save([incident], [])
    engine.dispose()


async def two_versions(world: FakeWorld, admin: httpx.AsyncClient) -> None:
    """The second says something else, so that the first can be rolled back to."""
    file = world.configuration.written.path
    for _ in range(2):
        await admin.post("/admin/v1/reload")
        await asyncio.to_thread(lambda: file.write_text(file.read_text() + "# more\n"))
    file.write_text(file.read_text().removesuffix("# more\n"))


def keep_finding(world: FakeWorld) -> dict[str, str]:
    """In the findings log; what judges it."""
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    note = FindingNote("request", "standard", "standard.pii.1", "pii", "EMAIL_ADDRESS", "pii.email_address.1",
                       "messages[].content", "user", 3, 20, 0.9, "list", "shadow", "mask", "0" * 16)  # fmt: skip
    now_ns = world.clock.now_ns()
    engine = open_engine(ledger.url)
    with writing(engine) as connection:
        post(connection, [end(id="found", received_ns=now_ns, findings=(note, note))], now_ns)
    engine.dispose()
    return {"rule": note.rule, "digest": note.digest, "verdict": "true_positive"}


async def answers(world: FakeWorld, admin: httpx.AsyncClient) -> None:
    limits = world.configuration.snapshot.limits
    assert limits is not None
    counters = limits.known()
    await world.limits.put(counters[1], 7)
    made = (await admin.post("/admin/v1/keys", json={"team": "search"})).json()
    raised = (
        await admin.post(
            f"/admin/v1/budgets/{counters[0].key}/raise", json={"amount": "1 USD", "for": "1h", "reason": "x"}
        )
    ).json()
    switch = {"kind": "stop", "scope": "team", "name": "search", "reason": "x"}
    switched = (await admin.post("/admin/v1/switches", json=switch)).json()
    await asyncio.to_thread(keep_incident, world)
    await two_versions(world, admin)
    judgement = await asyncio.to_thread(keep_finding, world)
    asked = {
        ("GET", "/readyz"): None,
        ("GET", "/admin/v1/config"): None,
        ("POST", "/admin/v1/reload"): None,
        ("GET", "/admin/v1/config/history"): None,
        ("GET", "/admin/v1/config/history/{version}"): None,
        ("GET", "/admin/v1/config/diff?old=1"): None,
        ("POST", "/admin/v1/config/rollback"): {"version": 1, "reason": "x"},
        ("GET", "/admin/v1/providers"): None,
        ("GET", "/admin/v1/keys"): None,
        ("GET", "/admin/v1/spend"): None,
        ("POST", "/admin/v1/keys"): {"team": "search", "models": ["gpt-4o-mini"], "tags": {"a": "b"}},
        ("POST", "/admin/v1/keys/{key_id}/rotate"): {"overlap": "1h"},
        ("POST", "/admin/v1/keys/{key_id}/revoke"): None,
        ("GET", "/admin/v1/budgets"): None,
        ("POST", "/admin/v1/budgets/{rule}/raise"): {"amount": "1 USD", "for": "1h", "reason": "x"},
        ("POST", "/admin/v1/budgets/{rule}/reset"): {"reason": "x"},
        ("GET", "/admin/v1/budgets/adjustments"): None,
        ("POST", "/admin/v1/budgets/adjustments/{adjustment_id}/end"): {"reason": "x"},
        ("POST", "/admin/v1/budgets/rebuild"): None,
        ("GET", "/admin/v1/savings"): None,
        ("GET", "/admin/v1/audit"): None,
        ("GET", "/admin/v1/incidents"): None,
        ("GET", "/admin/v1/incidents/{incident_id}"): None,
        ("POST", "/admin/v1/incidents/{incident_id}/acknowledge"): None,
        ("POST", "/admin/v1/incidents/{incident_id}/comment"): {"comment": "x"},
        ("GET", "/admin/v1/switches"): None,
        ("POST", "/admin/v1/switches/{switch_id}/clear"): None,
        ("POST", "/admin/v1/switches"): switch,
        ("POST", "/admin/v1/guardrails/reviews"): judgement,
        ("GET", "/admin/v1/guardrails/findings?state=all"): None,
        ("GET", "/admin/v1/guardrails/reasons?request_id=found"): None,
    }
    names = {"{key_id}": made["id"], "{rule}": counters[1].key, "{adjustment_id}": raised["id"]}
    names |= {"{switch_id}": switched["id"], "{incident_id}": "inc-1", "{version}": "2"}
    assert {(method, path.partition("?")[0]) for method, path in asked} == {
        (e.method, e.path) for e in ROUTES if e.answer is not None
    }
    for (method, address), body in asked.items():
        answer = await admin.request(method, re.sub(r"{\w+}", lambda name: names[name[0]], address), json=body)
        path = address.partition("?")[0]
        described = DOCUMENT["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        assert answer.is_success, (path, answer.text)
        assert conforms(answer.json(), described["content"]["application/json"]["schema"]), (path, answer.text)


async def test_served_without_a_key(world: FakeWorld) -> None:
    transport = httpx.ASGITransport(admin_app(world))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/admin/openapi.json")
    assert answer.json()["openapi"] == "3.1.0"
    assert answer.json() == DOCUMENT
