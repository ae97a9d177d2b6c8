"""How long the console's first views take over a large ledger: `.venv/bin/python tools/bench_console.py LEDGER_URL`.

LEDGER_URL: of a ledger that tools/seed_ledger.py has filled; `own:DIRECTORY` as there. Starts a gateway process on it,
logs in, and loads each page several times with nothing cached between the requests; prints the first and the median
time in milliseconds, whole answers as a client sees them, as JSON.
"""

import argparse
import hashlib
import http.cookiejar
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.seed_ledger import opened

PAGES = {
    "cost, this month": "/console/cost",
    "cost, last 90 days by model": "/console/cost?range=90d&by=model",
    "exchanges, newest": "/console/cost/exchanges",
    "exchanges of a team that failed": "/console/cost/exchanges?team=labs&outcome=failed",
    "exchanges of a key, cut": "/console/cost/exchanges?key=hr-1&outcome=cut&range=90d",
    "exchanges of three names": "/console/cost/exchanges?team=labs&model=claude-opus-4-1&outcome=blocked&range=90d",
    "incidents": "/console/incidents",
    "configuration": "/console/configuration",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--repeat", type=int, default=9)
    given = parser.parse_args()
    with opened(given.url) as url, tempfile.TemporaryDirectory(prefix="tollway-bench-") as name:
        directory = Path(name)
        config = directory / "gateway.yaml"
        config.write_text(json.dumps(_configuration(url, directory)))
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(config), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if "http://" not in line:
                raise SystemExit(f"the gateway did not start: {line}")
            base = "http://" + line.split("http://")[1].split()[0]
            _await(base)
            sys.stdout.write(json.dumps(measured(base, given.repeat), indent=2) + "\n")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _await(base: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(base + "/readyz").close()  # noqa: S310 - our own
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def measured(base: str, repeat: int) -> dict[str, dict[str, float]]:
    """Milliseconds by page."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    opener.open(base + "/console/login", urllib.parse.urlencode({"key": "bench"}).encode()).read()
    found: dict[str, dict[str, float]] = {}
    for title, path in PAGES.items():
        times: list[float] = []
        for _ in range(repeat):
            began = time.perf_counter()
            opener.open(base + path).read()
            times.append((time.perf_counter() - began) * 1000)
        found[title] = {"first": round(times[0], 1), "median": round(statistics.median(times), 1)}
    return found


def _configuration(url: str, directory: Path) -> dict[str, object]:
    key = "sha256:" + hashlib.sha256(b"bench").hexdigest()
    return {
        "version": 1,
        "server": {"host": "127.0.0.1", "port": 0, "runtime_dir": str(directory / "run")},
        "providers": {"openai": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "models": {"gpt-4o": {"targets": [{"provider": "openai"}]}},
        "ledger": {"url": url, "journal": str(directory / "journal"), "retention": "3650d"},
        "admin": {"keys": [{"id": "bench", "role": "admin", "hash": key}]},
    }


if __name__ == "__main__":
    main()
