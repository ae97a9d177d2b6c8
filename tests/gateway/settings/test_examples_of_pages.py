"""Every YAML example of the pages by task is right. (limits, fairness, slo, loadtest, configuration: theirs.)"""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from gateway.clock import ManualClock
from gateway.settings.compile import compile_snapshot
from gateway.settings.load import load_config

ROOT = Path(__file__).parents[3]
PAGES = ("guardrails", "traces", "keys", "incidents", "operations", "budgets-manage", "prices")
FOUND = [
    pytest.param(example, id=f"{page}-{number}")
    for page in PAGES
    for number, example in enumerate(
        re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / f"{page}.md").read_text("utf-8"), re.DOTALL), 1
    )
]
ENVIRONMENT = {
    "COLLECTOR_KEY": "k",
    "LAKERA_API_KEY": "k",
    "OPENAI_API_KEY": "k",
    "PAGERDUTY_KEY": "0123456789abcdef0123456789abcdef",
    "PROMPT_CANARY": "a mark of our own",
    "TOLLWAY_KEY_HASH": "sixteen bytes or more",
    "TOLLWAY_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def whole(example: str) -> dict[str, Any]:
    """An example with what it takes for granted: providers, models and teams; a rule in a policy of a team."""
    loaded: Any = yaml.load(example.replace("sha256:…", "sha256:" + "0" * 64), Loader=yaml.BaseLoader)
    read = cast("dict[str, Any]", loaded)
    if isinstance(loaded, list):
        read = {"guardrails": {"standard": loaded}, "teams": {"search": {"guardrails": "standard"}}}
    elif isinstance(read.get("models"), list):
        read = {"prices": loaded}
    provider = {"dialect": "openai", "base_url": "https://h/v1"}
    base = {
        "version": "1",
        "secrets": {"key_hash": "sixteen bytes or more"},
        "providers": {"openai": provider},
        "models": {
            "gpt-4o": {"targets": [{"provider": "openai"}]},
            "gpt-4o-mini": {"targets": [{"provider": "openai"}]},
        },
        "teams": {},
        "ledger": {"url": "sqlite:///var/x.db"},
    }
    return {**base, **read, "teams": {"search": {}, "support": {}, **read.get("teams", {})}}


@pytest.mark.parametrize("example", FOUND)
def test_every_example_is_right(example: str, tmp_path: Path) -> None:
    written = whole(example)
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(written, allow_unicode=True))
    (tmp_path / "customers.txt").write_text("Globex\nInitech\n")
    loaded = load_config(path, env=ENVIRONMENT)
    snapshot = compile_snapshot(loaded, clock=ManualClock())
    assert [warning for warning in snapshot.warnings if "can never match" in warning or "guardrail" in warning] == []
