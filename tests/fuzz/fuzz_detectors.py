"""Fuzz the detectors' stream promises for a time: `python -m tests.fuzz.fuzz_detectors --seconds 60 [--seed N]`.

Texts are grown from secrets of every rule, users' patterns and terms, whole and cut, glued together. Each must keep
the seam's *Stability* at a random cut and *Locality* around every match (guardrails/detector.py). Exit 1 on the first
difference, with the input that shows it.
"""

import random
import sys

from guardrails import catalogue
from guardrails.detector import Detector
from guardrails.matching.gate import Gate, open_gate
from guardrails.matching.syntax import parse
from guardrails.reader import Reader
from guardrails.scanner import Scanner
from guardrails.secrets.detector import SecretDetector
from guardrails.secrets.rules import assigned, tokens
from guardrails.words.language import UserPattern, read
from guardrails.words.patterns import PatternDetector
from guardrails.words.terms import TermDetector, TermList
from tests.fuzz.running import arguments, fuzz
from tests.support.regex_samples import sample
from tests.support.seam import check_locality, check_stability

PATTERNS = [r"\bEMP-\d{2,4}\b", r"id: ?(?P<mask>\w{2,5})\b", "(a+)+b", "x.{1,4}?y|xyz", r"\Bb\d{3}\B", "(?:ab|a){2,5}"]
TERMS = ["Acme", "Acme Corp", "Müller", "ΟΔΟΣ", "ab", "abc d", "hand grenade", "hand", "grenade"]
GLUE = [
    " ",
    "\n",
    "  ",
    "\r\n\t",
    "         ",
    "",
    ".",
    "=",
    '"',
    "é",
    "_",
    "-",
    "x",
    ": ",
    "api_key = ",
    "password: ",
    "Bearer ",
    "://",
    "@",
    "\ud800",
    "word ",
    "\u200b",
    "\u00ad",
    "\u00a0",
    "\uff11",
]


def pieces(chance: random.Random) -> list[str]:
    users = [sample(read(UserPattern("p", "P", pattern)).tree, chance, shortest=False) for pattern in PATTERNS]
    keys = [sample(parse(rule.pattern), chance) for rule in tokens()]
    names = [sample(parse(rule.names.split("|")[-1]), chance) for rule in assigned()]
    values = [sample(parse(rule.value), chance) for rule in assigned()]
    body = "\n".join(sample(parse("[A-Za-z0-9+/]{64}"), chance) for _ in range(3))
    block = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"
    return [*users, *TERMS, *keys, *(f"{n}_key={v}" for n, v in zip(names, values, strict=True)), block, "id: ", "EMP-"]


def text(chance: random.Random, stock: list[str]) -> str:
    parts: list[str] = []
    for _ in range(chance.randint(1, 6)):
        piece = chance.choice(stock)
        parts += [piece[: chance.randint(0, len(piece))] if chance.random() < 0.4 else piece, chance.choice(GLUE)]
    return "".join(parts)


def main() -> int:
    terms = TermDetector([TermList("t", "T", TERMS), TermList("c", "C", TERMS, caseless=False, whole_words=False)])
    detectors: list[Detector] = [
        SecretDetector(),
        catalogue.detector("secrets"),
        Reader(terms, terms),
        PatternDetector([UserPattern(f"p{n}", "P", pattern) for n, pattern in enumerate(PATTERNS)]),
        terms,
    ]
    gates: list[Gate] = [Scanner([each], gate=open_gate).gate or open_gate(each.expressions) for each in detectors]
    stock: list[str] = []

    def one(chance: random.Random, count: int) -> str:
        if not count:
            stock.extend(pieces(chance))
        grown = text(chance, stock)
        for detector, gate in zip(detectors, gates, strict=True):
            try:
                check_stability(detector, gate, grown, chance.randint(0, len(grown)))
                check_locality(detector, gate, grown, margin=1)
            except AssertionError as difference:
                return f"{detector.name}: {grown!r}\n{difference}"
        return ""

    return fuzz(arguments(__doc__).parse_args(), one)


if __name__ == "__main__":
    sys.exit(main())
