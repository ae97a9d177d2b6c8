"""What holds for the incident detector, compiled."""

from typing import Literal

import msgspec

from gateway.settings.schema_incidents import IncidentsSection, ReceiverSection
from gateway.webhooks.signing import Endpoint, parse_secret

Shape = Literal["webhook", "alertmanager", "pagerduty"]
Severity = Literal["page", "ticket"]
KIND = "incident"
"""Of events in the webhook spool."""
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"


class Receiver(msgspec.Struct, frozen=True):
    """Who is told, and in whose words."""

    shape: Shape
    endpoint: Endpoint
    severities: frozenset[Severity]


class IncidentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Thresholds. Times in seconds, shares from 0 to 1, money in nano-dollars."""

    interval: float = 5.0
    objective: float = 0.999
    """Share of requests that are to be served."""
    provider_errors: float = 0.5
    """Share of a provider's attempts in a minute."""
    least: int = 10
    """Attempts, or failed requests, that are worth an incident."""
    guardrail_factor: float = 4.0
    spend_z: float = 6.0
    spend_floor: int = 10 * 10**9
    lag: float = 300.0
    resolve_after: float = 60.0
    receivers: tuple[Receiver, ...] = ()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(receiver.endpoint for receiver in self.receivers)


def compile_incidents(section: IncidentsSection | Literal["off"]) -> IncidentOptions | None:
    """None: `incidents: off`."""
    if section == "off":
        return None
    return IncidentOptions(
        interval=section.interval,
        objective=section.objective,
        provider_errors=section.provider_errors,
        least=section.least_requests,
        guardrail_factor=section.guardrail_factor,
        spend_z=section.spend_z,
        spend_floor=section.spend_floor,
        lag=section.ledger_lag,
        resolve_after=section.resolve_after,
        receivers=tuple(_receiver(each) for each in section.notify),
    )


def _receiver(written: ReceiverSection) -> Receiver:
    url = PAGERDUTY if written.url is None else written.url.get_secret_value().rstrip("/")
    if written.kind == "alertmanager":
        url = url if url.endswith("/api/v2/alerts") else f"{url}/api/v2/alerts"
    key = b"" if written.secret is None else parse_secret(written.secret.get_secret_value())
    filled = "" if written.routing_key is None else written.routing_key.get_secret_value()
    endpoint = Endpoint(url, key, frozenset({KIND}), filled)
    return Receiver(written.kind, endpoint, frozenset(written.severities))
