"""What commands have in common: which gateway, which ledger, and how errors end."""

import json
from pathlib import Path

import pytest
import typer
import yaml

from gateway.cli.admin_client import AdminError
from gateway.cli.asking import answering, gateway_of, in_ledger
from gateway.errors import BadRequest, ConfigError, LedgerError, NotFound
from tests.gateway.admin.fakes import written


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(written(tmp_path)))
    return file


def test_which_gateway(config: Path) -> None:
    assert gateway_of(config, None, None) is None
    assert gateway_of(config, None, "key") is None, "none runs with this configuration"
    found = gateway_of(config, "http://127.0.0.1:9/", "key")
    assert found is not None
    assert found.url == "http://127.0.0.1:9"
    with pytest.raises(AdminError, match="needs an admin key"):
        gateway_of(config, "http://127.0.0.1:9/", None)


def test_which_ledger(config: Path) -> None:
    assert in_ledger(config, "x", lambda engine, _: engine.dialect.name) == "sqlite"
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "ledger": "off"}))
    with pytest.raises(ConfigError, match="and switches live in it"):
        in_ledger(config, "switches", lambda engine, _: engine)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest("x"), 2),
        (ConfigError(["x"]), 2),
        (AdminError("x", 400), 2),
        (AdminError("x"), 1),
        (LedgerError("x"), 1),
        (NotFound("x"), 1),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], error: Exception, code: int) -> None:
    with pytest.raises(typer.Exit) as caught, answering("switch", True):
        raise error
    assert caught.value.exit_code == code
    shown = capsys.readouterr()
    assert shown.err == "tollway switch: x\n"
    assert json.loads(shown.out) == {"error": "x"}
