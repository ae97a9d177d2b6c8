"""A console with something to show: a real gateway whose ledger is seeded, with budgets, guardrails and admin keys."""

import time
from pathlib import Path

import yaml

from tests.support.console_seed import TEAMS, ledger_of, seed
from tests.support.served import Gateway, configuration, key_hash

ROLES = ("admin", "finops", "oncall", "viewer")
NASTY = "<script>alert(1)</script>"
"""The name of a team, key, model and tag that somebody chose."""


def written(mock_url: str, directory: Path) -> dict:
    budgets = {"search": "900 USD", "support": "1000 USD", "checkout": "500 USD", "research": "200 USD"}
    teams: dict[str, dict] = {
        team: {"keys": [{"id": f"{team}-prod", "hash": key_hash(f"sk-{team}")}], "guardrails": "standard"}
        for team in TEAMS
    }
    for team, amount in budgets.items():
        teams[team]["budget"] = {"amount": amount, "per": "month", "soft": "80%"}
    base = configuration(mock_url, directory)
    return {
        **base,
        "providers": {
            "openai": {"dialect": "openai", "base_url": mock_url + "/v1", "api_key": "sk-up", "prices": "openai"},
            "anthropic": {
                "dialect": "anthropic",
                "base_url": mock_url + "/v1",
                "api_key": "sk-a",
                "prices": "anthropic",
            },
            "local": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"},
        },
        "models": {
            "gpt-4o": {"targets": [{"provider": "openai"}], "fallbacks": ["gpt-4o-mini"]},
            "gpt-4o-mini": {"targets": [{"provider": "openai", "weight": 3}, {"provider": "anthropic", "model": "x"}]},
            "claude-sonnet-4-5": {"targets": [{"provider": "anthropic"}], "fallbacks": ["gpt-4o"]},
            "claude-haiku-4-5": {"targets": [{"provider": "anthropic"}]},
            "local/*": {"targets": [{"provider": "local"}]},
        },
        "teams": teams,
        "guardrails": {
            "standard": [
                {"detect": "pii", "entities": ["EMAIL_ADDRESS", "CREDIT_CARD"], "action": "mask", "mode": "enforce"},
                {"detect": "secrets", "on": ["request"], "action": "block", "mode": "enforce"},
                {"detect": "prompt_injection", "on": ["request"], "action": "block", "mode": "shadow"},
            ],
        },
        "ledger": {**base["ledger"], "findings": {}},
        "limits": {"rules": [{"name": "company", "usd": "4000 USD", "per": "month", "soft": "90%"}]},
        "admin": {"keys": [{"id": f"{role}-key", "role": role, "hash": key_hash(f"sk-{role}")} for role in ROLES]},
    }


def seeded(mock_url: str, directory: Path, names: tuple[str, ...] = (NASTY,), count: int = 1500) -> Gateway:
    """A gateway that serves; stop it."""
    seed(ledger_of(directory), time.time_ns(), count, names=names)
    config = directory / "gateway.yaml"
    config.write_text(yaml.safe_dump(written(mock_url, directory), sort_keys=False))
    return Gateway(config)
