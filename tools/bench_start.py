"""How long a start takes, and a reload: `python tools/bench_start.py [--runs 5] [--terms 300000] [--patterns 10000]`.

Start: from the process to a ready gateway, without guardrails, with them and nothing compiled yet (cold), and with the
gate on disk (warm). Reload: one that changes nothing about guardrails, one that changes a rule's mode, one that changes
a pattern. Medians in milliseconds, one JSON line.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.clock import SystemClock  # noqa: E402
from gateway.settings.reload import Configuration  # noqa: E402

BASE = """\
providers: {openai: {dialect: openai, base_url: "https://h/v1"}}
models: {gpt-4o: {targets: [{provider: openai}]}}
ledger: off
secrets: {key_hash: bench-secret-0123456789}
"""
RULES = """\
guardrails:
  standard:
    - {detect: pii, action: mask, mode: enforce}
    - {detect: secrets, action: block, mode: enforce}
    - {detect: prompt_injection, on: [request], action: block, mode: shadow}
    - {detect: moderation}
    - {detect: patterns, patterns: [{name: id, regex: 'C-[0-9]{6}'}], action: mask}
"""


def started(path: Path) -> float:
    """Seconds to readiness."""
    since = time.perf_counter()
    command = [sys.executable, "-m", "gateway.cli.main", "serve", "-c", path, "--port", "0", "--host", "127.0.0.1"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split("http://")[1].split()[0]
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/readyz"):
                break
        except OSError:
            continue
    took = time.perf_counter() - since
    process.terminate()
    process.wait()
    return took


def timed(runs: int, run: Callable[[], object], before: Callable[[], object] = bool) -> float:
    """Median milliseconds of `run`, or of what it returns in seconds."""
    found: list[float] = []
    for _ in range(runs):
        before()
        since = time.perf_counter()
        result = run()
        found.append(result if isinstance(result, float) else time.perf_counter() - since)
    return round(median(found) * 1000, 1)


def reloads(directory: Path, rules: str, runs: int) -> dict[str, float]:
    """Milliseconds of reloads of one configuration. The first number is that of the first load."""
    path = directory / "reload.yaml"
    base = BASE + f"prices: off\nserver: {{runtime_dir: {directory}/reload}}\nteams: {{t: {{guardrails: standard}}}}\n"
    path.write_text(base + rules)
    since = time.perf_counter()
    configuration = Configuration(path, clock=SystemClock())
    found = {"load": round((time.perf_counter() - since) * 1000, 1)}
    turns = iter(range(1_000_000))

    def reload(change: Callable[[int], str]) -> Callable[[], None]:
        def run() -> None:
            path.write_text(change(next(turns)))
            result = configuration.reload("bench")
            if not result.ok:
                raise SystemExit(result.error)

        return run

    found["unrelated"] = timed(runs, reload(lambda at: base.replace("gpt-4o", f"m{at}") + rules))
    found["mode"] = timed(runs, reload(lambda at: base + rules.replace("shadow", ("warn", "shadow")[at % 2])))
    found["pattern"] = timed(runs, reload(lambda at: base + rules.replace("C-[0-9]{6}", f"D{at}-[0-9]{{6}}")))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--terms", type=int, default=300_000)
    parser.add_argument("--patterns", type=int, default=10_000)
    options = parser.parse_args()
    chance = random.Random(7)  # noqa: S311 - the same words each time
    letters = "abcdefghijklmnopqrstuvwxyz"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bare, guarded = directory / "bare.yaml", directory / "guarded.yaml"
        server = f"server: {{runtime_dir: {directory}/run}}\n"
        bare.write_text(BASE + server + "teams: {t: {}}\n")
        guarded.write_text(BASE + server + "teams: {t: {guardrails: standard}}\n" + RULES)
        start = {
            "without": timed(options.runs, lambda: started(bare)),
            "cold": timed(options.runs, lambda: started(guarded), lambda: shutil.rmtree(directory / "run/gates", True)),
            "warm": timed(options.runs, lambda: started(guarded)),
        }
        few = reloads(directory, RULES, options.runs)
        words = {"".join(chance.choices(letters, k=chance.randint(5, 14))) for _ in range(options.terms)}
        (directory / "terms.txt").write_text("\n".join(sorted(words)))
        terms = reloads(directory, RULES + "    - {detect: terms, file: terms.txt}\n", 3)
        heads = chance.choices(letters, k=options.patterns)
        shapes = [f"{{name: n{at}, regex: '{head}{at}-[0-9]{{4}}'}}" for at, head in enumerate(heads)]
        many = reloads(directory, RULES + f"    - {{detect: patterns, patterns: [{', '.join(shapes)}]}}\n", 3)
    print(json.dumps({"start_ms": start, "reload_ms": few, "with_terms_ms": terms, "with_patterns_ms": many}))  # noqa: T201


if __name__ == "__main__":
    main()
