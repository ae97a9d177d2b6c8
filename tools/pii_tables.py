"""Rebuild `guardrails/pii/data/presidio.json` from an installed Presidio: `python tools/pii_tables.py`.

Reads the pattern recognizers of `presidio-analyzer` (MIT, needed by this script only) and writes, for each of their
regexes: the regex as it is, score, context words, and what follows from the regex alone: its longest match, a byte-wise
superset for the gate, and a prefix pattern that says whether a match may still grow. E-mail, URL, IBAN and phone are
recognized by code of ours, so only their context words and scores are taken.
"""

import inspect
import json
import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from importlib.metadata import version
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "guardrails" / "pii" / "data" / "presidio.json"
OWN_CODE = {"EMAIL_ADDRESS", "URL", "IBAN_CODE", "PHONE_NUMBER"}
CAP = 32
"""Characters an unbounded repeat may take."""
LEFT_OUT = {
    ("IN_PAN", 2): "its look-ahead reads the whole line, so a match would depend on text of any distance",
}
OVERRIDES = {
    # A run of letters and digits longer than an address holds none: else every place in it would begin one.
    ("CRYPTO", 0): (
        "(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,59}(?![a-zA-Z0-9])",
        "(?:bc1|[13])[a-z0-9]{25,59}(?:[^a-z0-9]|$)",
    ),
}
"""Entity and index of a pattern → our regex and gate instead."""
OWN = (
    ("pii.credit_card.plain", "CREDIT_CARD", "12 to 19 digits", r"\b[1-6]\d{11,18}\b"),
    ("pii.credit_card.grouped", "CREDIT_CARD", "in fours", r"\b[2-6]\d{3}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?\b"),
    ("pii.credit_card.dotted", "CREDIT_CARD", "in fours by dots", r"\b[2-6]\d{3}(?:\.\d{4}){3}\b"),
)
"""Rules beyond Presidio: id, entity, name, regex. Their matches count when their check says so."""
WIDE = "[\\xc2-\\xf4][\\x80-\\xbf]{1,3}"
SPACES = "\\s\\x1c-\\x1f"
LOOKBEHIND = re.compile(r"^\(\?<=(?P<behind>.*\\s\+\))\)(?P<rest>\(\?:.*)$", re.DOTALL)


def literal(code: int) -> str:
    return re.escape(chr(code)) if code < 128 else f"\\u{code:04x}"


class Emitter:
    """Writes a parsed regex again. `wide`: for bytes of UTF-8, a superset; else for characters; no look-arounds."""

    def __init__(self, tree: Any, wide: bool) -> None:
        self.groups: dict[int, str] = {}
        self.wide = wide
        self.ascii_only = True
        self.text = self.sequence(tree)

    def sequence(self, items: Any) -> str:
        return "".join(self.item(code, value) for code, value in items)

    def item(self, code: Any, value: Any) -> str:
        if code is op.LITERAL:
            return self.one([(code, value)])
        if code is op.IN:
            return self.one(value)
        if code is op.BRANCH:
            return "(?:" + "|".join(self.sequence(branch) for branch in value[1]) + ")"
        if code is op.SUBPATTERN:
            text = "(?:" + self.sequence(value[3]) + ")"
            if value[0] is not None:
                self.groups[value[0]] = text
            return text
        if code is op.GROUPREF:
            return self.groups[value]
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, inner = value
            high = low + CAP if high is op.MAXREPEAT else int(high)
            return f"(?:{self.sequence(inner)}){{{low},{high}}}"
        if code is op.AT and value is op.AT_BOUNDARY:
            return "\\b" if self.wide else ""
        if code in (op.AT, op.ASSERT, op.ASSERT_NOT):
            return ""
        raise ValueError(f"cannot write {code}")

    def one(self, items: Any) -> str:
        """A class: one character, or its bytes."""
        negated, inside, outside = False, "", False
        for code, value in items:
            if code is op.NEGATE:
                negated = True
            elif code is op.LITERAL:
                outside |= value > 127
                inside += "" if self.wide and value > 127 else literal(value)
            elif code is op.RANGE:
                outside |= value[1] > 127
                inside += f"{literal(value[0])}-{literal(value[1])}"
            else:
                text, more = self.category(value)
                inside, outside = inside + text, outside or more
        if not self.wide:
            return f"[{'^' if negated else ''}{inside}]"
        if negated:
            self.ascii_only = False
            return f"(?:[^{inside}\\x80-\\xff]|{WIDE})"
        if outside:
            self.ascii_only = False
            return f"(?:[{inside}]|{WIDE})" if inside else WIDE
        return f"[{inside}]"

    def category(self, value: Any) -> tuple[str, bool]:
        """The class's text, and whether it has members outside ASCII that the gate must let pass. Digits outside ASCII
        have a gate expression of their own."""
        if value is op.CATEGORY_DIGIT:
            return ("0-9" if self.wide else "\\d"), False
        if value is op.CATEGORY_SPACE:
            return (SPACES if self.wide else "\\s"), True
        if value is op.CATEGORY_WORD:
            return ("0-9A-Za-z_" if self.wide else "\\w"), True
        raise ValueError(f"cannot write category {value}")


def gate(tree: Any) -> str:
    emitter = Emitter(tree, wide=True)
    return emitter.text if emitter.ascii_only else emitter.text.replace("\\b", "")


def prefix(tree: Any) -> str:
    """A pattern of everything a match may begin with, the whole match included; to be anchored at the end."""
    emitter = Emitter(tree, wide=False)

    def of(items: Any) -> str:
        text = ""
        for code, value in reversed(list(items)):
            here = emitter.item(code, value)
            if not here:
                continue
            begun = inside(code, value)
            text = f"(?:{here}{text}|{begun})" if begun else f"(?:{here}{text})?"
        return text

    def inside(code: Any, value: Any) -> str:
        if code is op.SUBPATTERN:
            return of(value[3])
        if code is op.BRANCH:
            return "(?:" + "|".join(of(branch) for branch in value[1]) + ")"
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, inner = value
            high = low + CAP if high is op.MAXREPEAT else int(high)
            begun = of(inner)
            return f"(?:{emitter.sequence(inner)}){{0,{max(high - 1, 0)}}}{begun}"
        return ""

    return of(tree)


def longest(tree: Any) -> int:
    """Characters of the longest match, an unbounded repeat counted as its least plus CAP."""
    total = 0
    for code, value in tree:
        if code in (op.LITERAL, op.IN, op.NOT_LITERAL, op.ANY):
            total += 1
        elif code is op.BRANCH:
            total += max(longest(branch) for branch in value[1])
        elif code is op.SUBPATTERN:
            total += longest(value[3])
        elif code in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, inner = value
            total += longest(inner) * (low + CAP if high is op.MAXREPEAT else int(high))
        elif code is op.GROUPREF:
            total += 1  # Presidio's back-references repeat one separator
    return total


def ahead(tree: Any) -> int:
    """Characters the widest look-ahead reads, and one for a boundary behind it."""
    widest = 0
    for code, value in tree:
        if code in (op.ASSERT, op.ASSERT_NOT) and value[0] > 0:
            widest = max(widest, longest(value[1]) + 1, ahead(value[1]) + longest(value[1]))
        elif code is op.BRANCH:
            widest = max(ahead(branch) for branch in [*value[1], []])
        elif code is op.SUBPATTERN:
            widest = max(widest, ahead(value[3]))
    return widest


def bounded(regex: str) -> str:
    """The regex with its unbounded repeats capped. None of Presidio's has an escaped or bracketed star or plus after
    these atoms; `main` checks what is left."""
    return re.sub(r"(\\s|\]|\\w)([*+])", lambda m: f"{m[1]}{{{int(m[2] == '+')},{CAP}}}", regex)


def rules_of(recognizer: Any, country: str) -> list[dict[str, Any]]:
    entity = recognizer.supported_entities[0]
    rules: list[dict[str, Any]] = []
    for index, pattern in enumerate(recognizer.patterns):
        if (entity, index) in LEFT_OUT:
            continue
        regex = pattern.regex.replace("(?i)", "")
        behind = ""
        if found := LOOKBEHIND.match(regex):
            behind, regex = found["behind"], found["rest"]
        regex = bounded(regex)
        own_regex, own_gate = OVERRIDES.get((entity, index), (regex, ""))
        regex = own_regex
        tree = parser.parse(regex, re.IGNORECASE | re.DOTALL | re.MULTILINE)
        spaced = bool(re.search(r"\\s| ", regex))
        rules.append({
            "id": f"pii.{entity.lower()}.{index + 1}",
            "entity": entity,
            "country": country,
            "name": pattern.name,
            "regex": regex,
            "behind": behind,
            "score": pattern.score,
            "length": longest(tree),
            "shortest": max(tree.getwidth()[0], 1),
            "gate": own_gate or gate(tree),
            "after": max(1, ahead(tree)),
            "prefix": prefix(tree) if spaced else "",
        })  # fmt: skip
    return rules


def own_rule(name: str, entity: str, title: str, regex: str) -> dict[str, Any]:
    tree = parser.parse(regex, re.IGNORECASE | re.DOTALL | re.MULTILINE)
    return {
        "id": name, "entity": entity, "name": title, "regex": regex, "score": 0.3, "length": longest(tree),
        "shortest": tree.getwidth()[0], "gate": gate(tree), "prefix": prefix(tree) if " " in regex else "",
    }  # fmt: skip


def account(regex: str) -> list[Any]:
    """Characters of a country's IBAN, and its pattern without Presidio's optional spaces."""
    plain = regex.replace("[ ]?", "")
    return [parser.parse(plain).getwidth()[1], plain]


def write(name: str, value: Any) -> None:
    (TARGET.parent / f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", "utf-8")


def main() -> None:
    import presidio_analyzer.predefined_recognizers as package  # pyright: ignore[reportMissingImports]

    rules: list[dict[str, Any]] = []
    context: dict[str, list[str]] = {}
    for _, kind in sorted(inspect.getmembers(package, inspect.isclass)):
        base = getattr(package, "PatternRecognizer", None) or kind.__mro__[1]
        if not hasattr(kind, "PATTERNS") or kind is base:
            continue
        recognizer = kind()
        entity = recognizer.supported_entities[0]
        context[entity] = sorted({word.strip().lower().rstrip("#") for word in recognizer.context or []})
        if entity not in OWN_CODE:
            rules += rules_of(recognizer, kind.__module__.split(".")[-2])
    context["PHONE_NUMBER"] = sorted(package.PhoneRecognizer.CONTEXT)
    for rule in rules:
        re.compile(rule["regex"]), re.compile(rule["prefix"]), re.compile(rule["gate"].encode())
    written = {
        "source": f"presidio-analyzer {version('presidio-analyzer')}",
        "license": "MIT, Copyright (c) Microsoft Corporation and Presidio's contributors",
        "made by": "tools/pii_tables.py",
        "context": dict(sorted(context.items())),
        "rules": rules,
    }
    write("presidio", written)
    write("own", {"rules": [own_rule(*rule) for rule in OWN]})
    shapes = package.generic.iban_patterns.regex_per_country
    write("iban", {country: account(regex) for country, regex in sorted(shapes.items())})
    tlds = re.findall(r"\(\?:([a-z]+)\)", package.UrlRecognizer.BASE_URL_REGEX)
    write("tlds", list(dict.fromkeys(tlds)))
    print(f"{len(rules)} rules of {len(context)} entities")  # noqa: T201


if __name__ == "__main__":
    main()
