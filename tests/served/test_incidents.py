"""The incident detector from end to end: a provider that fails, who is told, and what the timeline says."""

import json
from collections.abc import Iterator

import httpx
import pytest
import yaml

from tests.gateway.webhooks.test_signing import independent
from tests.support.scripted import Scripted, scripted, unary
from tests.support.served import Gateway, configuration, wait_for

ADMIN = {"authorization": "Bearer sk-admin"}
SECRET = "whsec_c29tZXRoaW5nLXRoYXQtaXMtbG9uZy1lbm91Z2g="
PLAIN = httpx.create_ssl_context(verify=False)
GOOD = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted(unary(GOOD)) as found:
        yield found


@pytest.fixture(scope="module")
def told() -> Iterator[Scripted]:
    """Who is told of incidents, in three shapes."""
    with scripted(unary(b"{}", 202)) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(provider: Scripted, told: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("incidents")
    incidents = {
        "interval": "200ms",
        "objective": "50%",
        "resolve_after": "1s",
        "notify": [
            {"kind": "webhook", "url": told.url + "/hook", "secret": SECRET},
            {"kind": "alertmanager", "url": told.url},
            {"kind": "pagerduty", "url": told.url + "/v2/enqueue", "routing_key": "R0UT1NG"},
        ],
    }
    (data / "gateway.yaml").write_text(yaml.safe_dump(configuration(provider.url, data, incidents=incidents)))
    started = Gateway(data / "gateway.yaml", "--workers", "2")
    yield started
    started.stop()


def ask(gateway: Gateway, times: int) -> list[int]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": "Bearer sk-search"}
    url = gateway.v1 + "/chat/completions"
    return [httpx.post(url, json=body, headers=headers, verify=PLAIN).status_code for _ in range(times)]


def incidents(gateway: Gateway, state: str = "open") -> list[dict]:
    url = f"{gateway.url}/admin/v1/incidents?state={state}"
    found = httpx.get(url, headers=ADMIN, verify=PLAIN).json()["incidents"]
    return [each for each in found if each["signal"] == "provider"]


def enough(found: list[dict]) -> list[dict]:
    """Incidents that have seen several answers of status 500."""
    return [each for each in found if each["detail"].get("status_5xx", 0) >= 5]


def bodies(told: Scripted, path: str) -> list[dict]:
    """What came to one receiver, in order."""
    return [each.json for each in list(told.seen) if each.path == path]


def test_a_provider_that_fails_and_recovers(gateway: Gateway, provider: Scripted, told: Scripted) -> None:
    """100 % errors of a provider open one incident that names it, since when and for whom; all three receivers are
    told; a person takes it; when the provider serves again it is resolved, and they are told of that, in this order."""
    provider.says(unary(GOOD))
    assert set(ask(gateway, 3)) == {200}
    provider.says(unary({"error": {"message": "down"}}, 500))
    assert set(ask(gateway, 20)) == {500}
    # It may have been opened while the first of them had failed: what it knows is brought up to date.
    (found,) = wait_for(lambda: enough(incidents(gateway)), "an incident that knows of them")  # type: ignore[misc]
    assert (found["subject"], found["severity"], found["state"]) == ("mock", "page", "open")
    assert found["teams"] == ["search"]
    assert found["since"] <= found["opened_at"]

    listed = gateway.command("incidents")
    assert found["id"] in listed.stdout
    acknowledged = gateway.command("incidents", "ack", found["id"], "--comment", "mine")
    assert acknowledged.returncode == 0, acknowledged.stderr
    assert incidents(gateway)[0]["state"] == "acknowledged"
    switch = {"kind": "fallback", "scope": "model", "name": "gpt-4o", "to": "alias", "reason": "provider is down"}
    assert httpx.post(gateway.url + "/admin/v1/switches", json=switch, headers=ADMIN).status_code == 201

    provider.says(unary(GOOD))
    assert set(ask(gateway, 70)) == {200}
    wait_for(lambda: not incidents(gateway), "the incident to be resolved")
    shown = httpx.get(f"{gateway.url}/admin/v1/incidents/{found['id']}", headers=ADMIN).json()
    kinds = [each["kind"] for each in shown["timeline"]]
    order = ["began", "opened", "acknowledged", "switches.fallback", "resolved"]
    assert [kind for kind in kinds if kind in order] == order
    assert shown["incident"]["state"] == "resolved"
    assert shown["incident"]["acknowledged_by"].startswith("cli:")
    assert "Timeline" in gateway.command("incidents", "show", found["id"]).stdout

    paths = ("/hook", "/api/v2/alerts", "/v2/enqueue")
    wait_for(lambda: all(len(mine(told, path, found["id"])) == 2 for path in paths), "everybody to be told")
    opened, resolved = mine(told, "/hook", found["id"])
    assert (opened["type"], resolved["type"]) == ("incident.opened", "incident.resolved")
    assert opened["data"]["subject"] == "mock"
    firing, over = (each[0] for each in mine(told, "/api/v2/alerts", found["id"]))
    assert firing["labels"]["alertname"] == "TollwayProvider"
    assert firing["annotations"]["teams"] == "search"
    assert firing["endsAt"] > over["endsAt"] > firing["startsAt"]
    trigger, resolve = mine(told, "/v2/enqueue", found["id"])
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["routing_key"] == "R0UT1NG"
    assert trigger["payload"]["severity"] == "critical"
    signed = next(each for each in told.seen if each.path == "/hook")
    named = [signed.headers[f"webhook-{name}"] for name in ("id", "timestamp")]
    assert signed.headers["webhook-signature"] == "v1," + independent(SECRET, *named, signed.body)
    spooled = [path.read_text() for path in (gateway.data / "journal/webhooks/events").iterdir()]
    assert spooled
    assert "R0UT1NG" not in "".join(spooled), "the spool holds no secret"


def mine(told: Scripted, path: str, incident: str) -> list:
    return [each for each in bodies(told, path) if incident in json.dumps(each)]
