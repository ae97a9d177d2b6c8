"""Alerts beside the objectives: states that are wrong whatever the traffic, each with a line of what it means."""

from typing import Literal

import msgspec

from gateway.settings.schema_slo import AlertName, SloRoot
from gateway.slo.promql import number, quoted
from gateway.slo.rules import Group, runbook

Severity = Literal["page", "ticket"]


class Alert(msgspec.Struct, frozen=True):
    """One alerting rule. `wait`: how long it must hold, in Prometheus' units; empty: not at all."""

    name: AlertName
    severity: Severity
    expr: str
    wait: str
    summary: str
    description: str


def alerts_of(root: SloRoot) -> list[Alert]:
    """Every alert there is, those that the file switches off too."""
    return [*_serving(root), *_books(root), *_limits(), *_rest()]


def alert_groups(root: SloRoot) -> list[Group]:
    """The alerts that are wanted, as one group of rules."""
    return [
        {
            "name": "tollway-alerts",
            "rules": [_rule(root, alert) for alert in alerts_of(root) if alert.name not in root.alerts.off],
        }
    ]


def _rule(root: SloRoot, alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        **({"for": alert.wait} if alert.wait else {}),
        "labels": {**root.labels, "severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": runbook(root, alert.name),
        },
    }


def _serving(root: SloRoot) -> list[Alert]:
    up = f"up{{job={quoted(root.job)}}}"
    return [
        Alert(
            "TollwayDown",
            "page",
            f"{up} == 0 or absent({up})",
            "2m",
            "a gateway cannot be scraped",
            "Prometheus gets no metrics of {{ $labels.instance }}: it is down, unreachable, or its metrics are off.",
        ),
        Alert(
            "TollwayCredentialDown",
            "page",
            "max by (provider) (tollway_credential_down) == 1",
            "1m",
            "{{ $labels.provider }} refuses our credential",
            "The provider answers 401 or 403; its targets are tried last, once a minute, until it takes the key again.",
        ),
        Alert(
            "TollwayProviderErrors",
            "ticket",
            'sum by (provider) (rate(tollway_upstream_attempts_total{status_class=~"5xx|429|error"}[5m]))\n'
            "  / sum by (provider) (rate(tollway_upstream_attempts_total[5m]))\n"
            f"  > {number(root.alerts.provider_errors)}\n"
            "and sum by (provider) (increase(tollway_upstream_attempts_total[5m])) >= 20",
            "5m",
            "{{ $labels.provider }} fails",
            "{{ $value | humanizePercentage }} of its answers in five minutes were 5xx, 429 or none. Where a model has "
            "fallbacks, clients may not notice.",
        ),
        Alert(
            "TollwayDefect",
            "ticket",
            'sum by (team, model, provider, operation) (increase(tollway_requests_total{outcome="error"}[15m])) > 0',
            "",
            "requests ended in an error of the gateway itself",
            "{{ $labels.operation }} of team {{ $labels.team }}: the log names class and place (event `defect`).",
        ),
    ]


def _books(root: SloRoot) -> list[Alert]:
    return [
        Alert(
            "TollwayJournalUnhealthy",
            "page",
            "min(tollway_journal_healthy) == 0",
            "1m",
            "a worker cannot write its journal",
            "With `ledger.on_full: refuse` it takes no requests; otherwise what it serves is lost to the books.",
        ),
        Alert(
            "TollwayExchangesLost",
            "page",
            "sum(increase(tollway_journal_dropped_total[15m])) > 0",
            "",
            "exchanges are in no journal",
            "{{ $value | humanize }} exchanges were served and are lost to the books; budgets still counted them.",
        ),
        Alert(
            "TollwayLoaderDown",
            "ticket",
            "min(tollway_ledger_loader_up) == 0",
            "5m",
            "the ledger's loader is silent, or its database is away",
            "Nothing is lost: the journal keeps what is to be loaded. Spend reports and the console are out of date.",
        ),
        Alert(
            "TollwayLedgerLag",
            "ticket",
            f"max(tollway_ledger_lag_seconds) > {number(root.alerts.ledger_lag)}",
            "5m",
            "the database is behind the journal",
            "It last held everything {{ $value | humanizeDuration }} ago.",
        ),
        Alert(
            "TollwayLinesRejected",
            "ticket",
            "max(tollway_ledger_rejected_lines) > 0",
            "",
            "journal lines could not be loaded",
            "{{ $value | humanize }} lines are set aside and missing from the books.",
        ),
        Alert(
            "TollwayUnpriced",
            "ticket",
            "sum by (model) (increase(tollway_unpriced_requests_total[1h])) > 0",
            "",
            "{{ $labels.model }} has no price",
            "{{ $value | humanize }} requests in the last hour cost something that no budget and no report knows.",
        ),
    ]


def _limits() -> list[Alert]:
    return [
        Alert(
            "TollwayLimitStoreAway",
            "page",
            "min(tollway_limit_store_up) == 0",
            "1m",
            "the shared limit store is away",
            "A worker decides alone, or refuses, as `on_store_failure` of its rules says.",
        ),
        Alert(
            "TollwaySettlementsLost",
            "ticket",
            "sum(increase(tollway_limit_store_dropped_total[15m])) > 0",
            "",
            "the limit store was not told what requests used",
            "{{ $value | humanize }} settlements were given up: limits count their reservations instead.",
        ),
        Alert(
            "TollwayHoldsExpired",
            "ticket",
            "sum(increase(tollway_limit_holds_expired_total[1h])) > 10",
            "",
            "reservations expire without being settled",
            "{{ $value | humanize }} in the last hour. After a worker died this is right; otherwise it is a defect.",
        ),
    ]


def _rest() -> list[Alert]:
    return [
        Alert(
            "TollwayGuardrailFailures",
            "ticket",
            "sum by (detector, outcome) (increase(tollway_guardrail_failures_total[15m])) > 5",
            "",
            "the detector {{ $labels.detector }} fails",
            "{{ $value | humanize }} texts in 15 minutes; {{ $labels.outcome }}: closed ones were not passed on, open "
            "ones passed unjudged.",
        ),
        Alert(
            "TollwayGuardrailDemoted",
            "ticket",
            "sum by (rule) (tollway_guardrail_demoted) > 0",
            "1m",
            "the rule {{ $labels.rule }} only watches",
            "It was beyond its bounds in {{ $value }} workers; what it finds there passes.",
        ),
        Alert(
            "TollwayReloadFailed",
            "ticket",
            'sum(increase(tollway_config_reload_total{result="failure"}[15m])) > 0',
            "",
            "a configuration was refused",
            "The last good one stays in force.",
        ),
        Alert(
            "TollwayWorkersDiffer",
            "ticket",
            "count(count by (hash) (tollway_config_info)) > 1",
            "10m",
            "workers run different configurations",
            "{{ $value }} configurations have been in force at one time for ten minutes.",
        ),
        Alert(
            "TollwayMetricsFailures",
            "ticket",
            "sum(increase(tollway_metrics_failures_total[15m])) > 0",
            "",
            "figures could not be taken",
            "A defect of the gateway's telemetry: what dashboards and objectives say may be too low.",
        ),
        Alert(
            "TollwayTracesLost",
            "ticket",
            "sum(increase(tollway_trace_exchanges_dropped_total[15m]))\n"
            '  + sum(increase(tollway_trace_spans_total{end="failed"}[15m])) > 0',
            "",
            "traces are lost",
            "The collector is away or slow; requests are not affected.",
        ),
        Alert(
            "TollwayWebhooksDead",
            "ticket",
            'sum(increase(tollway_webhook_deliveries_total{result="dead"}[1h])) > 0',
            "",
            "webhooks were given up",
            "{{ $value | humanize }} in the last hour: the receiver did not take them for three days, or answered 410.",
        ),
    ]
