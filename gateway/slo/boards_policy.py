"""Dashboards of the rules: what things cost, what guardrails find, what limits refuse."""

from gateway.slo.boards_queries import MINE, RATE, quantile
from gateway.slo.panels import Board, Panel, Query, Row

_COST = "tollway_cost_usd_total"
_TOKENS = "tollway_tokens_total"
_ROUGH = "From metrics, for the eye; `tollway spend` has the exact sums."
_MATCHES = "tollway_guardrail_matches_total"


def _hourly(by: str) -> Query:
    return Query(f"sum by ({by}) (rate({_COST}{MINE}{RATE})) * 3600", f"{{{{{by}}}}}")


COST = Board(
    uid="tollway-cost",
    title="Tollway / Cost",
    description="Who spends how much on what. " + _ROUGH,
    since="now-24h",
    by_team=True,
    rows=(
        Row(
            "Sums over the time shown",
            (
                Panel(
                    "Spend", (Query(f"sum(increase({_COST}{MINE}[$__range]))"),), "currencyUSD", "stat", _ROUGH, 6, 4,
                ),
                Panel(
                    "Per 1,000 requests",
                    (Query(f"1000 * sum(increase({_COST}{MINE}[$__range])) / "
                           f"(sum(increase(tollway_requests_total{MINE}[$__range])) > 0)"),),
                    "currencyUSD", "stat", width=6, height=4,
                ),
                Panel(
                    "Per million tokens",
                    (Query(f"1e6 * sum(increase({_COST}{MINE}[$__range])) / "
                           f'(sum(increase({_TOKENS}{{team=~"$team",meter=~"input|output"}}[$__range])) > 0)'),),
                    "currencyUSD", "stat", width=6, height=4,
                ),
                Panel(
                    "Input read from caches",
                    (Query(f'(sum(increase({_TOKENS}{{team=~"$team",meter="cache_read"}}[$__range])) or vector(0)) / '
                           f'(sum(increase({_TOKENS}{{team=~"$team",meter="input"}}[$__range])) > 0)'),),
                    "percentunit", "stat", width=6, height=4,
                ),
                Panel(
                    "Spend by team", (Query(f"sum by (team) (increase({_COST}{MINE}[$__range]))", "{{team}}"),),
                    "currencyUSD", "bargauge", width=8, height=8,
                ),
                Panel(
                    "Spend by model",
                    (Query(f"topk(15, sum by (model) (increase({_COST}{MINE}[$__range])))", "{{model}}"),),
                    "currencyUSD", "bargauge", width=8, height=8,
                ),
                Panel(
                    "Spend by provider",
                    (Query(f"sum by (provider) (increase({_COST}{MINE}[$__range]))", "{{provider}}"),), "currencyUSD",
                    "bargauge", width=8, height=8,
                ),
            ),
        ),
        Row(
            "Spend per hour",
            (
                Panel("By team", (_hourly("team"),), "currencyUSD", stack=True),
                Panel("By model", (_hourly("model"),), "currencyUSD", stack=True),
                Panel("By provider", (_hourly("provider"),), "currencyUSD", stack=True),
            ),
        ),
        Row(
            "Tokens and gaps",
            (
                Panel(
                    "Tokens by meter", (Query(f"sum by (meter) (rate({_TOKENS}{MINE}{RATE}))", "{{meter}}"),), "short",
                    description="Per second. cache_read and cache_write are parts of input, reasoning of output.",
                ),
                Panel(
                    "Tokens by team",
                    (Query(f'sum by (team) (rate({_TOKENS}{{team=~"$team",meter=~"input|output"}}{RATE}))',
                           "{{team}}"),),
                    "short", stack=True,
                ),
                Panel(
                    "Without a price", (Query("sum by (model) (increase(tollway_unpriced_requests_total[1h]))",
                                              "{{model}}"),),
                    "short", description="Requests in an hour that cost something no budget knows.", quiet=True,
                ),
                Panel(
                    "With counted tokens",
                    (Query("sum by (model) (increase(tollway_usage_estimated_total[1h]))", "{{model}}"),), "short",
                    description="Requests in an hour whose provider told no usage.", quiet=True,
                ),
            ),
        ),
    ),
)  # fmt: skip

GUARDRAILS = Board(
    uid="tollway-guardrails",
    title="Tollway / Guardrails",
    description="What rules find, what they do, what they would do, and what they cost.",
    by_team=True,
    rows=(
        Row(
            "Verdicts",
            (
                Panel(
                    "Matches by rule", (Query(f"sum by (rule) (rate({_MATCHES}{RATE}))", "{{rule}}"),), "reqps",
                    description="Exchanges in which a rule found something, in any mode.",
                ),
                Panel(
                    "Matches by mode",
                    (Query(f"sum by (mode, action) (rate({_MATCHES}{RATE}))", "{{mode}} {{action}}"),),
                    "reqps", description="Only `enforce` does what its action says.", stack=True,
                ),
                Panel(
                    "Requests and answers",
                    (Query(f"sum by (direction) (rate({_MATCHES}{RATE}))", "{{direction}}"),), "reqps",
                ),
                Panel(
                    "Findings by rule",
                    (Query(f"sum by (rule) (rate(tollway_guardrail_findings_total{RATE}))", "{{rule}}"),), "short",
                    description="Per second; one exchange may have many.",
                ),
                Panel(
                    "Blocked by team",
                    (Query(f'sum by (team) (rate(tollway_requests_total{{team=~"$team",outcome="blocked"}}{RATE}))',
                           "{{team}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Share of requests blocked",
                    (Query(f'sum by (team) (rate(tollway_requests_total{{team=~"$team",outcome="blocked"}}{RATE})) / '
                           f"sum by (team) (rate(tollway_requests_total{MINE}{RATE}))", "{{team}}"),),
                    "percentunit",
                ),
            ),
        ),
        Row(
            "Shadow against enforced",
            (
                Panel(
                    "What shadow rules would do",
                    (Query(f'sum by (rule, action) (rate({_MATCHES}{{mode="shadow"}}{RATE}))', "{{rule}} {{action}}"),),
                    "reqps", description="Look here before a rule is enforced.", width=12,
                ),
                Panel(
                    "What enforced rules do",
                    (Query(f'sum by (rule, action) (rate({_MATCHES}{{mode="enforce"}}{RATE}))',
                           "{{rule}} {{action}}"),),
                    "reqps", width=12,
                ),
            ),
        ),
        Row(
            "Cost and failures",
            (
                Panel(
                    "Time over a request",
                    (
                        Query(quantile(0.5, "tollway_stage_seconds", "", '{stage="inspect"}'), "50 %"),
                        Query(quantile(0.99, "tollway_stage_seconds", "", '{stage="inspect"}'), "99 %"),
                    ),
                    "s",
                ),
                Panel(
                    "Detectors outside, 95 %",
                    (Query(quantile(0.95, "tollway_guardrail_detector_seconds", "detector"), "{{detector}}"),), "s",
                    description="From asking a detector outside the process to its verdict.", quiet=True,
                ),
                Panel(
                    "Detectors that fail",
                    (Query("sum by (detector, outcome) (increase(tollway_guardrail_failures_total[5m]))",
                           "{{detector}} {{outcome}}"),),
                    "short", description="closed: the text did not pass; open: it passed unjudged.", quiet=True,
                ),
                Panel(
                    "Rules that only watch",
                    (
                        Query("sum by (rule) (tollway_guardrail_demoted)", "{{rule}}"),
                        Query("sum by (rule, reason) (increase(tollway_guardrail_demotions_total[5m]))",
                              "{{rule}} began: {{reason}}"),
                    ),
                    "short", description="Workers in which a rule was beyond its bounds.", quiet=True,
                ),
                Panel(
                    "Conversations",
                    (Query(f"sum by (outcome) (rate(tollway_guardrail_conversations_total{RATE}))", "{{outcome}}"),),
                    "reqps", description="Whose pseudonyms are kept; away: the store did not answer.", quiet=True,
                ),
                Panel(
                    "Findings log",
                    (
                        Query(f"sum(rate(tollway_guardrail_findings_logged_total{RATE}))", "taken"),
                        Query(f"sum(rate(tollway_guardrail_findings_dropped_total{RATE}))", "beyond what it takes"),
                    ),
                    "short", description="Per second.",
                ),
            ),
        ),
    ),
)  # fmt: skip

LIMITS = Board(
    uid="tollway-limits",
    title="Tollway / Limits",
    description="What limits and budgets refuse, who waits, and how the store that counts them does.",
    by_team=True,
    rows=(
        Row(
            "Decisions",
            (
                Panel(
                    "Refused",
                    (Query(f'sum by (rule) (rate(tollway_limit_decisions_total{{decision="refused"}}{RATE}))',
                           "{{rule}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Decisions",
                    (Query(f"sum by (decision) (rate(tollway_limit_decisions_total{RATE}))", "{{decision}}"),), "reqps",
                    description="downgraded: sent to a cheaper model; over: let through beyond its amount; soft: "
                    "passed a soft threshold.",
                ),
                Panel(
                    "Refused by team",
                    (Query(f'sum by (team) (rate(tollway_requests_total{{team=~"$team",outcome="refused"}}{RATE}))',
                           "{{team}}"),),
                    "reqps", description="Keys, models, sizes and malformed requests among them.", stack=True,
                ),
                Panel(
                    "Cut by a limit",
                    (Query(f'sum by (team) (rate(tollway_requests_total{{team=~"$team",outcome="cut"}}{RATE}))',
                           "{{team}}"),),
                    "reqps", description="Streams that used up a budget while they ran.", quiet=True,
                ),
                Panel("Waiting", (Query("sum(tollway_admission_waiting)", "waiting"),), "short"),
                Panel(
                    "How waits ended",
                    (Query(f"sum by (outcome) (rate(tollway_admission_waited_total{RATE}))", "{{outcome}}"),), "reqps",
                ),
                Panel(
                    "Crowded out", (Query("sum by (rule) (tollway_limit_crowded)", "{{rule}}"),), "short",
                    description="Values that clients choose (tags, models behind a wildcard) beyond `limits.counters`: "
                    "they count together, on one more counter.", quiet=True,
                ),
            ),
        ),
        Row(
            "The store",
            (
                Panel(
                    "Shared store", (Query("min(tollway_limit_store_up)", "up"),), "short",
                    description="Empty when limits are counted in memory.", most=1,
                ),
                Panel("Workers that share", (Query("max(tollway_limit_store_workers)", "workers"),), "short"),
                Panel(
                    "Outages and late answers",
                    (
                        Query("sum(increase(tollway_limit_store_outages_total[5m]))", "outages"),
                        Query("sum(increase(tollway_limit_store_timeouts_total[5m]))", "late answers"),
                    ),
                    "short",
                ),
                Panel(
                    "Decided without it",
                    (Query(f"sum by (how) (rate(tollway_limit_store_alone_total{RATE}))", "{{how}}"),), "reqps",
                ),
                Panel(
                    "Leases",
                    (
                        Query("sum(tollway_limit_store_leases)", "counters leased"),
                        Query(f"sum(rate(tollway_limit_store_leased_total{RATE}))", "requests a second on a lease"),
                    ),
                    "short", description="Quota taken in advance, for which the store need not be asked.", quiet=True,
                ),
                Panel(
                    "Settlements",
                    (
                        Query("sum(tollway_limit_store_owed)", "still to tell"),
                        Query("sum(increase(tollway_limit_store_dropped_total[5m]))", "given up"),
                    ),
                    "short",
                ),
                Panel(
                    "Reservations that expired",
                    (Query("sum(increase(tollway_limit_holds_expired_total[5m]))", "expired"),), "short",
                ),
            ),
        ),
    ),
)  # fmt: skip
