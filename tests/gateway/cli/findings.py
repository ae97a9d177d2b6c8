"""A configuration whose ledger has findings, and `tollway guardrails` run on it without a gateway."""

import time
from pathlib import Path
from typing import Any

import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.guardrails import register
from tests.gateway.admin.fakes import written
from tests.support.console_seed import seed


def seeded(folder: Path, guardrails: dict[str, Any] | None = None, findings: dict[str, Any] | None = None) -> Path:
    """The file of a configuration, with `guardrails` and what the findings log says in it where they are given."""
    whole = written(folder)
    if guardrails is not None:
        whole["guardrails"] = guardrails
    if findings is not None:
        whole["ledger"]["findings"] = findings
    file = folder / "gateway.yaml"
    file.write_text(yaml.safe_dump(whole))
    seed(whole["ledger"]["url"], time.time_ns(), 200, days=5)
    return file


def run(config: Path, *arguments: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, ["guardrails", *arguments, "--config", str(config)], env={"COLUMNS": "180"})
