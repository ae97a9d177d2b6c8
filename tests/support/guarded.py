"""A gateway with a team for each way of using guardrails, and what a test asks it for."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from anthropic import Anthropic
from openai import OpenAI

from tests.support.served import Gateway, configuration, key_hash, wait_for

EMAIL = "jane.doe@example.com"
CARD = "4111 1111 1111 1111"
SECRET = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
CLAUDE = "claude-3-7-sonnet-20250219"

_PII = {"detect": "pii", "entities": ["EMAIL_ADDRESS", "CREDIT_CARD"], "action": "mask", "mode": "enforce"}
_HALF = [f"half-{n}" for n in range(16)]
POLICIES: dict[str, list[dict]] = {
    "masked": [_PII, {"detect": "secrets", "action": "mask", "mode": "enforce"}],
    "refused": [{**_PII, "id": "no-mail", "action": "block"}],
    "canned": [{**_PII, "action": "block", "message": "Please leave personal data out."}],
    "answered": [{**_PII, "action": "block", "answer": "I cannot talk about that."}],
    "answers": [
        {**_PII, "on": ["response"]},
        {
            "detect": "terms",
            "id": "no-fruit",
            "terms": ["forbidden fruit"],
            "on": ["response"],
            "action": "block",
            "mode": "enforce",
        },
    ],
    "lenient": [{**_PII, "on_failure": "open"}],
    "shadow": [{**_PII, "mode": "shadow"}],
    "warn": [{**_PII, "mode": "warn"}],
    "rerouted": [{"detect": "pii", "entities": ["EMAIL_ADDRESS"], "reroute": "gpt-4o", "mode": "enforce"}],
    "half": [{**_PII, "rollout": "50%"}],
    "capped": [{**_PII, "max_scan": 200, "on": ["request"]}],
    "head": [{**_PII, "max_scan": 200, "beyond": "allow", "on": ["request"]}],
    "wide": [{**_PII, "max_scan": 20_000_000}],
    "narrow": [{**_PII, "operations": ["chat.completions"]}],
    "pseudo": [{**_PII, "action": "pseudonymize", "on": ["request"]}],
}

IMPATIENT = {"idle-soon": {"idle": "1s"}, "over-soon": {"total": "2s"}}
"""Models whose provider has little time."""


def guarded_configuration(url: str, data: Path, **changes: Any) -> dict:
    """Teams named like their policy, with the key `sk-TEAM`; `free` has none. Quiet streams get a comment soon."""
    teams = {name: {"guardrails": name, "keys": [{"id": name, "hash": key_hash(f"sk-{name}")}]} for name in POLICIES}
    teams["half"]["keys"] = [{"id": key, "hash": key_hash(f"sk-{key}")} for key in _HALF]
    teams["free"] = {"keys": [{"id": "free", "hash": key_hash("sk-free")}]}
    whole = configuration(url, data, **{"guardrails": POLICIES, "teams": teams, **changes})
    whole["server"]["ping"] = "200ms"
    for name, limits in IMPATIENT.items():
        whole["providers"][name] = {**whole["providers"]["mock"], "timeouts": limits}
        whole["models"][name] = {"targets": [{"provider": name, "model": "gpt-4o-mini"}]}
    return whole


class Guarded(Gateway):
    """The gateway, its SDK clients and its books."""

    def openai(self, team: str) -> OpenAI:
        return _openai(self.v1, team)

    def anthropic(self, team: str) -> Anthropic:
        return _anthropic(self.url, team)

    def row(self, request_id: str) -> dict:
        """The event of one request, once it is in the ledger. Fails if it was booked twice."""

        def found() -> dict | None:
            with closing(sqlite3.connect(f"file:{self.data}/tollway.db?mode=ro", uri=True)) as books:
                books.row_factory = sqlite3.Row
                try:
                    rows = books.execute("SELECT * FROM events WHERE request_id = ?", (request_id,)).fetchall()
                except sqlite3.OperationalError:
                    return None
            assert len(rows) < 2, "booked twice"
            return dict(rows[0]) if rows else None

        return wait_for(found, f"the event of {request_id}")


def guarded_gateway(url: str, data: Path, *extra: str, env: dict[str, str] | None = None, **changes: Any) -> Guarded:
    config = data / "gateway.yaml"
    config.write_text(yaml.safe_dump(guarded_configuration(url, data, **changes), sort_keys=False))
    return Guarded(config, *extra, env=env)


@cache
def _openai(url: str, team: str) -> OpenAI:
    return OpenAI(base_url=url, api_key=f"sk-{team}", max_retries=0)


@cache
def _anthropic(url: str, team: str) -> Anthropic:
    return Anthropic(base_url=url, api_key=f"sk-{team}", max_retries=0)
