"""The way to a gateway's admin API: found by its state file; every answer but a good one is an error saying why."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.admin.budget_shapes import AdjustmentList, Because
from gateway.cli.admin_client import AdminClient, AdminError, find_gateway, path_of
from gateway.clock import SystemClock
from gateway.settings.load import load_config
from gateway.settings.reload import Configuration
from gateway.settings.state import StateFile


class Answers(http.server.BaseHTTPRequestHandler):
    status = 200
    body = b'{"adjustments":[]}'

    def do_GET(self) -> None:
        assert self.headers["authorization"] == "Bearer k"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[AdminClient]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield AdminClient(f"http://127.0.0.1:{server.server_port}/", "k")
    server.shutdown()
    server.server_close()


def test_answers(client: AdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/x", AdjustmentList, team=None, all="true") == AdjustmentList([])
    monkeypatch.setattr(Answers, "status", 409)
    monkeypatch.setattr(Answers, "body", b'{"error":{"message":"It rolls.","code":"x"}}')
    with pytest.raises(AdminError, match=r"It rolls\.") as refused:
        client.post("/x", AdjustmentList, Because(reason="x"))
    assert refused.value.status == 409
    for status, body in ((502, b"<html>"), (200, b"[]"), (500, b"[]")):
        monkeypatch.setattr(Answers, "status", status)
        monkeypatch.setattr(Answers, "body", body)
        with pytest.raises(AdminError, match=f"status {status}, and not as a gateway does"):
            client.get("/x", AdjustmentList)


@pytest.mark.parametrize("key", ["sk-…", "sk-admin\n"])
def test_a_key_that_cannot_be_one_is_told_as_a_wrong_key(key: str) -> None:
    """Not as a gateway that is away: then figures of the ledger would stand in for it, and the mistake go unseen."""
    with pytest.raises(AdminError, match="pasted whole") as wrong:
        AdminClient("http://127.0.0.1:9", key).get("/x", AdjustmentList)
    assert wrong.value.status == 401


def test_nobody_there() -> None:
    with pytest.raises(AdminError, match="cannot be asked") as away:
        AdminClient("http://127.0.0.1:9", "k").get("/x", AdjustmentList)
    assert away.value.status == 0


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:81"), ("::", "http://[::1]:81"), ("10.0.0.1", "http://10.0.0.1:81"), ("fd00::1", "http://[fd00::1]:81")],
)  # fmt: skip
def test_the_gateway_that_runs(tmp_path: Path, host: str, url: str) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(f"prices: off\nserver: {{host: '{host}', runtime_dir: {tmp_path}/run}}\n")
    written = load_config(config)
    assert find_gateway(written, config) is None
    state = StateFile(Configuration(config, clock=SystemClock()), 81)
    state.write()
    assert find_gateway(written, config) == url
    assert find_gateway(written, tmp_path / "other.yaml") is None
    state.remove()


def test_names_in_paths() -> None:
    assert path_of("limits.rules.m:local/llama%20") == "limits.rules.m%3Alocal%2Fllama%2520"
