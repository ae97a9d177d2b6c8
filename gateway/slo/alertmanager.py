"""Alertmanager's routes: pages at once, tickets once a day, and no ticket for what pages already.

https://prometheus.io/docs/alerting/latest/configuration/
"""

from gateway.settings.schema_slo import ReceiverSection, SloRoot

PAGE, TICKET = "tollway-page", "tollway-ticket"


def alertmanager(root: SloRoot) -> dict[str, object]:
    """A whole configuration. A receiver without channels notifies nobody; its alerts still show."""
    return {
        "route": {
            "receiver": TICKET,
            "group_by": ["alertname", "slo", "provider"],
            "group_wait": "30s",
            "group_interval": "5m",
            "repeat_interval": "24h",
            "routes": [
                {
                    "receiver": PAGE,
                    "matchers": ['severity="page"'],
                    "group_wait": "10s",
                    "repeat_interval": "1h",
                }
            ],
        },
        "inhibit_rules": [
            {
                "source_matchers": ['severity="page"'],
                "target_matchers": ['severity="ticket"'],
                "equal": ["alertname", "slo"],
            },
            {
                "source_matchers": ['alertname="TollwayLoaderDown"'],
                "target_matchers": ['alertname="TollwayLedgerLag"'],
            },
        ],
        "receivers": [_receiver(PAGE, root.notify.page), _receiver(TICKET, root.notify.ticket)],
    }


def _receiver(name: str, channels: list[ReceiverSection]) -> dict[str, object]:
    receiver: dict[str, object] = {"name": name}
    kinds: dict[str, list[dict[str, object]]] = {}
    for channel in channels:
        kind, options = _channel(channel)
        kinds.setdefault(kind, []).append(options)
    receiver.update(kinds)
    return receiver


def _channel(channel: ReceiverSection) -> tuple[str, dict[str, object]]:
    if channel.pagerduty_key_file is not None:
        return "pagerduty_configs", {"routing_key_file": channel.pagerduty_key_file, "send_resolved": True}
    if channel.slack_url_file is not None:
        return "slack_configs", {
            "api_url_file": channel.slack_url_file,
            "channel": channel.slack_channel,
            "send_resolved": True,
            "title": "{{ .CommonLabels.alertname }}: {{ .CommonAnnotations.summary }}",
            "text": "{{ range .Alerts }}{{ .Annotations.description }}\n{{ .Annotations.runbook_url }}\n{{ end }}",
        }
    if channel.webhook_file is not None:
        return "webhook_configs", {"url_file": channel.webhook_file, "send_resolved": True}
    return "webhook_configs", {"url": channel.webhook, "send_resolved": True}
