"""Incidents in the words of those who are told: our own JSON, Alertmanager's alerts, PagerDuty's events.

    webhook        {"type": "incident.opened", "timestamp", "data"}, signed as every webhook of ours
    alertmanager   POST /api/v2/alerts, a list of PostableAlert (its OpenAPI: alertmanager/api/v2/openapi.yaml)
    pagerduty      Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview); the incident's id is `dedup_key`

They go through the spool of webhooks, so that they survive a crash and a receiver that is down, in their order.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from gateway.incidents.book import Happened, Step
from gateway.ledger.incidents import Incident
from gateway.settings.incident_options import KIND, Receiver
from gateway.webhooks.signing import PLACEHOLDER
from gateway.webhooks.spool import Event

LASTS_NS = 12 * 3600 * 10**9
"""Alertmanager forgets an alert at its `endsAt`: set so far ahead, and sent anew halfway."""
FORGET_NS = 24 * 3600 * 10**9
_SUMMARY = 1024
"""Characters of PagerDuty's summary."""


def events(step: Step, receivers: Iterable[Receiver], now_ns: int, count: int = 0) -> list[Event]:
    """What to spool of a step, an event for each receiver that wants it. `count` tells repetitions apart."""
    incident = step.incident
    made: list[Event] = []
    for receiver in receivers:
        wanted = incident.severity in receiver.severities
        body = body_of(step, receiver, now_ns) if wanted else None
        if body is None:
            continue
        endpoint = receiver.endpoint.id
        what = "\0".join([incident.id, step.happened, str(now_ns), str(count), endpoint])
        made.append(
            Event(
                id=f"inc_{hashlib.sha256(what.encode()).hexdigest()[:32]}",
                kind=KIND,
                at_ns=now_ns,
                forget_ns=now_ns + FORGET_NS,
                endpoints=(endpoint,),
                stream=incident.id,
                body=msgspec.json.encode(body).decode(),
            )
        )
    return made


def body_of(step: Step, receiver: Receiver, now_ns: int) -> object:
    """The JSON for one receiver."""
    if receiver.shape == "alertmanager":
        return alerts(step, now_ns)
    if receiver.shape == "pagerduty":
        return pagerduty(step)
    return webhook(step, now_ns)


def webhook(step: Step, now_ns: int) -> dict[str, object]:
    """Our own."""
    incident = step.incident
    return {
        "type": f"incident.{step.happened}",
        "timestamp": iso(now_ns),
        "data": {
            "id": incident.id,
            "gateway": incident.gateway,
            "signal": incident.signal,
            "subject": incident.subject,
            "severity": incident.severity,
            "title": incident.title,
            "detail": incident.detail,
            "since": iso(incident.since_ns),
            "opened_at": iso(incident.opened_ns),
            "resolved_at": None if incident.resolved_ns is None else iso(incident.resolved_ns),
        },
    }


def alerts(step: Step, now_ns: int) -> list[dict[str, object]]:
    """Alertmanager's. Labels name an alert, the severity among them, so that one that worsened ends as a ticket and
    begins as a page."""
    incident = step.incident
    made = [_alert(incident, incident.severity, incident.resolved_ns or now_ns + LASTS_NS)]
    if step.happened == "worsened":
        made.insert(0, _alert(incident, "ticket", now_ns))
    return made


def pagerduty(step: Step) -> dict[str, object]:
    """PagerDuty's. The routing key is put in when it is sent."""
    incident = step.incident
    event: dict[str, object] = {
        "routing_key": PLACEHOLDER,
        "event_action": "resolve" if step.happened == "resolved" else "trigger",
        "dedup_key": incident.id,
    }
    if step.happened != "resolved":
        event |= {
            "client": "Tollway",
            "payload": {
                "summary": incident.title[:_SUMMARY],
                "source": incident.gateway or "tollway",
                "severity": "critical" if incident.severity == "page" else "warning",
                "timestamp": iso(incident.since_ns),
                "component": incident.subject,
                "group": "tollway",
                "class": incident.signal,
                "custom_details": incident.detail,
            },
        }
    return event


def repeat(incident: Incident) -> Step:
    """What Alertmanager is sent again while an incident is open."""
    happened: Happened = "opened"
    return Step(happened, incident)


def iso(ns: int) -> str:
    """A UTC time, to the second."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _alert(incident: Incident, severity: str, ends_ns: int) -> dict[str, object]:
    teams = incident.detail.get("teams", [])
    return {
        "labels": {
            "alertname": "Tollway" + "".join(word.capitalize() for word in incident.signal.split("_")),
            "severity": severity,
            "signal": incident.signal,
            "subject": incident.subject,
            "gateway": incident.gateway or "all",
            "incident": incident.id,
        },
        "annotations": {
            "summary": incident.title,
            "teams": ", ".join(teams) if isinstance(teams, list) else "",
        },
        "startsAt": iso(incident.since_ns),
        "endsAt": iso(ends_ns),
    }
