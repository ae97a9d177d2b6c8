"""The three shapes, against what their receivers document."""

import json
from typing import Any

import pytest

from gateway.incidents.book import Happened, Step
from gateway.incidents.notify import LASTS_NS, alerts, events, iso, pagerduty, repeat, webhook
from gateway.ledger.incidents import Incident
from gateway.settings.incident_options import KIND, Receiver
from gateway.webhooks.signing import Endpoint

S = 10**9
NOW = 1_700_000_000 * S


def step(happened: Happened = "opened", severity: str = "page", **more: object) -> Step:
    detail = {"teams": ["search", "ads"], "attempts": 20}
    fields = {
        "gateway": "gw-1",
        "signal": "provider_limited",
        "subject": "openai",
        "title": "it fails",
        "detail": detail,
    }
    incident = Incident(
        id="inc-1", severity=severity, since_ns=NOW - 60 * S, opened_ns=NOW, updated_ns=NOW, **{**fields, **more}
    )
    return Step(happened, incident)


def receiver(shape: str, *severities: str, key: str = "") -> Receiver:
    endpoint = Endpoint(f"http://127.0.0.1/{shape}", b"", frozenset({KIND}), key)
    return Receiver(shape, endpoint, frozenset(severities or ("page", "ticket")))


def test_pagerduty() -> None:
    """Events API v2: routing_key, event_action, dedup_key; a trigger has summary, source and severity (one of critical,
    error, warning, info); a resolve needs no payload."""
    event: Any = pagerduty(step())
    assert (event["event_action"], event["dedup_key"]) == ("trigger", "inc-1")
    payload = event["payload"]
    assert (payload["summary"], payload["source"], payload["severity"]) == ("it fails", "gw-1", "critical")
    assert payload["timestamp"] == "2023-11-14T22:12:20Z"
    assert pagerduty(step(severity="ticket"))["payload"]["severity"] == "warning"  # type: ignore[index]
    assert len(pagerduty(step(title="x" * 5000))["payload"]["summary"]) == 1024  # type: ignore[index]
    assert pagerduty(step("resolved")) == {
        "routing_key": "__ROUTING_KEY__",
        "event_action": "resolve",
        "dedup_key": "inc-1",
    }


def test_alertmanager() -> None:
    """PostableAlerts: labels name the alert, so they are the same until it ends; `endsAt` in the past resolves it."""
    (firing,) = alerts(step(), NOW)
    (over,) = alerts(step("resolved", resolved_ns=NOW + S), NOW + S)
    labels: Any = firing["labels"]
    assert labels == over["labels"]
    assert all(isinstance(value, str) and value for value in labels.values())
    assert labels["alertname"] == "TollwayProviderLimited"
    assert firing["startsAt"] == over["startsAt"] == iso(NOW - 60 * S)
    assert (firing["endsAt"], over["endsAt"]) == (iso(NOW + LASTS_NS), iso(NOW + S))
    assert firing["annotations"] == {"summary": "it fails", "teams": "search, ads"}
    ticket, page = alerts(step("worsened"), NOW)
    assert (ticket["labels"]["severity"], ticket["endsAt"]) == ("ticket", iso(NOW))  # type: ignore[index]
    assert page["labels"]["severity"] == "page"  # type: ignore[index]
    assert repeat(step().incident).happened == "opened"


def test_our_own() -> None:
    told: Any = webhook(step("resolved", resolved_ns=NOW), NOW)
    assert (told["type"], told["timestamp"]) == ("incident.resolved", iso(NOW))
    assert told["data"]["resolved_at"] == iso(NOW)
    assert told["data"]["detail"]["teams"] == ["search", "ads"]


@pytest.mark.parametrize(("severity", "count"), [("page", 2), ("ticket", 1)])
def test_each_is_told_of_what_it_wants(severity: str, count: int) -> None:
    """An event for each receiver; of one incident in one stream; no two of one name."""
    receivers = [receiver("webhook"), receiver("alertmanager", "page")]
    made = events(step(severity=severity), receivers, NOW)
    assert len(made) == count
    assert {each.stream for each in made} == {"inc-1"}
    again = events(step("resolved", severity=severity, resolved_ns=NOW), receivers, NOW + S)
    assert len({each.id for each in made + again}) == 2 * count


def test_two_services_of_pagerduty() -> None:
    """They differ in nothing but the key, which is not in the spool."""
    made = events(step(), [receiver("pagerduty", key="A"), receiver("pagerduty", key="B")], NOW)
    assert len({each.id for each in made}) == 2
    assert len({each.endpoints for each in made}) == 2
    assert all(json.loads(each.body)["routing_key"] == "__ROUTING_KEY__" for each in made)
