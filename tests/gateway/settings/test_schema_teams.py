"""Keys, budgets and policies as they may be written; the complaints are in `test_load.py`."""

import pytest
from pydantic import ValidationError

from gateway.settings.schema_teams import PLACEHOLDERS, BudgetSection, KeySection, RuleSection, TeamSection

HEX = "ab" * 32


@pytest.mark.parametrize("written", [f"sha256:{HEX}", f"hmac:{HEX}", HEX, HEX.upper(), *PLACEHOLDERS])
def test_hashes_that_may_be_written(written: str) -> None:
    assert KeySection.model_validate({"id": "a", "hash": written}).hash == written


def test_a_budget_is_exact() -> None:
    budget = BudgetSection.model_validate({"amount": "0.000000001 USD"})
    assert (budget.amount, budget.per, budget.soft, budget.when_exhausted) == (1, "month", None, "block")


def test_a_rule_does_nothing_until_told() -> None:
    rule = RuleSection.model_validate({"detect": "pii"})
    assert (rule.action, rule.mode, rule.on) == ("flag", "shadow", ["request", "response"])


def test_no_list_allows_all_and_an_empty_list_nothing() -> None:
    assert TeamSection.model_validate({}).models is None
    assert TeamSection.model_validate({"models": []}).models == []
    with pytest.raises(ValidationError):
        TeamSection.model_validate({"models": ["a*b"]})
