"""A real gateway process in front of the real mock provider, both on free ports."""

import hashlib
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile

from gateway.cli.main import COMMANDS
from tests.support.ledgers import ready_ledger
from tests.support.nursery import Forked, Nursery

LIMIT = 60.0
"""Seconds until what is waited for counts as never coming."""
START_LIMIT = 180.0
"""The same for a gateway to be ready, which takes more than anything else: workers and loader are executed, which is
ten seconds of processor time for two, and a busy machine has a tenth of one processor for it."""
STANDSTILL = 5.0
"""The most seconds that one look at a condition counts."""


def wait_for(condition: Callable[[], object], what: str, limit: float = LIMIT) -> object:
    """Poll `condition` until it gives something true; fail saying what was waited for. Time in which this process did
    not run counts little: what is waited for may have stood still as well."""
    waited, before = 0.0, time.monotonic()
    while waited < limit:
        if found := condition():
            return found
        time.sleep(0.02)
        now = time.monotonic()
        waited, before = waited + min(now - before, STANDSTILL), now
    raise AssertionError(f"waited {limit:g} s in vain for {what}")


def get_json(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> dict:
    request = urllib.request.Request(url, headers=headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


MOCK = "loadtest.mock.__main__"
TOLLWAY = "gateway.cli.main"
IMPORTED = (
    *(MOCK, TOLLWAY, *(f"gateway.cli.{name}" for name in COMMANDS), "gateway.cli.spend_prices"),
    *("gateway.server", "gateway.supervisor", "gateway.ledger.loader_process", "gateway.ledger.export"),
    *(
        "gateway.settings.json_schema",
        "gateway.settings.schema_slo",
        "genai_prices.data",
        "structlog",
        "typer.rich_utils",
    ),
    *("anyio._backends._asyncio", "anyio.abc", "anyio.streams.tls", "sqlite3", "uvicorn.lifespan.off", "uvloop"),
)
"""What our programs import when they run: without a line here a start takes longer, and no more than that."""


@cache
def _nursery(number: int) -> Nursery:
    return Nursery(IMPORTED)


_turns = count()


def start(
    module: str,
    *args: str,
    env: dict[str, str] | None = None,
    stdout: int | None = None,
    stderr: int = subprocess.DEVNULL,
) -> Forked | subprocess.Popen[str]:
    """`python -m module ARGS` with `env` beside ours, forked (see `Nursery`); executed where `env` speaks to the
    interpreter itself, such as PYTHONPATH. Streams are descriptors; where `stdout` is None, read the process's.

    Two nurseries are asked in turn: `hash()` of a text differs between them, as it does between any two processes, so
    that nothing shared or kept relies on it unnoticed."""
    whole = {**os.environ, **(env or {})}
    if any(name.startswith("PYTHON") for name in env or ()):
        command = [sys.executable, "-m", module, *args]
        out = subprocess.PIPE if stdout is None else stdout
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=stderr, env=whole, text=True)
    return _nursery(next(_turns) % 2).start(module, args, stdout=stdout, stderr=stderr, env=whole)


class Process:
    """A child process that says where it listens on its first line."""

    def __init__(self, module: str, *args: str, env: dict[str, str] | None = None, log: Path | None = None) -> None:
        self.log = log
        with (log or Path(os.devnull)).open("ab") as stderr:
            self.process = start(module, *args, stderr=stderr.fileno(), env=env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if "http://" not in line:
            self.process.wait(60)
            raise AssertionError(f"{module} {' '.join(args)} said {line!r}: {log.read_text() if log else ''}")
        self.url = "http://" + line.split("http://")[1].split()[0]

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, number: int = signal.SIGTERM, limit: float = 60) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def tollway(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a `tollway` command to its end."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        code = start(TOLLWAY, *args, stdout=out.fileno(), stderr=err.fileno()).wait(120)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["tollway", *args], code, out.read(), err.read())


class Gateway(Process):
    """`tollway serve` on a free port. A SQLite ledger at its usual place is there already, for the ten migrations cost
    a quarter of what a start does; that a gateway makes its own is proved in `test_demo.py`."""

    def __init__(self, config: Path, *extra: str, env: dict[str, str] | None = None) -> None:
        self.config = config
        self.data = config.parent
        if (books := f"sqlite:///{self.data}/tollway.db") in config.read_text():
            ready_ledger(books)
        args = ("serve", "--config", str(config), "--port", "0", *extra)
        super().__init__(TOLLWAY, *args, env=env, log=config.parent / "gateway.log")
        self.v1 = self.url + "/v1"
        wait_for(self.ready, "the gateway to be ready", START_LIMIT)

    def ready(self) -> bool:
        try:
            return get_json(self.url + "/readyz")["ready"]
        except (urllib.error.URLError, OSError):
            return False

    def command(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run another `tollway` command on this gateway's configuration."""
        return tollway(*args, "--config", str(self.config))

    def spend(self, *args: str) -> dict:
        """The spend report. The loader makes the ledger's tables while the gateway already serves: wait for them."""

        def report() -> dict | None:
            result = self.command("spend", "--json", *args)
            if result.returncode and "no ledger yet" in result.stderr:
                return None
            assert result.returncode == 0, result.stderr
            return json.loads(result.stdout)

        return wait_for(report, "the ledger's tables")

    def booked(self) -> float:
        """Events in a SQLite ledger, which costs less to ask for than a report; of another one, no bound."""
        path = self.data / "tollway.db"
        if f"sqlite:///{path}" not in self.config.read_text():
            return math.inf
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as books:
                return books.execute("SELECT count(*) FROM events").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    def settled(self, requests: int, *args: str) -> dict:
        """The spend report, once it counts `requests` of them."""
        wait_for(lambda: self.booked() >= requests, f"{requests} requests in the ledger")

        def enough() -> dict | None:
            report = self.spend(*args)
            return report if report["total"]["requests"] >= requests else None

        return wait_for(enough, f"{requests} requests in the ledger")


def key_hash(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def configuration(mock_url: str, data: Path, **changes: object) -> dict:
    """A configuration with two teams and the mock as every provider; `changes` replace whole sections."""
    base: dict = {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": 0, "drain": "2s", "runtime_dir": str(data / "run")},
        "secrets": {"from": ["env", "file"], "key_hash": "test-server-secret-0123456789abcdef"},
        "providers": {
            "mock": {"dialect": "openai", "base_url": mock_url + "/v1", "api_key": "sk-upstream-canary"},
            "mock-anthropic": {"dialect": "anthropic", "base_url": mock_url + "/v1", "api_key": "sk-ant-canary"},
        },
        "models": {
            "gpt-4o-mini": {"targets": [{"provider": "mock", "model": "gpt-4o-mini"}]},
            "gpt-4o": {"targets": [{"provider": "mock", "model": "gpt-4o"}]},
            "alias": {"targets": [{"provider": "mock", "model": "gpt-4o-mini"}]},
            "text-embedding-3-small": {"targets": [{"provider": "mock", "model": "text-embedding-3-small"}]},
            "omni-moderation-latest": {"targets": [{"provider": "mock", "model": "omni-moderation-latest"}]},
            "gpt-3.5-turbo-instruct": {"targets": [{"provider": "mock", "model": "gpt-3.5-turbo-instruct"}]},
            "claude-3-7-sonnet-20250219": {
                "targets": [{"provider": "mock-anthropic", "model": "claude-3-7-sonnet-20250219"}]
            },
            "mock-*": {"targets": [{"provider": "mock", "model": "mock-*"}]},
            "local/*": {"targets": [{"provider": "mock"}]},
        },
        "teams": {
            "search": {"keys": [{"id": "search-dev", "hash": key_hash("sk-search")}], "tags": {"env": "test"}},
            "support": {
                "models": ["gpt-4o-mini", "local/*"],
                "keys": [{"id": "support-dev", "hash": key_hash("sk-support")}],
            },
        },
        "ledger": {"url": f"sqlite:///{data}/tollway.db", "journal": str(data / "journal")},
        "admin": {"keys": [{"id": "ops", "role": "admin", "hash": key_hash("sk-admin")}]},
    }
    return {**base, **changes}
