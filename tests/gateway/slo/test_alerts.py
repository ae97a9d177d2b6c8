"""Every plain alert, on series that should raise it and on series that should not."""

import re
from pathlib import Path
from typing import get_args

import yaml

from gateway.settings.schema_slo import AlertName
from gateway.slo.alerts import alert_groups, alerts_of
from gateway.slo.render import ALERTS, RULES, render, write
from gateway.slo.rules import ALERTS as BURN_ALERTS
from tests.gateway.slo.helpers import ROOT, asked, exposed, objectives, shipped
from tests.support.prometheus import promtool

WELL = {
    'up{job="tollway",instance="a"}': "1x60",
    'tollway_credential_down{provider="p",instance="a"}': "0x60",
    'tollway_upstream_attempts_total{provider="p",status_class="2xx"}': "0+60x60",
    'tollway_upstream_attempts_total{provider="p",status_class="5xx"}': "0+1x60",
    'tollway_requests_total{team="t",model="m",provider="p",operation="o",outcome="error"}': "3x60",
    "tollway_journal_healthy": "1x60",
    "tollway_journal_dropped_total": "5x60",
    "tollway_ledger_loader_up": "1x60",
    "tollway_ledger_lag_seconds": "2x60",
    "tollway_ledger_rejected_lines": "0x60",
    'tollway_unpriced_requests_total{model="m"}': "7x60",
    "tollway_limit_store_up": "1x60",
    "tollway_limit_store_dropped_total": "0x60",
    "tollway_limit_holds_expired_total": "0x60",
    'tollway_guardrail_failures_total{detector="d",outcome="open"}': "0x60",
    'tollway_config_reload_total{result="failure"}': "1x60",
    'tollway_config_info{hash="a"}': "1x60",
    "tollway_metrics_failures_total": "0x60",
    "tollway_trace_exchanges_dropped_total": "4x60",
    'tollway_trace_spans_total{end="exported"}': "0+9x60",
    'tollway_trace_spans_total{end="failed"}': "2x60",
    'tollway_webhook_deliveries_total{result="failed"}': "0+1x60",
    'tollway_webhook_deliveries_total{result="dead"}': "1x60",
}
"""A quiet hour. Counters may have counted before it."""
WRONG = {
    "TollwayDown": {'up{job="tollway",instance="a"}': "0x60"},
    "TollwayCredentialDown": {'tollway_credential_down{provider="p",instance="a"}': "1x60"},
    "TollwayProviderErrors": {'tollway_upstream_attempts_total{provider="p",status_class="5xx"}': "0+90x60"},
    "TollwayDefect": {
        'tollway_requests_total{team="t",model="m",provider="p",operation="o",outcome="error"}': "3x50 4x9"
    },
    "TollwayJournalUnhealthy": {"tollway_journal_healthy": "1x50 0x9"},
    "TollwayExchangesLost": {"tollway_journal_dropped_total": "5x50 6x9"},
    "TollwayLoaderDown": {"tollway_ledger_loader_up": "1x50 0x9"},
    "TollwayLedgerLag": {"tollway_ledger_lag_seconds": "0+60x60"},
    "TollwayLinesRejected": {"tollway_ledger_rejected_lines": "1x60"},
    "TollwayUnpriced": {'tollway_unpriced_requests_total{model="m"}': "7x50 8x9"},
    "TollwayLimitStoreAway": {"tollway_limit_store_up": "1x50 0x9"},
    "TollwaySettlementsLost": {"tollway_limit_store_dropped_total": "0x50 9x9"},
    "TollwayHoldsExpired": {"tollway_limit_holds_expired_total": "0x50 40x9"},
    "TollwayGuardrailFailures": {'tollway_guardrail_failures_total{detector="d",outcome="open"}': "0x50 20x9"},
    "TollwayGuardrailDemoted": {'tollway_guardrail_demoted{rule="r"}': "0x50 1x9"},
    "TollwayReloadFailed": {'tollway_config_reload_total{result="failure"}': "1x50 2x9"},
    "TollwayWorkersDiffer": {'tollway_config_info{hash="b"}': "1x60"},
    "TollwayMetricsFailures": {"tollway_metrics_failures_total": "0x50 1x9"},
    "TollwayTracesLost": {'tollway_trace_spans_total{end="failed"}': "2x50 30x9"},
    "TollwayWebhooksDead": {'tollway_webhook_deliveries_total{result="dead"}': "1x50 2x9"},
}
"""Alert → what is different in an hour in which it fires."""


def suite(directory: Path) -> Path:
    """A test of promtool for each alert: it alone fires in its hour, and none in a quiet one."""

    def hour(name: str, changes: dict[str, str], firing: str | None) -> dict[str, object]:
        samples = [{"labels": f'{{alertname="{firing}"}}', "value": 1}] if firing else []
        return {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in {**WELL, **changes}.items()],
            "promql_expr_test": [
                {
                    "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "58m",
                    "exp_samples": samples,
                }
            ],
        }

    hours = [hour("a quiet hour", {}, None), *(hour(name, changes, name) for name, changes in WRONG.items())]
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [ALERTS], "evaluation_interval": "1m", "tests": hours}))
    return path


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_else(tmp_path: Path) -> None:
    write(render(shipped()), tmp_path)
    assert list(WRONG) == [alert.name for alert in alerts_of(shipped())] == list(get_args(AlertName))
    done = promtool("test", "rules", suite(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_what_prometheus_takes(tmp_path: Path) -> None:
    write(render(shipped()), tmp_path)
    done = promtool("check", "rules", tmp_path / RULES, tmp_path / ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_ask_for_metrics_that_are_exposed() -> None:
    for alert in alerts_of(shipped()):
        names = asked(alert.expr)
        assert names <= exposed(), alert.name
        assert names or alert.name == "TollwayDown"


def test_an_alert_that_is_not_wanted_is_not_there() -> None:
    root = objectives(x={"sli": "availability", "target": "99%"})
    root = root.model_copy(update={"alerts": root.alerts.model_copy(update={"off": ["TollwayUnpriced"]})})
    names = {rule["alert"] for rule in alert_groups(root)[0]["rules"]}
    assert names == WRONG.keys() - {"TollwayUnpriced"}


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    """The link in an alert leads to a heading of the page."""
    page = (ROOT / "docs/slo.md").read_text("utf-8")
    headings = {heading.lower() for heading in re.findall(r"^### (Tollway\w+)$", page, re.MULTILINE)}
    names = {alert.name for alert in alerts_of(shipped())} | set(BURN_ALERTS.values())
    assert headings == {name.lower() for name in names}
    rules = yaml.safe_load(render(shipped())[RULES])["groups"] + yaml.safe_load(render(shipped())[ALERTS])["groups"]
    for rule in (rule for group in rules for rule in group["rules"] if "alert" in rule):
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / path).exists()
        assert anchor in headings
