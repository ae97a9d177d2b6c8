"""The page about incidents: its example is right, and it names every signal, option and kind of switch."""

import re
from pathlib import Path
from typing import get_args

from gateway.incidents.detect import Signal
from gateway.routing.switches import SCOPES
from gateway.settings.incident_options import compile_incidents
from gateway.settings.load import load_config

PAGE = (Path(__file__).parents[3] / "docs" / "incidents.md").read_text("utf-8")
MINIMAL = """
version: 1
providers: {openai: {dialect: openai, base_url: 'https://api.openai.com/v1', api_key: k}}
models: {gpt-4o: {targets: [{provider: openai}]}}
"""


def test_the_example_can_be_used(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "gateway.yaml"
    file.write_text(MINIMAL + example)
    env = {"WEBHOOK_SECRET": "whsec_c29tZXRoaW5nLXRoYXQtaXMtbG9uZy1lbm91Z2g=", "PAGERDUTY_KEY": "k"}
    options = compile_incidents(load_config(file, env=env).root.incidents)
    assert options is not None
    assert [each.shape for each in options.receivers] == ["webhook", "alertmanager", "pagerduty"]


def test_everything_is_named() -> None:
    for signal in get_args(Signal):
        assert f"`{signal}`" in PAGE
    for kind, scopes in SCOPES.items():
        assert all(re.search(rf"{kind}|{scope}", PAGE) for scope in scopes)
