"""Dashboards of the service: how it is (overview), what is wrong (incidents)."""

from gateway.slo.boards_queries import ALL_IS_GOOD, BUDGET, GOOD_IS_MANY, LOW_IS_GOOD, MINE, RATE, burn, ours, quantile
from gateway.slo.indicators import AVAILABILITY, LAG
from gateway.slo.panels import Board, Panel, Query, Row
from gateway.slo.rules import BUDGET_LEFT

_AVAILABLE = (
    f'sum(rate({AVAILABILITY}{{team=~"$team",fault="none"}}{RATE})) / (sum(rate({AVAILABILITY}{MINE}{RATE})) > 0)'
)

OVERVIEW = Board(
    uid="tollway-overview",
    title="Tollway / Overview",
    description="Traffic, speed, objectives and spend on one page.",
    by_team=True,
    rows=(
        Row(
            "Now",
            (
                Panel(
                    "Requests per second", (Query(f"sum(rate(tollway_requests_total{MINE}{RATE}))"),), "reqps", "stat",
                    width=4, height=4,
                ),
                Panel(
                    "Answered", (Query(_AVAILABLE),), "percentunit", "stat",
                    "Of the requests that were to be answered; the client's own mistakes do not count.",
                    width=4, height=4, steps=GOOD_IS_MANY,
                ),
                Panel(
                    "First byte, 95 %", (Query(quantile(0.95, "tollway_time_to_first_byte_seconds", "", MINE)),), "s",
                    "stat", width=4, height=4,
                ),
                Panel(
                    "Our own time, 99 %", (Query(quantile(0.99, "tollway_overhead_seconds")),), "s", "stat",
                    "The part of the time to the first byte that was not spent on providers.", width=4, height=4,
                ),
                Panel("Under way", (Query("sum(tollway_in_flight)"),), "short", "stat", width=4, height=4),
                Panel(
                    "Spend, 24 hours", (Query(f"sum(increase(tollway_cost_usd_total{MINE}[24h]))"),), "currencyUSD",
                    "stat", "From metrics, for the eye; `tollway spend` has the exact sums.", width=4, height=4,
                ),
            ),
        ),
        Row(
            "Objectives, over 30 days",
            (
                Panel(
                    "Error budget left", (Query(BUDGET_LEFT, "{{slo}}"),), "percentunit", "bargauge",
                    "0 %: everything the objective allows in 30 days is spent.", 8, 8, most=1, steps=BUDGET,
                ),
                Panel(
                    "Burn rate over an hour", (Query(burn("1h"), "{{slo}}"),), "short", "timeseries",
                    "1: the budget lasts exactly 30 days. 14.4 pages.", 16, 8,
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                Panel(
                    "Requests by outcome",
                    (Query(f"sum by (outcome) (rate(tollway_requests_total{MINE}{RATE}))", "{{outcome}}"),), "reqps",
                    stack=True,
                ),
                Panel(
                    "Requests by team",
                    (Query(f"sum by (team) (rate(tollway_requests_total{MINE}{RATE}))", "{{team}}"),), "reqps",
                    stack=True,
                ),
                Panel(
                    "Requests by model",
                    (Query(f"topk(10, sum by (model) (rate(tollway_requests_total{MINE}{RATE})))", "{{model}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Tokens by meter",
                    (Query(f"sum by (meter) (rate(tollway_tokens_total{MINE}{RATE}))", "{{meter}}"),), "short",
                    description="Per second. cache_read and cache_write are parts of input, reasoning of output.",
                ),
                Panel(
                    "Requests by operation",
                    (Query(f"sum by (operation) (rate(tollway_requests_total{MINE}{RATE}))", "{{operation}}"),),
                    "reqps", stack=True,
                ),
                Panel("Under way", (Query("sum(tollway_in_flight)", "under way"),), "short"),
            ),
        ),
        Row(
            "Speed",
            (
                Panel(
                    "Time to first byte",
                    (
                        Query(quantile(0.5, "tollway_time_to_first_byte_seconds", "mode", MINE), "50 % {{mode}}"),
                        Query(quantile(0.95, "tollway_time_to_first_byte_seconds", "mode", MINE), "95 % {{mode}}"),
                    ),
                    "s",
                ),
                Panel(
                    "Whole requests, 95 %",
                    (Query(quantile(0.95, "tollway_request_seconds", "operation"), "{{operation}}"),), "s",
                ),
                Panel(
                    "Time per output token",
                    (Query(quantile(0.5, "tollway_time_per_output_token_seconds", "model"), "{{model}}"),), "s",
                    description="Median, streams.",
                ),
                Panel(
                    "Our own time",
                    (
                        Query(quantile(0.5, "tollway_overhead_seconds"), "50 %"),
                        Query(quantile(0.99, "tollway_overhead_seconds"), "99 %"),
                    ),
                    "s",
                ),
                Panel(
                    "Our own stages, 99 %",
                    (Query(quantile(0.99, "tollway_stage_seconds", "stage"), "{{stage}}"),), "s",
                    description="read: head, key, body, limits. inspect: guardrails on the request. answer: from the "
                    "provider's head to the first byte for the client.",
                ),
                Panel(
                    "Processor and memory",
                    (
                        Query(ours(f"rate(process_cpu_seconds_total{RATE})"), "cores"),
                        Query(f"{ours('process_resident_memory_bytes')} / 1e9", "memory, GB"),
                    ),
                    "short",
                    description="Of all workers together.",
                ),
            ),
        ),
    ),
)  # fmt: skip

INCIDENTS = Board(
    uid="tollway-incidents",
    title="Tollway / Incidents",
    description="What is broken, since when, for whom and why.",
    since="now-3h",
    by_team=True,
    rows=(
        Row(
            "State",
            (
                Panel(
                    "Journal", (Query("min(tollway_journal_healthy)"),), "bool_on_off", "stat", width=3, height=4,
                    steps=ALL_IS_GOOD,
                ),
                Panel(
                    "Loader", (Query("min(tollway_ledger_loader_up)"),), "bool_on_off", "stat", width=3, height=4,
                    steps=ALL_IS_GOOD,
                ),
                Panel(
                    "Limit store", (Query("min(tollway_limit_store_up)"),), "bool_on_off", "stat", width=3, height=4,
                    steps=ALL_IS_GOOD, description="Empty when limits are counted in memory.",
                ),
                Panel("Workers", (Query("sum(tollway_workers)"),), "short", "stat", width=3, height=4),
                Panel(
                    "Refused credentials", (Query("sum(max by (provider) (tollway_credential_down))"),), "short",
                    "stat", width=3, height=4, steps=LOW_IS_GOOD,
                ),
                Panel(
                    "Ledger lag", (Query(f"max({LAG})"),), "s", "stat", width=3, height=4,
                    steps=((0.0, "green"), (60.0, "orange"), (900.0, "red")),
                ),
                Panel("Shutting down", (Query("sum(tollway_draining)"),), "short", "stat", width=3, height=4),
                Panel(
                    "Configurations", (Query("count(count by (hash) (tollway_config_info))"),), "short", "stat",
                    "Two or more: workers differ.", 3, 4, steps=((0.0, "green"), (2.0, "red")),
                ),
                Panel(
                    "Alerts that fire",
                    (Query('sum by (alertname, severity, slo, provider) (ALERTS{alertname=~"Tollway.*",'
                           'alertstate="firing"})'),),
                    "short", "table", "Each has a section in docs/slo.md.", 24, 6, quiet=True,
                ),
            ),
        ),
        Row(
            "Burn rates",
            (
                Panel("Over 5 minutes", (Query(burn("5m"), "{{slo}}"),), "short"),
                Panel("Over an hour", (Query(burn("1h"), "{{slo}}"),), "short"),
                Panel("Over 6 hours", (Query(burn("6h"), "{{slo}}"),), "short"),
            ),
        ),
        Row(
            "For whom",
            (
                Panel(
                    "Failures by fault",
                    (Query(f'sum by (fault) (rate({AVAILABILITY}{{team=~"$team",fault!="none"}}{RATE}))',
                           "{{fault}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Failures by team",
                    (Query(f'sum by (team) (rate({AVAILABILITY}{{team=~"$team",fault!="none"}}{RATE}))', "{{team}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Failures by model",
                    (Query(f'sum by (model, provider) (rate({AVAILABILITY}{{team=~"$team",fault!="none"}}{RATE}))',
                           "{{model}} at {{provider}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Other ends than ok",
                    (Query(f'sum by (outcome) (rate(tollway_requests_total{{team=~"$team",outcome!="ok"}}{RATE}))',
                           "{{outcome}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "First byte by team, 95 %",
                    (Query(quantile(0.95, "tollway_time_to_first_byte_seconds", "team", MINE), "{{team}}"),), "s",
                ),
                Panel(
                    "Our own stages, 99 %",
                    (Query(quantile(0.99, "tollway_stage_seconds", "stage"), "{{stage}}"),), "s",
                ),
            ),
        ),
        Row(
            "Why",
            (
                Panel(
                    "Providers that fail",
                    (Query(f'sum by (provider, status_class) (rate(tollway_upstream_attempts_total'
                           f'{{status_class!="2xx"}}{RATE}))', "{{provider}} {{status_class}}"),),
                    "reqps",
                ),
                Panel(
                    "Held back",
                    (
                        Query("max by (provider) (tollway_provider_paused)", "{{provider}} paused models"),
                        Query("max by (provider) (tollway_credential_down)", "{{provider}} credential"),
                        Query("max by (provider, model) (tollway_breaker_state)", "{{provider}} {{model}} circuit"),
                    ),
                    "short",
                ),
                Panel(
                    "Reloads",
                    (Query("sum by (result) (increase(tollway_config_reload_total[5m]))", "{{result}}"),), "short",
                ),
                Panel(
                    "Journal",
                    (
                        Query(f"sum(rate(tollway_journal_records_total{RATE}))", "lines written"),
                        Query(f"sum(rate(tollway_journal_failures_total{RATE}))", "failures"),
                        Query(f"sum(rate(tollway_journal_dropped_total{RATE}))", "lost"),
                        Query("sum(tollway_journal_queued)", "waiting"),
                    ),
                    "short",
                ),
                Panel(
                    "Ledger",
                    (
                        Query(f"max({LAG})", "lag"),
                        Query("max(tollway_ledger_rejected_lines)", "lines set aside"),
                    ),
                    "short",
                ),
                Panel(
                    "Open files and memory",
                    (
                        Query(ours("process_open_fds"), "open files"),
                        Query(f"{ours('process_resident_memory_bytes')} / 1e6", "memory, MB"),
                    ),
                    "short",
                ),
                Panel(
                    "Traces",
                    (
                        Query(f"sum by (end) (rate(tollway_trace_spans_total{RATE}))", "spans {{end}}"),
                        Query("sum(increase(tollway_trace_exchanges_dropped_total[5m]))", "dropped"),
                        Query("sum(increase(tollway_trace_content_dropped_total[5m]))", "without content"),
                        Query("sum(tollway_trace_exchanges_queued)", "queued"),
                    ),
                    "short", description="Spans per second; traces dropped and waiting. Empty without a collector.",
                    quiet=True,
                ),
                Panel(
                    "Webhooks",
                    (
                        Query("sum by (result) (increase(tollway_webhook_deliveries_total[5m]))", "{{result}}"),
                        Query("sum(tollway_webhook_pending)", "waiting"),
                        Query("sum(tollway_webhook_dead_letters)", "dead letters kept"),
                    ),
                    "short", description="failed: an attempt, which is tried again; dead: given up.", quiet=True,
                ),
            ),
        ),
    ),
)  # fmt: skip
