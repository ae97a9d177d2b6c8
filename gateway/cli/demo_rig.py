"""What `tollway demo` runs: a mock provider and a gateway as processes in a directory that is thrown away."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

USUAL_PORT = 8080
START_SECONDS = 20.0
BOOKS_SECONDS = 20.0
STOP_SECONDS = 10.0
ADMIN_KEY = "sk-demo-admin"

SCENARIO = """\
version: 1
description: A healthy provider, slow enough to watch.
defaults: {latency: 40ms, token_rate: 150}
rules:
  - when: {operation: responses}
    then: {usage: {reasoning: 40}}
  - when: {operation: messages}
    then: {usage: {cached: 8}}
  - when: {operation: chat, stream: true}
    then:
      output:
        tokens: 24
        text: >-
          Your parcel left the depot at six this morning, and should be with you before noon. Sorry for the wait!
"""


class DemoFailed(Exception):
    """Something is not as it should be; the message says what."""


class Books(NamedTuple):
    """Requests that a provider served, and their tokens, in and out."""

    requests: int
    tokens: int


class _Spent(msgspec.Struct):
    """A row of `tollway spend --json`, as far as it is compared."""

    requests: int
    input_tokens: int
    output_tokens: int
    provider: str | None = None


class _Spend(msgspec.Struct):
    rows: list[_Spent]


class _Served(msgspec.Struct):
    """The mock provider's `GET /stats`, as far as it is compared."""

    requests: int
    completed: int
    input_tokens: int
    output_tokens: int


class Rig:
    """Two processes, their files and what can be asked of them. `stop()` ends and forgets everything."""

    def __init__(self, port: int | None) -> None:
        self._wanted = port
        self._directory = tempfile.TemporaryDirectory(prefix="tollway-demo-")
        self._home = Path(self._directory.name)
        self._http = httpx.Client(trust_env=False, timeout=5.0)  # loopback only: an egress proxy has no part in it
        self._processes: list[subprocess.Popen[bytes]] = []
        self._config = str(resources.files("gateway.settings") / "defaults" / "demo.yaml")
        self._environment = dict(os.environ)
        self.mock_url = ""
        self.url = ""
        self.ready_seconds = 0.0

    def start(self) -> None:
        """Start both and wait until the gateway is ready. Raises `DemoFailed`."""
        scenario = self._home / "scenario.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        self._spawn("mock", ["loadtest.mock", "--port", "0", "--scenario", str(scenario)])
        self.mock_url = self._address("mock")
        port = _free(USUAL_PORT) if self._wanted is None else self._wanted
        self._environment |= {
            "TOLLWAY_PORT": str(port),
            "TOLLWAY_MOCK_URL": self.mock_url,
            "TOLLWAY_DATA": str(self._home),
        }
        began = time.monotonic()
        self._spawn("gateway", ["gateway.cli.main", "serve", "--config", self._config, "--port", str(port)])
        self.url = self._address("gateway")
        self._until(self._ready, START_SECONDS, "the gateway did not get ready")
        self.ready_seconds = time.monotonic() - began

    def stop(self) -> None:
        """End both processes, the gateway first, and remove their files."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._http.close()
        self._directory.cleanup()

    def wait(self) -> None:
        """Until Ctrl-C; raises `DemoFailed` if a process ends by itself."""
        while True:
            time.sleep(0.5)
            self._check_alive()

    def books(self) -> Books:
        """What the provider counted, once the ledger says the same. Raises `DemoFailed` if it never does."""
        found: list[str | Books] = []

        def agree() -> bool:
            theirs, all_ended = self._served()
            try:
                ours = self._recorded()
            except DemoFailed as failure:  # the ledger's database is made while the first requests run
                found[:] = [theirs, str(failure)]
                return False
            found[:] = [theirs, ours]
            return all_ended and theirs == ours

        try:
            self._until(agree, BOOKS_SECONDS, "the books do not agree")
        except DemoFailed as failure:
            raise DemoFailed(f"{failure}: provider and ledger say {found}") from None
        return self._served()[0]

    def _served(self) -> tuple[Books, bool]:
        """What the provider counted, and whether nothing is under way."""
        served = msgspec.json.decode(self._http.get(f"{self.mock_url}/stats").content, type=_Served)
        books = Books(served.completed, served.input_tokens + served.output_tokens)
        return books, served.requests == served.completed

    def _recorded(self) -> Books:
        """What the ledger has of requests that a provider served. Raises `DemoFailed` while it cannot be read."""
        spend = msgspec.json.decode(self._spend("--by", "provider", "--json"), type=_Spend)
        rows = [row for row in spend.rows if row.provider]
        return Books(sum(row.requests for row in rows), sum(row.input_tokens + row.output_tokens for row in rows))

    def spend_table(self) -> str:
        """`tollway spend --by team,model`, as it prints it."""
        return self._spend("--by", "team,model", "--since", "1h").decode()

    def addresses(self) -> list[tuple[str, str]]:
        """What there is to visit, name and address."""
        return [
            ("OpenAI", f"{self.url}/v1    keys sk-demo-search, sk-demo-support, sk-demo-research"),
            ("Anthropic", f"{self.url}       the same keys"),
            ("console", f"{self.url}/console/    key {ADMIN_KEY}"),
            ("metrics", f"{self.url}/metrics"),
            ("health", f"{self.url}/readyz"),
            ("admin", f"{self.url}/admin/v1/config    key {ADMIN_KEY}"),
            ("config", self._config),
        ]

    def example(self) -> str:
        """A command to paste."""
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]})
        return (
            f"  curl {self.url}/v1/chat/completions -H 'authorization: Bearer sk-demo-search' \\\n"
            f"    -H 'content-type: application/json' -d '{body}'"
        )

    def log_tail(self, lines: int = 25) -> str:
        """The last lines that the processes wrote."""
        tails: list[str] = []
        for name in ("mock", "gateway"):
            log = self._home / f"{name}.log"
            if log.exists():
                written = log.read_text("utf-8", "replace").splitlines()[-lines:]
                tails.append("\n".join([f"--- {name}", *written]))
        return "\n".join(tails)

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self._home / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(  # noqa: S603  # our own modules, no shell
                    [sys.executable, "-m", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    # Ctrl-C is the demo's to hear: it ends them in order.
                    start_new_session=True,
                )
            )

    def _address(self, name: str) -> str:
        """Where a process says it listens; any-address as loopback."""
        log = self._home / f"{name}.log"
        found: list[str] = []

        def announced() -> bool:
            match = re.search(r"listening on (http://\S+:\d+)", log.read_text("utf-8", "replace"))
            found.extend([match.group(1)] if match else [])
            return bool(found)

        self._until(announced, START_SECONDS, f"the {name} did not start")
        return found[0].replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//127.0.0.1:")

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._http.get(f"{self.url}/readyz").status_code == 200
        return False

    def _until(self, condition: Callable[[], bool], seconds: float, complaint: str) -> None:
        """Ask again until true. Raises `DemoFailed` when time is up or a process ended."""
        end = time.monotonic() + seconds
        while not condition():
            self._check_alive()
            if time.monotonic() > end:
                raise DemoFailed(f"{complaint} within {seconds:.0f} s")
            time.sleep(0.05)

    def _check_alive(self) -> None:
        for process in self._processes:
            if (code := process.poll()) is not None:
                raise DemoFailed(f"`{' '.join(map(str, process.args))}` ended with exit code {code}")  # type: ignore[arg-type]

    def _spend(self, *options: str) -> bytes:
        command = [sys.executable, "-m", "gateway.cli.main", "spend", "--config", self._config, *options]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=False)  # noqa: S603  # as above
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise DemoFailed(f"tollway spend ended with exit code {done.returncode}: {said}")
        return done.stdout


def _free(wanted: int) -> int:
    """`wanted` if nobody listens there, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            return wanted
    return 0
