"""Limits and budgets as they may be written; the complaints are in `test_limit_checks.py`."""

import pytest
from pydantic import ValidationError

from gateway.settings.schema_limits import (
    BudgetSection,
    DefaultsSection,
    LimitRuleSection,
    LimitsSection,
    MatchSection,
    OwnLimitsSection,
)


def test_a_budget_is_exact() -> None:
    budget = BudgetSection.model_validate({"amount": "0.000000001 USD"})
    assert (budget.amount, budget.per, budget.soft, budget.when_exhausted) == (1, "month", None, "block")


def test_counts_have_scales_and_off_is_nothing() -> None:
    written = {
        "requests_per_second": "600",
        "tokens_per_minute": "200k",
        "output_tokens_per_day": "2M",
        "streams": "off",
    }
    limits = OwnLimitsSection.model_validate(written)
    assert (limits.requests_per_second, limits.tokens_per_minute, limits.output_tokens_per_day) == (
        600,
        200_000,
        2_000_000,
    )
    assert (limits.streams, limits.concurrent) == (0, None)


def test_a_name_or_a_list_of_them() -> None:
    match = MatchSection.model_validate({"team": "a", "model": ["m", "n*"], "tag": {"env": "prod", "who": ["x", "y"]}})
    assert (match.team, match.model, match.key) == (["a"], ["m", "n*"], None)
    assert match.tag == {"env": ["prod"], "who": ["x", "y"]}
    assert LimitRuleSection.model_validate({"name": "x", "requests": 1, "each": "tag:user"}).each == ["tag:user"]


def test_a_rule_knows_its_amounts() -> None:
    rule = LimitRuleSection.model_validate({"name": "x", "usd": "1 USD", "streams": "2"})
    assert rule.amounts == [("usd", 10**9), ("streams", 2)]


def test_defaults_of_everything() -> None:
    limits = LimitsSection.model_validate({})
    assert (limits.on_store_failure, limits.patience, limits.lease, limits.reserve) == ("local", 0.05, None, "upper")
    assert (limits.zone, limits.wait.longest, limits.wait.queue, limits.rules) == ("UTC", 0.0, 1000, [])
    assert DefaultsSection.model_validate({"team": {"budget": []}}).team.budget == []


def test_a_password_is_not_shown() -> None:
    limits = LimitsSection.model_validate({"store": "redis://u:CANARY@h:6379/0"})
    assert "CANARY" not in repr(limits)
    with pytest.raises(ValidationError) as refused:
        LimitsSection.model_validate({"store": "redis://u:CANARY@h:6379/x"})
    assert "CANARY" not in str(refused.value)
