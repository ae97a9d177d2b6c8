"""Documentation that cannot rot: the reference is the schema's, and every example of the page is right."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from gateway.settings.load import load_config
from gateway.settings.schema_base import Section

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("config_reference", ROOT / "tools" / "config_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_up_to_date(tool: ModuleType) -> None:
    assert tool.page(PAGE) == PAGE, "run: python tools/config_reference.py"


def test_every_field_of_every_section_is_in_it(tool: ModuleType) -> None:
    sections = {section for _, section in tool.sections()}
    # Objectives have a page of their own (docs/slo.md).
    assert sections == {each for each in Section.__subclasses__() if not each.__module__.endswith(".schema_slo")}
    for section in sections:
        for name, field in section.model_fields.items():
            assert f"| `{field.alias or name}` |" in PAGE


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_right(example: str, tmp_path: Path) -> None:
    """Each is checked with what the page tells elsewhere: providers, models, and the files it names."""
    body = example if not example.startswith(" ") else "teams:\n  search:\n" + example
    data = yaml.safe_load(body.replace("${env:OPENAI_API_KEY}", "k").replace("${env:TOLLWAY_SECRET}", "s" * 32))
    base = {
        "providers": {
            name: {"dialect": "openai", "base_url": "https://h/v1"} for name in ("openai", "local", "azure")
        },
        "models": {
            name: {"targets": [{"provider": "openai"}]} for name in ("gpt-4o", "gpt-4o-mini", "local/*")
        },
    }  # fmt: skip
    (tmp_path / "models.yaml").write_text("teams: {}\n")
    (tmp_path / "prices.yaml").write_text("models: []\n")
    merged = {**base, **data, "models": {**base["models"], **data.get("models", {})}}
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(merged, allow_unicode=True, default_flow_style=False))
    assert load_config(path, env={}).root.providers


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6
