"""What hostile input costs the guardrails, in time and memory, and others in patience:
`.venv/bin/python tools/show_hostile.py [--scale 0.1] [--served]`.

Personal data, secrets, a pattern and 10,000 terms of one's own, as one policy that masks, on texts made to hurt: 20 MB,
100,000 matches, lone surrogates, deep nesting, bait for backtracking, and what a stream would have to hold for ever.
Each runs in a process of its own, at half its size and at its size: doubled input may cost twice the time, and memory a
bounded multiple. `held` is the most that a stream kept back, in characters. Exit 1 if something is not bounded.

`--served` sends each case to a real gateway instead, as a request, as the answer to one, or as a stream with events of
4,000 characters and of 250,000, while another client goes on with small requests of its own: `s` is the hostile
request's time, `pause` the longest that client waited for an answer, and `idle` the same beside a small request.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gateway.dialects.quick import prompt_segments
from gateway.errors import BadRequest
from guardrails import catalogue
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.matching.gate import open_gate
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from guardrails.words.language import UserPattern
from guardrails.words.patterns import PatternDetector
from guardrails.words.terms import TermDetector, TermList
from tools.hostile_gateway import events, served
from tools.hostile_gateway import whole as whole_answer

MOST_GROWTH = 3.0
"""Time of a doubled input over time of the input; linear is 2."""
MOST_MEMORY = 12.0
"""Bytes for each byte of input, above what the process has before, beside `FIXED_MB`. Each match takes some 200."""
MATCH_BYTES = 1_000
FIXED_MB = 48
MOST_HELD = 20_000
"""Characters. An open private key block is kept back up to 16,000."""
MEGABYTE = 1_000_000
CHUNK = 4_000
KEY_HEAD = "-----BEGIN RSA " + "PRIVATE KEY-----\n"
KEY_LINE = "MIIEpAIBAAKCAQEA" * 4 + "\n"

Outcome = tuple[int, int, str]
"""Characters held, matches, and what came of it."""


def engine() -> PolicyEngine:
    written = {"bait": r"\b(?:a+b?)+c\b", "order": r"\bEMP-\d{2,9}"}
    words = PatternDetector([UserPattern(name, name.upper(), pattern) for name, pattern in written.items()])
    terms = TermDetector([TermList("names", "NAME", [f"name{n} of{n}" for n in range(10_000)])])
    detectors = [catalogue.detector("pii"), catalogue.detector("secrets"), words, terms]
    rules = tuple(Rule(id=one.name, detector=one.name, action="mask", max_scan=100 * MEGABYTE) for one in detectors)
    return PolicyEngine([Policy("hostile", rules)], Scanner(detectors, gate=open_gate), key=b"k" * 16)


def found(judge: PolicyEngine, segments: list[Segment]) -> Outcome:
    verdict = judge.inspect(segments, "request", "chat")
    count = len(verdict.findings) + verdict.dropped
    return 0, count, f"{verdict.enforced}, {count} found" + (", failed" if verdict.failures else "")


def whole(text: str, judge: PolicyEngine) -> Outcome:
    return found(judge, [Segment("messages[0].content", "user", text)])


def body(text: str, judge: PolicyEngine) -> Outcome:
    """The text is a request's body as it came in."""
    try:
        return found(judge, prompt_segments(text.encode("utf-8", "surrogatepass")))
    except BadRequest as error:
        return 0, 0, f"refused: {error.message[:40]}"


def streamed(text: str, judge: PolicyEngine, as_json: bool = False) -> Outcome:
    stream = judge.stream("chat")
    assert stream is not None
    most = 0
    for at in range(0, len(text), CHUNK):
        stream.feed("choices[0]", text[at : at + CHUNK], json=as_json)
        most = max(most, stream.held())
    stream.flush("choices[0]")
    count = len(stream.verdict.findings) + stream.verdict.dropped
    return most, count, f"{stream.verdict.enforced}, {count} found" + (", failed" if stream.verdict.failures else "")


def repeated(unit: str) -> Callable[[int], str]:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def nested(size: int) -> str:
    return '{"messages": ' + "[" * (size // 2) + "]" * (size // 2) + "}"


def messages(size: int) -> str:
    return '{"messages": [' + ",".join(['{"role":"user","content":"a"}'] * (size // 30)) + "]}"


def image(size: int) -> str:
    """A photograph and a question, as vision clients send it."""
    address = "data:image/png;base64," + "iVBORw0KGgoAAAAN" * (size // 16)
    parts = [{"type": "text", "text": "What is it? a@b.org"}, {"type": "image_url", "image_url": {"url": address}}]
    return json.dumps({"messages": [{"role": "user", "content": parts}]})


def numbers(size: int) -> str:
    return '{"messages": [], "tools": [{"a": [' + "1," * (size // 2) + "1]}]}"


def escaped(size: int) -> str:
    return '{"messages": [{"role": "user", "content": "' + "x \\ud800 a@b.org " * (size // 17) + '"}]}'


CASES: dict[str, tuple[int, Callable[[int], str], Callable[[str, PolicyEngine], Outcome]]] = {
    "20 MB of prose": (20 * MEGABYTE, repeated("The committee met in the old library and talked. "), whole),
    "20 MB of digits": (20 * MEGABYTE, repeated("7"), whole),
    "20 MB beyond ASCII": (20 * MEGABYTE // 2, repeated("пример 中文 ١٢ "), whole),
    "100,000 addresses": (800_000, repeated("a@b.org "), whole),
    "100,000 telephone numbers": (1_300_000, repeated("212-555-0147 "), whole),
    "100,000 secrets": (2_900_000, repeated("password: Hunter2!x9Kd82mQpL\n"), whole),
    "100,000 terms": (1_300_000, repeated("name77 of77, "), whole),
    "lone surrogates": (2 * MEGABYTE, repeated("x\ud800 a@b.org "), whole),
    "lone surrogates in a body": (2 * MEGABYTE, escaped, body),
    "a body with an image of 20 MB": (20 * MEGABYTE, image, body),
    "a body nested 500,000 deep": (MEGABYTE, nested, body),
    "a body of 600,000 messages": (18 * MEGABYTE, messages, body),
    "a body of 390,000 numbers": (780_000, numbers, body),
    "a body of 10,000,000 numbers": (20 * MEGABYTE, numbers, body),
    "bait: a a a": (2 * MEGABYTE, repeated("a"), whole),
    "bait: digits and dashes": (2 * MEGABYTE, repeated("1-2 3.4("), whole),
    "bait: dots": (2 * MEGABYTE, repeated("a."), whole),
    "bait: at signs": (2 * MEGABYTE, repeated("a@"), whole),
    "bait: colons": (2 * MEGABYTE, repeated("ff:"), whole),
    "bait: IBAN beginnings": (2 * MEGABYTE, repeated("GB82 WEST 1234 "), whole),
    "stream: digits for ever": (2 * MEGABYTE, repeated("1 "), streamed),
    "stream: an address for ever": (2 * MEGABYTE, repeated("a@a."), streamed),
    "stream: a path for ever": (2 * MEGABYTE, lambda size: "https://a.com/" + "x/" * (size // 2), streamed),
    "stream: an open key block": (
        2 * MEGABYTE, lambda size: KEY_HEAD + KEY_LINE * (size // 65), streamed
    ),
    "stream: an open JSON string": (
        2 * MEGABYTE, lambda size: '{"a": "' + "\\u0031" * (size // 6), partial(streamed, as_json=True)
    ),
    "stream: JSON nested": (2 * MEGABYTE, repeated("["), partial(streamed, as_json=True)),
}  # fmt: skip


BOUNDED = 0.05
"""Seconds another client may wait: some turns of the loop, on a machine that has more to do."""
RULES: list[dict[str, Any]] = [
    {"detect": "pii", "action": "mask", "mode": "enforce", "max_scan": 100 * MEGABYTE, "max_total": 100 * MEGABYTE},
    {"detect": "secrets", "action": "mask", "mode": "enforce", "max_scan": 100 * MEGABYTE, "max_total": 100 * MEGABYTE},
]


def asking(text: str, stream: bool = False) -> bytes:
    request = {"model": "hostile", "messages": [{"role": "user", "content": text}], "stream": stream}
    return json.dumps(request, ensure_ascii=not text.isascii() and not sound(text)).encode()


def sound(text: str) -> bool:
    """Whether a text can be UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text[:100])


def shapes(name: str, scale: float) -> Iterator[tuple[str, bytes]]:
    """The ways a case comes to a gateway, each with the provider's answer (empty: a small one)."""
    size, write, run = CASES[name]
    text = write(int(size * scale))
    if run is body:
        yield "request", text.encode().replace(b'{"messages"', b'{"model": "hostile", "messages"', 1)
        return
    if run is whole:
        yield "request", asking(text)
        yield "answer", whole_answer(text)
        return
    for events_of in (CHUNK, 250_000):
        yield f"stream {events_of}", events(text, events_of, isinstance(run, partial))


def show_served(names: Iterable[str], scale: float) -> int:
    worst = 0
    print(f"{'input':30}{'as':>15}{'MB':>6}{'s':>8}{'idle ms':>9}{'pause ms':>10}  status")  # noqa: T201
    with served(RULES) as gateway:
        for name in names:
            for way, data in shapes(name, scale):
                gateway.provider.answer, gateway.provider.kind = whole_answer("Fine."), "application/json"
                idle = max(gateway.longest_pause(asking("Hello"))[1] for _ in range(20))
                if way != "request":
                    gateway.provider.answer = data
                if way.startswith("stream"):
                    gateway.provider.kind = "text/event-stream"
                sent = data if way == "request" else asking("Hello", way.startswith("stream"))
                seconds, pause, status = gateway.longest_pause(sent)
                wrong = "" if pause <= BOUNDED else " PAUSE"
                worst = worst or len(wrong)
                print(  # noqa: T201
                    f"{name:30}{way:>15}{len(data) / MEGABYTE:6.1f}{seconds:8.2f}{idle * 1000:9.1f}{pause * 1000:10.1f}"
                    f"  {status}{wrong}",
                    flush=True,
                )
    return 1 if worst else 0


def measured(name: str, scale: float, answer: Connection) -> None:
    """In a child: the time of half the text and of the text, and the memory of the text."""
    size, write, run = CASES[name]
    judge = engine()
    run("warm a@b.org password: Hunter2!x9Kd82mQpL", judge)
    times: list[float] = []
    for part in (2, 1):
        text = write(int(size * scale) // part)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.process_time()
        held, count, words = run(text, judge)
        times.append(time.process_time() - begun)
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        bytes_ = len(text.encode("utf-8", "surrogatepass"))
    answer.send((*times, memory, bytes_, held, count, words))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of each size")
    parser.add_argument("--case", help="one of them")
    parser.add_argument("--served", action="store_true", help="how long another client of a gateway waits")
    options = parser.parse_args()
    if options.served:
        return show_served([options.case] if options.case else CASES, options.scale)
    worst = 0
    print(f"{'input':30}{'MB':>6}{'half s':>8}{'s':>8}{'grows':>7}{'MB mem':>8}{'held':>7}  outcome")  # noqa: T201
    for name in [options.case] if options.case else CASES:
        mine, theirs = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("spawn").Process(target=measured, args=(name, options.scale, theirs))
        child.start()
        theirs.close()
        try:
            half, full, memory, size, held, count, words = mine.recv()
        except EOFError:
            half, full, memory, size, held, count, words = 0.0, 0.0, 0.0, 0, 0, 0, "the process died"
        child.join()
        grows = full / max(half, 0.001)
        allowed = FIXED_MB + (MOST_MEMORY * size + MATCH_BYTES * count) / MEGABYTE
        wrong = [
            what
            for what, broken in (
                ("TIME", full > 0.2 and grows > MOST_GROWTH),
                ("MEMORY", memory > allowed),
                ("HELD", held > MOST_HELD + CHUNK),
                ("DIED", not size),
            )
            if broken
        ]
        worst = max(worst, len(wrong))
        print(  # noqa: T201
            f"{name:30}{size / MEGABYTE:6.1f}{half:8.2f}{full:8.2f}{grows:7.1f}{memory:8.0f}{held:7}  {words} "
            + " ".join(wrong),
            flush=True,
        )
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
