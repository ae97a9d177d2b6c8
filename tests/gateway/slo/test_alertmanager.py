"""Alertmanager's configuration: who is told of what, and secrets that stay in files."""

from gateway.settings.schema_slo import SloRoot
from gateway.slo.alertmanager import PAGE, TICKET, alertmanager


def root(**notify: list[dict[str, str]]) -> SloRoot:
    return SloRoot.model_validate({"version": 1, "objectives": {}, "notify": notify})


def receivers(written: SloRoot) -> dict[str, dict[str, object]]:
    return {receiver["name"]: receiver for receiver in alertmanager(written)["receivers"]}


def test_pages_and_tickets_go_their_own_ways() -> None:
    route = alertmanager(root())["route"]
    assert route["receiver"] == TICKET
    assert [(each["receiver"], each["matchers"]) for each in route["routes"]] == [(PAGE, ['severity="page"'])]
    assert receivers(root()) == {PAGE: {"name": PAGE}, TICKET: {"name": TICKET}}


def test_a_page_keeps_the_ticket_of_the_same_objective_quiet() -> None:
    rule = alertmanager(root())["inhibit_rules"][0]
    assert rule["source_matchers"] == ['severity="page"']
    assert rule["target_matchers"] == ['severity="ticket"']
    assert rule["equal"] == ["alertname", "slo"]


def test_every_channel() -> None:
    found = receivers(
        root(
            page=[{"pagerduty_key_file": "/etc/pd"}, {"webhook": "https://example.com/hook"}],
            ticket=[{"slack_url_file": "/etc/slack", "slack_channel": "#llm"}, {"webhook_file": "/etc/hook"}],
        )
    )
    assert found[PAGE]["pagerduty_configs"] == [{"routing_key_file": "/etc/pd", "send_resolved": True}]
    assert found[PAGE]["webhook_configs"] == [{"url": "https://example.com/hook", "send_resolved": True}]
    assert found[TICKET]["webhook_configs"] == [{"url_file": "/etc/hook", "send_resolved": True}]
    slack = found[TICKET]["slack_configs"][0]
    assert (slack["api_url_file"], slack["channel"]) == ("/etc/slack", "#llm")
