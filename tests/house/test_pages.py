"""Pages say what is there: files of the repository, commands with their options, targets of make."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {ROOT / "CHANGELOG.md"})
"""Decisions and the change log say what was there when they were written."""
FOLDERS = "gateway|guardrails|pricing|loadtest|tests|tools|docs|config"
SOURCE = re.compile(rf"((?:{FOLDERS})/[\w./-]*(?:/|\.\w+)|[\w./-]+\.py)(?:: ?(\w+))?")
"""A file or folder of ours, and perhaps a name in it: `gateway/world.py: begin`."""
VERSIONS = re.compile(r"config/(\d|undated)")
"""Versions of prices look like paths."""


@pytest.fixture(scope="module")
def sources() -> list[str]:
    tops = [top for top in FOLDERS.split("|") if (ROOT / top).is_dir()]
    found = [path for top in tops for path in (ROOT / top).rglob("*") if "__pycache__" not in path.parts]
    return [str(path.relative_to(ROOT)) for path in [*found, *(ROOT / top for top in tops)]]


def named(page: Path) -> Iterator[tuple[str, str]]:
    """Paths in back-ticks, and names in them; a word in capitals is for the reader to fill in."""
    for code in re.findall(r"`([^`\n]+)`", page.read_text("utf-8")):
        match = SOURCE.fullmatch(code)
        if match and not re.search(r"[A-Z]{3,}\.", code) and not VERSIONS.match(code):
            yield match[1].rstrip("/"), match[2] or ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path, sources: list[str]) -> None:
    for path, name in named(page):
        files = [source for source in sources if source == path or source.endswith(f"/{path}")]
        assert files, path
        if name:
            assert any(re.search(rf"\b{name}\b", (ROOT / file).read_text("utf-8")) for file in files), (path, name)


@pytest.fixture(scope="module")
def tollway() -> Any:
    app = typer.Typer(name="tollway")
    app.callback()(lambda: None)
    for name in COMMANDS:
        importlib.import_module(f"gateway.cli.{name}").register(app)
    return typer.main.get_command(app)


def told(page: Path) -> Iterator[list[str]]:
    """Words that follow `tollway` in back-ticks, and where a line of an example begins with it."""
    text = page.read_text("utf-8")
    blocks = [*re.findall(r"```.*?\n(.*?)```", text, re.DOTALL), *re.findall(r"^ {4}.*", text, re.MULTILINE)]
    lines = [*re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)), *"\n".join(blocks).split("\n")]
    for line in lines:
        plain = re.sub(r"<[^<>]*>", "VALUE", line)
        match = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*bin/)?tollway\s+([^#|>&;]+)", plain)
        if match:
            yield [word for word in (each.strip("[](),.:…") for each in match[1].split()) if word]


def unknown(command: Any, words: list[str]) -> str:
    """The first word that is no command, and no option of the command it follows; empty when all are known."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--"):
            found = [each for each in command.params if word.split("=")[0] in (*each.opts, *each.secondary_opts)]
            if not found and word not in ("--help", "--version"):
                return f"{word} of {command.name}"
            if found and not found[0].is_flag and "=" not in word:
                next(rest, None)
        elif hasattr(command, "commands") and re.fullmatch(r"[a-z-]+", word):
            if word not in command.commands:
                return f"{word} of {command.name}"
            command = command.commands[word]
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_are_there_with_their_options(page: Path, tollway: Any) -> None:
    assert [(words, wrong) for words in told(page) if (wrong := unknown(tollway, words))] == []


def test_what_is_not_there_is_seen(tollway: Any) -> None:
    assert unknown(tollway, ["spent"]) == "spent of tollway"
    assert unknown(tollway, ["spend", "--by", "team", "--nothing"]) == "--nothing of spend"
    assert unknown(tollway, ["spend", "--by", "team", "savings", "--json"]) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_of_make_that_a_page_names_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    assert {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^ {4}make ([a-z-]+)", text, re.MULTILINE)} <= targets
