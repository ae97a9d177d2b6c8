"""Real Prometheus: `promtool` on rules, and a server of a test's own on a free port."""

import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.support.redis_servers import free_port
from tests.support.served import wait_for


def program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed (Debian: prometheus)"
    return found


def promtool(*arguments: str | Path, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run it with `said` as its input, and give what it answered, whatever its exit code."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=120, check=False)


class Prometheus:
    """A server with an HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str) -> dict:
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=60) as response:
            return json.load(response)

    def query(self, expr: str) -> list[dict]:
        """The series of an expression now. Fails with Prometheus' words when it is not valid."""
        try:
            return self.get("/api/v1/query", query=expr)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expr}: {error.read().decode()}") from None

    def ready(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/-/ready", timeout=2) as response:
            return response.status == 200
        return False


@contextlib.contextmanager
def scraping(target: str, rules: list[Path], directory: Path) -> Iterator[Prometheus]:
    """A server that scrapes `target` (host:port) and evaluates `rules` once a second."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(path) for path in rules],
                "scrape_configs": [{"job_name": "tollway", "static_configs": [{"targets": [target]}]}],
            }
        )
    )
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")

        def up() -> bool:
            assert process.poll() is None, (directory / "log").read_text()[-2000:]
            return server.ready()

        wait_for(up, "prometheus to be ready")
        yield server
    finally:
        process.kill()
        process.wait(60)
