"""A gateway under hostile requests, and a client beside it that measures how long it is made to wait.

For `tools/show_hostile.py`: a real gateway of one worker, in front of the bundled provider for the client beside and of
one that answers what a case wants for the hostile request. All on free ports of loopback, ended with the tool.
"""

import contextlib
import hashlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.002
"""Seconds between an answer and the next request of the client beside."""
PATIENCE = 900.0
PING = b'{"model":"ping","messages":[{"role":"user","content":"Good morning, what is new?"}],"max_tokens":4}'


class Provider(ThreadingHTTPServer):
    """Answers every request with `answer`, whole or as server-sent events."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answer: bytes = b"{}"
        self.kind = "application/json"
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Provider)
        left = int(self.headers.get("content-length") or 0)
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self.send_response(200)
        self.send_header("content-type", server.kind)
        self.send_header("content-length", str(len(server.answer)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(server.answer)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def whole(text: str) -> bytes:
    """A chat completion of a text."""
    message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "chat.completion", "model": "m", "choices": [message]}).encode()


def events(text: str, size: int, as_json: bool) -> bytes:
    """The same streamed, `size` characters an event; or as the arguments of a tool call."""
    out: list[bytes] = []
    for at in range(0, len(text), size):
        piece = text[at : at + size]
        call = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": piece}}
        delta = {"tool_calls": [call]} if as_json else {"content": piece}
        out.append(_event({"index": 0, "delta": delta, "finish_reason": None}))
    out.append(_event({"index": 0, "delta": {}, "finish_reason": "stop"}))
    return b"".join([*out, b"data: [DONE]\n\n"])


def _event(choice: dict[str, Any]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


class Served:
    """The gateway, its providers, and the two clients."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        self.provider = Provider()
        self._closing = contextlib.ExitStack()
        data = Path(self._closing.enter_context(tempfile.TemporaryDirectory()))
        mock = self._process("-m", "loadtest.mock", "--port", "0")
        config = data / "gateway.yaml"
        config.write_text(yaml.safe_dump(_configuration(data, mock, self.provider.url, rules)))
        url = self._process("-m", "gateway.cli.main", "serve", "--config", str(config), "--port", "0")
        self._host = url.removeprefix("http://")
        self._wait()

    def close(self) -> None:
        self._closing.close()
        self.provider.shutdown()

    def longest_pause(self, body: bytes) -> tuple[float, float, int]:
        """Send one request as the guarded team. Its seconds, the longest time the client beside waited for an answer
        meanwhile, and the status."""
        done, begun, waits = threading.Event(), threading.Event(), [0.0]

        def beside() -> None:
            client = http.client.HTTPConnection(self._host, timeout=PATIENCE)
            while not done.is_set():
                since = time.monotonic()
                status = _post(client, PING, "sk-beside")
                assert status == 200, status
                if begun.is_set():
                    waits.append(time.monotonic() - since)
                begun.set()
                time.sleep(PAUSE)

        other = threading.Thread(target=beside)
        other.start()
        begun.wait(30)
        since = time.monotonic()
        status = _post(http.client.HTTPConnection(self._host, timeout=PATIENCE), body, "sk-hostile")
        seconds = time.monotonic() - since
        done.set()
        other.join()
        return seconds, max(waits), status

    def _process(self, *command: str) -> str:
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self._closing.callback(child.wait)
        self._closing.callback(child.terminate)
        assert child.stdout is not None
        return "http://" + child.stdout.readline().split("http://")[1].split()[0]

    def _wait(self) -> None:
        for _ in range(600):
            with contextlib.suppress(OSError, http.client.HTTPException):
                client = http.client.HTTPConnection(self._host, timeout=30)
                if _post(client, PING, "sk-beside") == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError("the gateway did not begin to serve")


@contextlib.contextmanager
def served(rules: list[dict[str, Any]]) -> Iterator[Served]:
    gateway = Served(rules)
    try:
        yield gateway
    finally:
        gateway.close()


def _post(client: http.client.HTTPConnection, body: bytes, key: str) -> int:
    client.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    answer = client.getresponse()
    while answer.read(1 << 20):
        pass
    return answer.status


def _hash(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def _configuration(data: Path, mock: str, other: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    providers = {"mock": mock, "other": other}
    teams = {"beside": {}, "hostile": {"guardrails": "hostile"}}
    return {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": 0, "runtime_dir": str(data / "run"), "max_body": "64MiB"},
        "secrets": {"from": ["env", "file"], "key_hash": "hostile-tool-secret-0123456789"},
        "providers": {
            name: {"dialect": "openai", "base_url": url + "/v1", "api_key": "sk-nobody"}
            for name, url in providers.items()
        },
        "models": {
            "ping": {"targets": [{"provider": "mock", "model": "gpt-4o-mini"}]},
            "hostile": {"targets": [{"provider": "other", "model": "m"}]},
        },
        "guardrails": {"hostile": rules},
        "teams": {
            name: {
                **team,
                "keys": [{"id": name, "hash": "sha256:" + hashlib.sha256(f"sk-{name}".encode()).hexdigest()}],
            }
            for name, team in teams.items()
        },
        "ledger": {"url": f"sqlite:///{data}/tollway.db", "journal": str(data / "journal")},
    }
