"""Fuzz the stream machine: `python -m tests.fuzz.fuzz_guardrails --seconds 60 [--seed N]`.

Texts and JSON documents are grown from pieces that detectors match, almost match or wait for, judged whole, and fed in
any cutting under policies of any actions. What comes out must be what the whole text gives and what a plain model of
the rules gives, nothing may be held that is not bounded, and JSON must stay JSON. Exit 1 on the first difference.
"""

import json
import random
import sys

import msgspec

from guardrails.engine import PolicyEngine
from guardrails.interface import Finding, Segment
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from guardrails.vault import Vault
from tests.fuzz.running import arguments, fuzz
from tests.support.detectors import Accuser, Card, Overlapping, ReGate, Words, fence, mail
from tests.support.oracle import KEY, rewritten, rewritten_json

PIECES = [
    "ann@site.example", "a@b.co", "a@b.co.uk", "a@b.co.uk.com", "ann@", "@", "ann@site", "a@b.toolongname", "a@b.c.",
    "4111 1111 1111 1111", "4111111111111111", "4111-1111-1111-1112", "4111", " 1111", "411111111111111111", "12",
    "Kestrel", "kestrel house", "kestrel hous", "Kestrels", "kes", "x5", "x9", "y3", "y0", "x", "y",
    "x3y5x9abcdefghijk",
    " ", "\n", ".", ",", ":", '"', "\\", "é", "😀", "é@b.co", "\ud83d", "\ude00", "\u2028", "word ", "evil ", "e" * 40,
    "{", "}", "[", "]", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "null", "true", "-1.5e3", "\x00", "x1" * 30, "y9" * 30,
    "<<", "<<", ">>", "<", "e" * 90, "e" * 300,
]  # fmt: skip
DETECTORS = [
    mail(), Card(), Words("names", "NAME", "kestrel", "kestrel house"), Overlapping("xs", "x"),
    Overlapping("ys", "y", 0.6), fence(),
]  # fmt: skip
SCANNER = Scanner(DETECTORS, [Accuser()], gate=ReGate)
ACTIONS = ["flag", "mask", "redact", "hash", "block"]


def grow(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.randrange(30)))


def grow_value(chance: random.Random, depth: int = 0) -> object:
    kind = chance.randrange(3 if depth > 4 else 6)
    if kind == 5:
        return [grow_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 4:
        return {f"m{n}": grow_value(chance, depth + 1) for n in range(chance.randrange(4))}
    if kind == 3:
        return chance.choice([True, None, 12, -3.5, 4111111111111111, 4111111111111112, 1e300])
    return "".join(chance.choices(PIECES, k=chance.randrange(8)))


def rules(chance: random.Random) -> tuple[Rule, ...]:
    out: list[Rule] = []
    for number, detector in enumerate(DETECTORS):
        if chance.random() < 0.8:
            action = chance.choices(ACTIONS, [1, 4, 2, 2, 0.4])[0]
            mode = chance.choices(["enforce", "shadow"], [5, 1])[0]
            out.append(Rule(id=f"r{number}", detector=detector.name, action=action, mode=mode))  # pyright: ignore
    if chance.random() < 0.2:
        out.append(Rule(id="c", detector="accuser", action=chance.choice(["flag", "block"]), threshold=0.5))
    return tuple(out)


def cut(chance: random.Random, text: str) -> list[str]:
    if chance.random() < 0.3:
        size = chance.randrange(1, 12)
        return [text[at : at + size] for at in range(0, len(text), size)]
    at = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(20)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def run(
    engine: PolicyEngine, pieces: list[str], document: bool, vault: Vault | None = None
) -> tuple[str, bool, int, list[Finding]]:
    stream = engine.stream(vault=vault)
    if stream is None:
        return "".join(pieces), False, 0, []
    out: list[str] = []
    most = 0
    for piece in pieces:
        out.append(stream.feed("c", piece, json=document))
        most = max(most, stream.held())
    out.append(stream.flush("c"))
    return "".join(out), stream.blocked, most, sorted(stream.verdict.findings, key=repr)


def difference(chance: random.Random) -> str:
    """What is wrong with one text in two cuttings; empty when nothing is."""
    policy = rules(chance)
    judged = any(rule.detector == "accuser" for rule in policy)
    step = chance.choice([1, 7, 50])
    engine = PolicyEngine([Policy("p", policy)], SCANNER, key=KEY, step=step, window=step + chance.randrange(100))
    document = chance.random() < 0.5
    well_formed = document and chance.random() < 0.7
    value = grow_value(chance) if well_formed else None
    if well_formed and not isinstance(value, dict | list):
        value = [value]
    text = grow(chance)
    if well_formed:
        text = json.dumps(value, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 1]))
    elif document:
        text = chance.choice(["[", "{", ""]) + text
    path = "c.arguments" if document else "c"
    out, blocked, most, findings = run(engine, cut(chance, text), document)
    again = run(engine, cut(chance, text), document)
    other = again[0]
    if judged and blocked and not (len(out) - len(other) > 1600 or len(other) - len(out) > 1600):
        other = out if out.startswith(other) or other.startswith(out) else other
    if (out, blocked) != (other, again[1]):
        return f"{policy} {text!r}: cut otherwise {again[:2]!r}, not {(out, blocked)!r}"
    if not judged:
        verdict = engine.inspect([Segment(path, "assistant", text)], "response")
        whole = verdict.rewrites[0].text if verdict.rewrites else text
        if (verdict.enforced == "block") != blocked or (not blocked and whole != out):
            return f"{policy} {text!r}: stream {out!r} {blocked}, whole {whole!r} {verdict.enforced}"
        found = sorted((msgspec.structs.replace(f, path="c") for f in verdict.findings), key=repr)
        if not blocked and found != findings:
            return f"{policy} {text!r}: stream found {findings}, whole {found}"
        if not document and rewritten(text, policy, DETECTORS) != (out, blocked):
            return f"{policy} {text!r}: {out!r}, model {rewritten(text, policy, DETECTORS)!r}"
        if well_formed and not blocked and json.loads(out) != rewritten_json(json.loads(text), policy, DETECTORS):
            return f"{policy} {text!r}: {out!r} differs from the model"
    if most > 1600:
        return f"{policy} {text!r}: held {most}"
    return restored(chance)


def restored(chance: random.Random) -> str:
    vault = Vault(chance.randbytes(16))
    values = [grow(chance) for _ in range(3)]
    tokens = [vault.placeholder(value) or "" for value in values]
    pieces = [
        *tokens,
        tokens[0].lower(),
        tokens[1].title(),
        tokens[2][:9],
        tokens[2][9:],
        "PSN",
        "P",
        "ps",
        " ",
        "**",
        "_",
    ]
    text = "".join(chance.choices(pieces, k=12))
    document = chance.random() < 0.5
    if document:
        text = json.dumps({"a": text})
    engine = PolicyEngine([], SCANNER, key=KEY)
    out = run(engine, cut(chance, text), document, vault)[0]
    whole = vault.restore(text, document)
    if out != whole or (document and not isinstance(json.loads(out), dict)):
        return f"{text!r} with {values!r}: {out!r}, whole {whole!r}"
    return ""


def main() -> int:
    return fuzz(arguments(__doc__).parse_args(), lambda chance, count: difference(chance))


if __name__ == "__main__":
    sys.exit(main())
