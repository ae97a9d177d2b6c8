"""Fuzz the injection classifier for a time: `python -m tests.fuzz.fuzz_injection --seconds 60 [--seed N]`.

Texts are grown from words, disguises, encodings and hostile pieces. Each must be judged without an error, twice alike,
with spans inside the text, scores from 0.01 to 1, and in time that grows with its length: less than `SLOWEST` seconds
of processor time a megabyte. Exit 1 on the first difference, with the input that shows it.
"""

# ruff: noqa: E501 (pieces are read line by line)
import base64
import random
import sys
import time

from guardrails.injection import InjectionClassifier, SafetyClassifier
from tests.fuzz.running import arguments, fuzz

SLOWEST = 8.0
PIECES = [
    "ignore ", "all previous ", "instructions ", "system: ", "you are now ", "the bridge was closed in march. ", "\n", "\n\n", "1gn0r3 ",
    "忽略", "指令", "Игнорируй ", "аll ", "\ud800", "\udfff", "\U000e0049\U000e0067", "\u202e", "\u200b", "𝐈𝐠", "İ", "ﷺ", "e\u0301\u0302\u0303",
    "![a](https://", "<img src=", "<!--", "[//]: # (", "<|im_start|>", '{"role": "system"', 'a = "x"; b = "y" ', "%69%67", "\\u0069", "&#105;",
    "01101001 ", "105 ", "69 ", ".. --. ", "i g n o r e ", "a" * 50, "QUJD" * 10, "A.b.c.d.e.f.g.h ", "\0", "\u2028", " " * 40, "#" * 30,
]  # fmt: skip
ROLES = ["system", "user", "assistant", "tool", "input", "output"]


def grow(chance: random.Random) -> str:
    if chance.random() < 0.02:
        return chance.choice(PIECES) * chance.randrange(1, 20_000)
    text = "".join(chance.choices(PIECES, k=chance.randrange(60)))
    if chance.random() < 0.2:
        text = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return text[::-1] if chance.random() < 0.1 else text


def difference(classifiers: list[InjectionClassifier | SafetyClassifier], text: str, role: str) -> str:
    """What is wrong with the judgement of one text; empty when nothing is."""
    for classifier in classifiers:
        started = time.process_time()
        matches = classifier.judge(text, role)
        seconds = time.process_time() - started
        if seconds > 0.05 + SLOWEST * len(text) / 1e6:
            return f"{classifier.name}: {seconds:.2f} s for {len(text)} characters"
        if any(not (0 <= m.start <= m.end <= len(text) and 0.01 <= m.score <= 1) for m in matches):
            return f"{classifier.name}: a span or score is out of bounds"
        if len(text) < 5000 and matches != classifier.judge(text, role):
            return f"{classifier.name}: judged otherwise the second time"
    return ""


def main() -> int:
    classifiers: list[InjectionClassifier | SafetyClassifier] = [InjectionClassifier(), SafetyClassifier()]

    def one(chance: random.Random, count: int) -> str:
        text, role = grow(chance), chance.choice(ROLES)
        wrong = difference(classifiers, text, role)
        return wrong and f"{wrong}\nrole {role}, {text[:500]!r}"

    return fuzz(arguments(__doc__).parse_args(), one)


if __name__ == "__main__":
    sys.exit(main())
