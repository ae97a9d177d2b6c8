"""What `tollway serve` says when it cannot begin. (That it serves: tests/served, tests/faults.)"""

import json
import socket
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from gateway import supervisor
from gateway.cli.serve import register
from gateway.server import bind
from gateway.telemetry import logs
from tests.support.served import configuration


def configured(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(json.dumps(configuration("http://127.0.0.1:9", tmp_path, **changes)))
    return str(path)


def serve(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, ["--port", "0", *arguments])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_journal_that_cannot_be_made_is_said_before_anything_is_started(tmp_path: Path, workers: str) -> None:
    """Exit code 2 when the journal's directory cannot be used; workers would begin and die for ever."""
    (tmp_path / "file").write_text("")
    ledger = {"url": f"sqlite:///{tmp_path}/tollway.db", "journal": str(tmp_path / "file" / "journal")}
    config = configured(tmp_path, ledger=ledger)

    result = serve("--config", config, "--workers", workers)

    assert result.exit_code == 2
    assert "cannot be made: Not a directory" in result.stderr
    assert "listening" not in result.stdout


def test_a_host_that_has_no_address_is_named_with_the_reason(tmp_path: Path) -> None:
    result = serve("--config", configured(tmp_path), "--host", "no.host.invalid")

    assert result.exit_code == 2
    assert "cannot listen on no.host.invalid:0" in result.stderr
    assert "Unknown error" not in result.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_another_gateway_shares_among_its_workers_is_in_use(tmp_path: Path, workers: str) -> None:
    """The kernel would let a gateway join whose workers share the port, and give it half of the other's requests."""
    with bind("127.0.0.1", 0, reuse_port=True) as other:
        other.listen()
        port = other.getsockname()[1]

        result = serve(
            "--config", configured(tmp_path), "--host", "127.0.0.1", "--workers", workers, "--port", str(port)
        )

    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.stderr


def test_a_port_for_workers_is_held_from_the_first_moment_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let go of for a moment, it could become another gateway's, which the kernel would let share it."""
    begun: list[int] = []

    class Looking:
        def __init__(self, _config: Path, host: str, holder: socket.socket, *_: object) -> None:
            begun.append(holder.getsockname()[1])
            with socket.socket() as other, pytest.raises(OSError, match="already in use"):
                other.bind((host, begun[0]))

        def run(self) -> None:
            pass

    monkeypatch.setattr(supervisor, "Supervisor", Looking)
    monkeypatch.setattr(logs, "setup_logs", lambda *_: None)

    result = serve("--config", configured(tmp_path, ledger="off"), "--host", "127.0.0.1", "--workers", "2")

    assert result.exit_code == 0, result.output
    assert f"listening on http://127.0.0.1:{begun[0]}" in result.stdout
