"""Every example of `docs/fairness.md` is right, and says what the page says."""

import re
from pathlib import Path

import pytest
import yaml

from gateway.clock import SystemClock
from gateway.settings.reload import Configuration
from gateway.settings.snapshot import Snapshot

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "fairness.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def snapshots(tmp_path: Path) -> list[Snapshot]:
    """One of each example, filled up to a whole configuration."""
    found: list[Snapshot] = []
    for at, text in enumerate(EXAMPLES):
        example = yaml.safe_load(text)
        provider = {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}
        whole = {
            "version": 1,
            "server": {"runtime_dir": str(tmp_path / "run")},
            "providers": {"local": provider},
            "models": {"m": {"targets": [{"provider": "local"}]}},
            "prices": "off",
            "ledger": "off",
            **example,
        }
        config = tmp_path / f"{at}.yaml"
        config.write_text(yaml.safe_dump(whole, allow_unicode=True).replace("sha256:…", "sha256:" + "0" * 64))
        found.append(Configuration(config, clock=SystemClock()).snapshot)
    return found


def test_the_examples_compile_to_what_the_page_says(snapshots: list[Snapshot]) -> None:
    sharing, batch, waiting = snapshots
    (provider,) = sharing.routes.providers()
    assert provider.capacity is not None
    assert (provider.capacity.concurrent, provider.capacity.queue, provider.capacity.wait) == (64, 500, 10.0)
    assert provider.capacity.part(5).concurrent == 12
    caller = next(iter(batch.keys._plain.values()))
    assert (caller.key_id, caller.priority) == ("reports-live", "interactive")
    assert waiting.limit_options.queue == 1000
    assert waiting.limits is not None
    assert [(rule.id, rule.wait) for rule in waiting.limits.rules] == [("limits.rules.shared-burst", 5.0)]
