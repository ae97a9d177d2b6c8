"""What the gate and the detectors behind it cost: `.venv/bin/python tools/bench_gate.py [--json]`.

Prints medians of several runs, in CPU time of this process, so that neighbours count little: gate and detector of
secrets on clean and dense texts, compile and load time, 10,000 patterns, 10,000 and 300,000 terms (compile time,
memory, throughput), and how many formats are known.
"""

import argparse
import json
import random
import statistics
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guardrails.detector import Detector, Expression, Hit
from guardrails.matching.gate import Gate, fingerprint, open_gate
from guardrails.secrets.detector import SecretDetector, rule_ids, services
from guardrails.words.language import UserPattern
from guardrails.words.patterns import PatternDetector
from guardrails.words.terms import TermDetector, TermList

SIZES = (60, 1_000, 2_000, 20_000)
SYLLABLES = (
    "ba",
    "ko",
    "mi",
    "ter",
    "lan",
    "son",
    "ed",
    "ri",
    "gu",
    "el",
    "na",
    "vo",
    "sch",
    "ti",
    "or",
    "ex",
    "um",
    "pa",
)
PROSE = (
    "The key question of the meeting was how the new token economy would change what people pay for, and who decides. "
    "Nobody at the table had read the whole report; the secret of its success, she said, was its table of contents. "
)


def microseconds(work: Callable[[], object], runs: int = 7) -> float:
    """Median time of one call, in µs."""
    started = time.process_time()
    work()
    once = max(time.process_time() - started, 1e-7)
    number = max(1, min(20_000, int(0.05 / once)))
    times: list[float] = []
    for _ in range(runs):
        started = time.process_time()
        for _ in range(number):
            work()
        times.append((time.process_time() - started) / number * 1e6)
    return round(statistics.median(times), 2)


def seconds(work: Callable[[], object], runs: int = 3) -> float:
    times: list[float] = []
    for _ in range(runs):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return round(statistics.median(times), 3)


def resident() -> float:
    """Memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def texts(size: int, chance: random.Random) -> dict[str, str]:
    secret = "".join(chance.choices(string.ascii_letters + string.digits, k=36))
    dense = (
        f"Use ghp_{secret} with api_key={secret} and password: Hunter2!x at postgres:"
        + f"//app:s3cr3tpw@db/{secret[:5]} "
    )
    return {"clean": (PROSE * (size // len(PROSE) + 1))[:size], "dense": (dense * (size // len(dense) + 1))[:size]}


def inspect(detector: Detector, gate: Gate, text: str) -> object:
    return detector.confirm(text, [Hit(*hit) for hit in gate.scan(text.encode())])


def gate_of_secrets(chance: random.Random) -> dict[str, object]:
    detector = SecretDetector()
    gate = open_gate(detector.expressions)
    saved = gate.dump()
    results: dict[str, object] = {
        "services": len(services()),
        "rules": len(rule_ids()),
        "expressions": len(detector.expressions),
        "detector_made_s": seconds(SecretDetector),
        "compile_s": seconds(lambda: open_gate(detector.expressions)),
        "load_s": seconds(lambda: open_gate(detector.expressions, compiled=saved)),
        "database_kb": len(saved) // 1000,
        "fingerprint_us": microseconds(lambda: fingerprint(detector.expressions)),
    }
    for size in SIZES:
        for kind, text in texts(size, chance).items():
            data = text.encode()
            results[f"{kind}_{size}"] = {
                "gate_us": microseconds(lambda data=data: gate.scan(data)),
                "gate_and_detector_us": microseconds(lambda text=text: inspect(detector, gate, text)),
                "settled_us": microseconds(lambda text=text: detector.settled(text)),
                "hits": len(gate.scan(data)),
            }
    for backend in ("re2", "re"):
        slower = open_gate(detector.expressions, prefer=backend)
        data = texts(2_000, chance)["clean"].encode()
        results[f"{backend}_clean_2000_us"] = microseconds(lambda slower=slower, data=data: slower.scan(data), runs=3)
    return results


def name(chance: random.Random) -> str:
    return "".join(chance.choices(SYLLABLES, k=chance.randint(2, 4)))


def patterns(count: int, chance: random.Random) -> dict[str, object]:
    """Patterns of an order number's kind, each with a name of its own."""
    written = [UserPattern(f"p{n}", "P", rf"\b{name(chance)}{n}-\d{{4,8}}\b") for n in range(count)]
    before = resident()
    started = time.process_time()
    detector = PatternDetector(written)
    made = time.process_time() - started
    gate = open_gate(detector.expressions)
    compiled = time.process_time() - started - made
    memory = resident() - before
    saved = gate.dump()
    text = texts(20_000, chance)["clean"]
    data = text.encode()
    dense = ("".join(f"{one.pattern[2:-9]}{n:06} of the day. " for n, one in enumerate(written[:900])))[:20_000]
    return {
        "patterns": count,
        "detector_s": round(made, 3),
        "compile_s": round(compiled, 3),
        "load_s": seconds(lambda: open_gate(detector.expressions, compiled=saved)),
        "memory_mb": round(memory),
        "clean_20000_us": (once := microseconds(lambda: gate.scan(data))),
        "mb_per_s": round(20_000 / once),
        "dense_20000_us": microseconds(lambda: inspect(detector, gate, dense)),
        "dense_found": len(detector.confirm(dense, [Hit(*hit) for hit in gate.scan(dense.encode())])),
    }


def terms(count: int, chance: random.Random) -> dict[str, object]:
    written = [f"{name(chance)} {name(chance)} {n}" for n in range(count)]
    before = resident()
    started = time.process_time()
    detector = TermDetector([TermList("customers", "CUSTOMER", written)])
    made = time.process_time() - started
    memory = resident() - before
    text = texts(20_000, chance)["clean"]
    return {
        "terms": count,
        "compile_s": round(made, 3),
        "memory_mb": round(memory),
        "clean_2000_us": microseconds(lambda: detector.confirm(text[:2_000], ())),
        "clean_20000_us": (once := microseconds(lambda: detector.confirm(text, ()))),
        "mb_per_s": round(20_000 / once),
        "settled_us": microseconds(lambda: detector.settled(text)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    chance = random.Random(7)  # noqa: S311
    as_json = parser.parse_args().json
    empty = open_gate((Expression("never seen"),))
    results: dict[str, object] = {
        "call_us": microseconds(lambda: empty.scan(b"")),
        "secrets": gate_of_secrets(chance),
        "patterns": patterns(10_000, chance),
        "terms": [terms(count, chance) for count in (10_000, 300_000)],
    }
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")
        return
    for part, values in results.items():
        sys.stdout.write(part + "\n")
        for row in values if isinstance(values, list) else [values]:
            for key, value in row.items() if isinstance(row, dict) else [("", row)]:
                sys.stdout.write(f"  {key:<24} {value}" + "\n")


if __name__ == "__main__":
    main()
