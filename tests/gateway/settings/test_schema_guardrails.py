"""Rules as they may be written; what is wrong between fields is in `test_guardrail_checks.py`."""

from typing import get_args

import pytest
from pydantic import ValidationError

from gateway.operations import accept
from gateway.settings.schema_guardrails import DETECT, OPERATIONS, ROLES, AllowSection, RuleSection


def test_a_rule_does_nothing_until_told() -> None:
    rule = RuleSection.model_validate({"detect": "pii"})
    assert (rule.action, rule.mode, rule.on, rule.rollout) == ("flag", "shadow", ["request", "response"], 1.0)
    assert (rule.beyond, rule.on_failure, rule.bounds, rule.threshold) == ("block", "closed", None, None)


def test_every_option_may_be_written() -> None:
    rule = RuleSection.model_validate(
        {
            "detect": "pii", "id": "mail", "entities": ["EMAIL_ADDRESS"], "without": ["pii.url"], "threshold": "0.5",
            "thresholds": {"EMAIL_ADDRESS": "0.9"}, "on": ["request"], "roles": ["tool"], "operations": ["messages"],
            "teams": ["search"], "rollout": "10%", "allow": {"values": ["a@b.example"], "digests": ["0" * 16]},
            "action": "block", "message": "No.", "mode": "warn", "max_scan": "1000", "beyond": "allow",
            "on_failure": "open", "bounds": {"latency": "2ms", "match_rate": "20%", "at_least": "10"},
        }
    )  # fmt: skip
    assert rule.thresholds == {"EMAIL_ADDRESS": 0.9}
    assert rule.bounds is not None
    assert (rule.rollout, rule.bounds.latency, rule.bounds.match_rate, rule.bounds.window) == (0.1, 0.002, 0.2, 60)


@pytest.mark.parametrize("digest", ["0" * 15, "0" * 17, "ABCDEF0123456789", "g" * 16])
def test_a_digest_has_16_digits(digest: str) -> None:
    with pytest.raises(ValidationError, match="allowed are 16 hexadecimal digits"):
        AllowSection.model_validate({"digests": [digest]})


def test_editors_know_the_names() -> None:
    fields = RuleSection.model_fields
    assert RuleSection.model_json_schema()["properties"]["detect"]["enum"] == list(DETECT)
    assert get_args(get_args(fields["roles"].annotation)[0]) == ROLES
    assert get_args(get_args(fields["operations"].annotation)[0]) == OPERATIONS
    for name in OPERATIONS:
        assert accept("POST", "/v1/" + name.replace(".", "/")).name == name
