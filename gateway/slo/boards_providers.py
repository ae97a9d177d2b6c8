"""The dashboard of providers: how they answer, how fast, and how much of them is in use."""

from gateway.slo.boards_queries import RATE, quantile
from gateway.slo.panels import Board, Panel, Query, Row

_ATTEMPTS = "tollway_upstream_attempts_total"

PROVIDERS = Board(
    uid="tollway-providers",
    title="Tollway / Providers",
    description="How providers answer, and how much of them is in use.",
    rows=(
        Row(
            "Answers",
            (
                Panel(
                    "Attempts by provider", (Query(f"sum by (provider) (rate({_ATTEMPTS}{RATE}))", "{{provider}}"),),
                    "reqps", stack=True,
                ),
                Panel(
                    "Attempts that failed",
                    (Query(f'sum by (provider) (rate({_ATTEMPTS}{{status_class=~"5xx|429|error"}}{RATE})) / '
                           f"sum by (provider) (rate({_ATTEMPTS}{RATE}))", "{{provider}}"),),
                    "percentunit", description="5xx, 429, or no answer.", most=1,
                ),
                Panel(
                    "Answers by class",
                    (Query(f"sum by (provider, status_class) (rate({_ATTEMPTS}{RATE}))",
                           "{{provider}} {{status_class}}"),),
                    "reqps",
                ),
                Panel(
                    "Failures by kind",
                    (Query(f"sum by (provider, error) (rate(tollway_upstream_failures_total{RATE}))",
                           "{{provider}} {{error}}"),),
                    "reqps", description="What a status does not tell, before an answer began and in its middle.",
                ),
                Panel(
                    "Retries and fallbacks",
                    (Query(f"sum by (provider, kind) (rate(tollway_upstream_retries_total{RATE}))",
                           "{{provider}} {{kind}}"),),
                    "reqps",
                ),
                Panel(
                    "Open circuits",
                    (Query("max by (provider, model) (tollway_breaker_state)", "{{provider}} {{model}}"),
                     Query("sum by (provider, model) (increase(tollway_breaker_opened_total[5m]))",
                           "{{provider}} {{model}} opened"),),
                    "short", description="2: left alone where another target can serve; 1: tried again.", most=2,
                ),
                Panel(
                    "Credential refused", (Query("max by (provider) (tollway_credential_down)", "{{provider}}"),),
                    "short", description="1 while the provider's key is held back.", most=1,
                ),
                Panel(
                    "Paused models", (Query("max by (provider) (tollway_provider_paused)", "{{provider}}"),), "short",
                    description="Held back because the provider answered 429 or 503.",
                ),
            ),
        ),
        Row(
            "Speed",
            (
                Panel(
                    "First byte, median",
                    (Query(quantile(0.5, "tollway_time_to_first_byte_seconds", "provider, mode"),
                           "{{provider}} {{mode}}"),),
                    "s",
                ),
                Panel(
                    "First byte, 95 %",
                    (Query(quantile(0.95, "tollway_time_to_first_byte_seconds", "provider, mode"),
                           "{{provider}} {{mode}}"),),
                    "s",
                ),
                Panel(
                    "First byte by model, 95 %",
                    (Query(f"topk(10, {quantile(0.95, 'tollway_time_to_first_byte_seconds', 'model')})", "{{model}}"),),
                    "s",
                ),
                Panel(
                    "Time per output token, median",
                    (Query(quantile(0.5, "tollway_time_per_output_token_seconds", "model, provider"),
                           "{{model}} at {{provider}}"),),
                    "s",
                ),
                Panel(
                    "Time per output token, 95 %",
                    (Query(quantile(0.95, "tollway_time_per_output_token_seconds", "model, provider"),
                           "{{model}} at {{provider}}"),),
                    "s",
                ),
                Panel(
                    "Output tokens",
                    (Query(f'sum by (provider) (rate(tollway_tokens_total{{meter="output"}}{RATE}))', "{{provider}}"),),
                    "short", description="Per second.",
                ),
            ),
        ),
        Row(
            "Connections and capacity",
            (
                Panel(
                    "Connections",
                    (Query("sum by (origin, state) (tollway_pool_connections)", "{{origin}} {{state}}"),), "short",
                ),
                Panel(
                    "Places",
                    (Query("sum by (provider, state) (tollway_capacity_requests)", "{{provider}} {{state}}"),), "short",
                    description="At providers with a `capacity`.",
                ),
                Panel(
                    "No place",
                    (Query(f"sum by (provider, reason) (rate(tollway_capacity_refused_total{RATE}))",
                           "{{provider}} {{reason}}"),),
                    "reqps",
                ),
                Panel(
                    "Places given",
                    (Query(f"sum by (provider) (rate(tollway_capacity_granted_total{RATE}))", "{{provider}}"),),
                    "reqps",
                ),
                Panel(
                    "Wait for a place, 95 %",
                    (Query(quantile(0.95, "tollway_capacity_wait_seconds", "provider"), "{{provider}}"),), "s",
                    description="Of those that waited.", quiet=True,
                ),
            ),
        ),
    ),
)  # fmt: skip
