"""What an objective counts: exact expressions, as they are read by people who check their numbers."""

import pytest

from gateway.slo.indicators import counted
from tests.gateway.slo.helpers import objectives

CASES = [
    (
        {"sli": "availability", "target": "99.9%"},
        "sum(rate(tollway_availability_requests_total[5m]))",
        'sum(rate(tollway_availability_requests_total{fault!="none"}[5m]))',
    ),
    (
        {"sli": "availability", "target": "99.9%", "teams": ["a", "b.c"], "models": ["gpt-4o*"], "providers": ["p"]},
        'sum(rate(tollway_availability_requests_total{team=~"a|b\\\\.c",model=~"gpt-4o.*",provider="p"}[5m]))',
        'sum(rate(tollway_availability_requests_total{team=~"a|b\\\\.c",model=~"gpt-4o.*",provider="p",'
        'fault!="none"}[5m]))',
    ),
    (
        {"sli": "first_byte", "target": "95%", "within": "10s"},
        'sum(rate(tollway_time_to_first_byte_seconds_count{mode="stream"}[5m]))',
        'sum(rate(tollway_time_to_first_byte_seconds_count{mode="stream"}[5m])) - '
        'sum(rate(tollway_time_to_first_byte_seconds_bucket{mode="stream",le="10.0"}[5m]))',
    ),
    (
        {"sli": "overhead", "target": "99%", "within": "250ms", "operations": ["messages"], "mode": "unary"},
        'sum(rate(tollway_overhead_seconds_count{operation="messages",mode="unary"}[5m]))',
        'sum(rate(tollway_overhead_seconds_count{operation="messages",mode="unary"}[5m])) - '
        'sum(rate(tollway_overhead_seconds_bucket{operation="messages",mode="unary",le="0.25"}[5m]))',
    ),
    (
        {"sli": "guardrails", "target": "99%", "within": "25ms"},
        'sum(rate(tollway_stage_seconds_count{stage="inspect"}[5m]))',
        'sum(rate(tollway_stage_seconds_count{stage="inspect"}[5m])) - '
        'sum(rate(tollway_stage_seconds_bucket{stage="inspect",le="0.025"}[5m]))',
    ),
    (
        {"sli": "ledger", "target": "99%", "within": "60s"},
        "count(tollway_ledger_lag_seconds)",
        "sum(tollway_ledger_lag_seconds > bool 60)",
    ),
]


@pytest.mark.parametrize(("written", "events", "bad"), CASES)
def test_expressions(written: dict[str, object], events: str, bad: str) -> None:
    root = objectives(x=written)
    found = counted(root, root.objectives["x"], "rate", "5m")
    assert (found.events, found.bad) == (events, bad)


def test_a_class_stands_for_its_teams() -> None:
    root = objectives(x={"sli": "availability", "target": "99%", "teams": "gold"})
    root = root.model_copy(update={"teams": {"gold": ["search"]}})
    found = counted(root, root.objectives["x"], "increase", "1h")
    assert found.events == 'sum(increase(tollway_availability_requests_total{team="search"}[1h]))'
