"""Every example of `docs/limits.md` is right, and every option of it that a table names exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.clock import ManualClock
from gateway.settings.compile import compile_snapshot
from gateway.settings.load import load_config

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "limits.md").read_text("utf-8")
REFERENCE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def base() -> dict[str, Any]:
    target = {"targets": [{"provider": "openai"}]}
    return {
        "version": "1",
        "providers": {name: {"dialect": "openai", "base_url": "https://h/v1"} for name in ("openai", "local")},
        "models": dict.fromkeys(("gpt-4o", "gpt-4o-mini", "claude-*"), target),
        "teams": {"search": {}},
        "prices": "off",
        "ledger": "off",
    }


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_right_and_limits_something(example: str, tmp_path: Path) -> None:
    written = {**base(), **{name: value for name, value in yaml.safe_load(example).items() if name != "providers"}}
    written["teams"] = {**base()["teams"], **written["teams"]}
    written["providers"] |= yaml.safe_load(example).get("providers", {})
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(written, default_flow_style=False, allow_unicode=True).replace("true", "on"))
    loaded = load_config(path, env={"REDIS_PASSWORD": "p"})
    snapshot = compile_snapshot(loaded, clock=ManualClock())
    assert not [warning for warning in snapshot.warnings if "can never match" in warning or "no effect" in warning]
    if "limits.rules" not in example and ("budget" in example or "rules" in example):
        assert snapshot.limits is not None


def test_the_page_names_its_counters_as_they_are(tmp_path: Path) -> None:
    (several,) = (example for example in EXAMPLES if "name: daily" in example)
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump({**base(), **yaml.safe_load(several)}))
    program = compile_snapshot(load_config(path, env={}), clock=ManualClock()).limits
    assert program is not None
    assert len(program.known()) == 3
    for bound in program.known():
        assert f"`{bound.key}`" in PAGE


def test_every_heading_that_is_linked_exists() -> None:
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-")
        for line in re.findall(r"^## (.*)$", PAGE, re.M)
    }
    assert set(re.findall(r"\(#([a-z0-9-]+)\)", PAGE)) <= anchors


OPTIONS = ("on_store_failure", "patience", "lease", "reserve", "burst", "rolling", "zone", "each", "priority",
           "requests_per_second", "when_exhausted", "on_overrun", "weight")  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_what_the_page_tells_is_in_the_reference(option: str) -> None:
    assert option in PAGE
    assert f"| `{option}` |" in REFERENCE
