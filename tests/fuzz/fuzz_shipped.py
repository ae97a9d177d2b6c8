"""Fuzz what is shipped, together: `python -m tests.fuzz.fuzz_shipped --seconds 60 [--seed N]`.

Personal data and secrets in prose, whole and broken, under policies as they are written, with the real detectors behind
each gate that is installed. Fed in any cutting, as an answer's text and as the arguments of a tool call, out must come
what the whole text gives, with the same findings. And a body in which a glance sees nothing must be one in whose texts
nothing is found. Exit 1 on the first difference, with the seed that shows it.
"""

import json
import random
import sys
from typing import Any

from gateway.dialects.quick import answer_segments, prompt_segments
from guardrails import catalogue
from guardrails.engine import PolicyEngine
from guardrails.interface import ALLOWED, Segment, Verdict
from guardrails.matching.gate import Backend, open_gate
from guardrails.matching.syntax import parse
from guardrails.pii import described
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from guardrails.secrets.rules import assigned, tokens
from guardrails.words.language import UserPattern
from guardrails.words.patterns import PatternDetector
from tests.fuzz.running import arguments, fuzz
from tests.guardrails.pii.texts import PIECES
from tests.support.regex_samples import sample

RIG = frozenset(("EMAIL_ADDRESS", "CREDIT_CARD", "US_SSN", "IBAN_CODE", "PHONE_NUMBER"))
PATTERNS = [r"\bEMP-\d{2,4}\b", r"id: ?(?P<mask>\w{2,5})\b", "order of (?:the )?[a-z]{3,9}", r"\Bb\d{3}\B"]
WORDS = (
    "the", "of", "and", "token", "is", "key", "was", "password", "secret", "pin", "access", "an", "api", "in", "to",
    "it", "you", "that", "he", "for", "on", "are", "with", "as", "they", "ask", "answer", "because", "between",
    "without", "passphrase", "login", "authority", "credit", "keyboard", "EMP", "b", "order", "id", "phone", "card",
)  # fmt: skip
MARKS = (
    " ", " ", " ", ", ", ". ", "\n", "\n\n", "; ", "! ", "? ", "'", ": ", " - ", " (", ") ", "/", '"', "=", "\\", "",
)  # fmt: skip


def engine(entities: frozenset[str] | None, backend: Backend | None, patterns: bool = False) -> PolicyEngine:
    detectors: list[Any] = [catalogue.detector("pii", entities=entities), catalogue.detector("secrets")]
    rules = [Rule(id="pii", detector="pii", action="mask"), Rule(id="secrets", detector="secrets", action="redact")]
    if patterns:
        words = PatternDetector([UserPattern(f"p{n}", "P", pattern) for n, pattern in enumerate(PATTERNS)])
        detectors.append(words)
        rules.append(Rule(id="words", detector=words.name, action="mask"))
    scanner = Scanner(detectors, gate=lambda expressions: open_gate(expressions, backend))
    return PolicyEngine([Policy("p", tuple(rules))], scanner, key=b"k" * 16)


def secrets(chance: random.Random) -> list[str]:
    found = [sample(parse(rule.pattern), chance, chance.random() < 0.5) for rule in tokens()]
    for rule in assigned():
        name = sample(parse(rule.names), chance)
        found += [
            f"{name.upper()}={sample(parse(rule.value), chance)}",
            f"{name}: '{sample(parse(rule.value), chance)}'",
        ]
    block = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA75Eplgo3fq\n" * 8 + "-----END RSA PRIVATE KEY-----"
    wide = "password" + " " * 8 + "= hunter2Z!"
    spoken = ["password is hunter2Z!", "https://u:s3cr3tPw@host/", "--token ", "api_key = 'x9Kd82mQpL0aZ77vTr4'"]
    return [*found, block, wide, *spoken]


def prose(chance: random.Random, stock: list[str]) -> str:
    """Words, and now and then something to find, or what looks like its beginning."""
    parts: list[str] = []
    for _ in range(chance.randint(1, chance.choice((8, 60)))):
        piece = chance.choice(WORDS)
        luck = chance.random()
        if luck < 0.12:
            piece = chance.choice(stock)
            if chance.random() < 0.4:
                piece = piece[: chance.randint(0, len(piece))]
        elif luck < 0.15:
            piece = str(chance.randrange(10 ** chance.randint(1, 12)))
        parts += [piece, chance.choice(MARKS) if chance.random() < 0.5 else " "]
    return "".join(parts)


def cut(chance: random.Random, text: str) -> list[str]:
    pieces: list[str] = []
    most = chance.choice((1, 4, 9, 60))
    while text:
        size = chance.randint(1, most)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def findings(verdict: Verdict) -> set[tuple[str, int, int, str]]:
    return {(found.type, found.start, found.end, found.rule) for found in verdict.findings}


def compare_stream(judge: PolicyEngine, text: str, pieces: list[str], document: bool = False) -> None:
    path = "x.arguments" if document else "x"
    whole = judge.inspect([Segment(path, "assistant", text)], "response")
    stream = judge.stream()
    assert stream is not None
    out = "".join([stream.feed("c", piece, json=document) for piece in pieces]) + stream.flush("c")
    assert out == (whole.rewrites[0].text if whole.rewrites else text), (text, pieces)
    assert findings(stream.verdict) == findings(whole), (text, pieces)


def body(chance: random.Random, stock: list[str]) -> dict[str, Any]:
    """A request or an answer, with texts wherever they may stand."""

    def some() -> str:
        return prose(chance, stock)[: chance.choice((20, 400))]

    def free(depth: int) -> Any:
        kind = chance.randrange(5 if depth else 3)
        if kind == 3:
            return [free(depth - 1) for _ in range(chance.randrange(3))]
        if kind == 4:
            return {some()[:30]: free(depth - 1) for _ in range(chance.randrange(4))}
        return some() if kind else chance.choice((0, 1.5, True, None, chance.randrange(10**12), 4111111111111111))

    message: dict[str, Any] = {"role": chance.choice(("user", "assistant", "system")), "content": some()}
    if chance.random() < 0.3:
        message["content"] = [{"type": "text", "text": some()}, free(1)]
    if chance.random() < 0.3:
        arguments = json.dumps(free(2)) if chance.random() < 0.7 else some()
        message["tool_calls"] = [{"id": "c", "function": {"name": "f", "arguments": arguments}}]
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    made: dict[str, Any] = {"model": "m", "created": 1717171717, "max_tokens": 256, "messages": [message]}
    made |= {"choices": [choice], "usage": {"prompt_tokens": 12}}
    if chance.random() < 0.5:
        made[chance.choice(("metadata", "tools", "odd name"))] = free(3)
    return made


def compare_glance(judge: PolicyEngine, chance: random.Random, made: dict[str, Any]) -> bool:
    separators = chance.choice(((",", ":"), (", ", ": ")))
    raw = json.dumps(made, ensure_ascii=chance.random() < 0.2, separators=separators).encode("utf-8", "replace")
    clear = judge.clear(raw, "request")
    if clear:
        assert judge.inspect(prompt_segments(raw), "request") is ALLOWED, raw
    if judge.clear(raw, "response", within=b'"choices"'):
        assert judge.inspect(answer_segments(raw, "choices"), "response") is ALLOWED, raw
        return True
    return clear


def main() -> int:
    judges = [engine(RIG, "hyperscan"), engine(None, "hyperscan", patterns=True), engine(frozenset(described()), "re2")]
    cleared = 0
    stock: list[str] = []

    def one(chance: random.Random, count: int) -> str:
        nonlocal cleared
        if count % 200 == 0:
            stock[:] = [*PIECES, *secrets(chance)]
        judge = judges[min(chance.randrange(6), 2)] if count % 4 else judges[0]
        few = [piece for piece in stock if chance.random() < 0.01] or ["4111"]
        try:
            text = prose(chance, stock)
            compare_stream(judge, text, cut(chance, text))
            document = json.dumps({"text": text, "n": 4111111111111111})
            compare_stream(judge, document, cut(chance, document), document=True)
            cleared += compare_glance(judge, chance, body(chance, few if count % 2 else ["word"]))
        except AssertionError as difference:
            return str(difference)
        return ""

    return fuzz(arguments(__doc__).parse_args(), one, more=lambda: f", {cleared} bodies clear at a glance")


if __name__ == "__main__":
    sys.exit(main())
