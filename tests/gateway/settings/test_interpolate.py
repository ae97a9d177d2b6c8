"""Variables: where they come from, what they become, and that what they hold is never told."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.interpolate import MAX_SECRET_FILE, SOURCES, Data, Resolver
from gateway.settings.sources import Sources
from gateway.settings.yaml_marks import Problem, parse


def resolve(
    text: str, env: dict[str, str] | None = None, allowed: tuple[str, ...] = SOURCES, at: str = "f.yaml"
) -> tuple[Data, list[str], Resolver]:
    problems: list[Problem] = []
    resolver = Resolver(env or {}, allowed, Sources(), problems)
    data = resolver.data(parse(text.encode(), at, problems))
    return data, [str(problem) for problem in problems], resolver


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${env:A}", "alpha"),
        ("x${env:A}y${env:B}z", "xalphaybetaz"),
        ("'${env:A}'", "alpha"),
        ('"${env:A}\\n"', "alpha\n"),
        ("${env:NONE:-d}", "d"),
        ("${env:EMPTY:-d}", "d"),
        ("${env:EMPTY}", None),
        ("${env:NONE:-}", None),
        ("'${env:NONE:-}'", ""),
        ("${env:NONE:-http://h:1/x?y=#z, [q]}", "http://h:1/x?y=#z, [q]"),
        ("$${env:A}", "${env:A}"),
        ("$${env:A}${env:A}", "${env:A}alpha"),
        ('"\\x24{env:A}"', None),  # made up by an escape: not a variable, and not complete
        ("$5 and {x}", "$5 and {x}"),
        ("$$", "$$"),
    ],
)
def test_what_a_value_becomes(text: str, expected: str | None) -> None:
    data, problems, _ = resolve(f"k: {text}\n", {"A": "alpha", "B": "beta", "EMPTY": ""})
    assert isinstance(data, dict)
    assert data["k"] == expected
    assert bool(problems) == ("x24" in text)


def test_a_block_of_text_takes_variables_too() -> None:
    data, problems, _ = resolve("k: |\n  one ${env:A}\n  two\n", {"A": "alpha"})
    assert data == {"k": "one alpha\ntwo\n"}
    assert problems == []


def test_what_came_from_a_variable_is_remembered() -> None:
    _, _, resolver = resolve("a: x\nb: [${env:A}, y]\nc: {d: '$${env:A}'}\n", {"A": "alpha"})
    assert resolver.drawn == {("b", 0)}


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("k: ${env:NONE}", "1:4", "NONE is not set; set it, or give a default: ${env:NONE:-…}"),
        ("k: [a, x${env:NONE}]", "1:8", "NONE is not set"),
        ("k: ${NAME}", "1:4", "this is not a variable; allowed are ${env:NAME}"),
        ("k: ${vault:x}", "1:4", "this is not a variable"),
        ("k: ${}", "1:4", "this is not a variable"),
        ("k: ${env:1X}", "1:4", "not a name of an environment variable"),
        ("k: ${env:A", "1:4", "this variable is not complete"),
        ("k: ${file:/does/not/exist}", "1:4", "cannot be read: No such file or directory"),
        ("k: ${file:.}", "1:4", "cannot be read: Is a directory"),
    ],
)
def test_problems_name_their_place(text: str, place: str, what: str) -> None:
    _, problems, resolver = resolve(text + "\n")
    assert len(problems) == 1
    assert problems[0].startswith(f"f.yaml:{place}: ")
    assert what in problems[0]
    assert resolver.failed


@pytest.mark.parametrize(("allowed", "text"), [(("env",), "${file:x}"), (("file",), "${env:A}"), ((), "${env:A}")])
def test_a_source_that_is_switched_off(allowed: tuple[str, ...], text: str) -> None:
    _, problems, _ = resolve(f"k: {text}\n", {"A": "alpha"}, allowed)
    assert f"allowed by secrets.from are: {', '.join(allowed) or 'none'}" in problems[0]


def test_files_lose_one_line_end_and_are_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    (tmp_path / "dos").write_bytes(b"s3cret\r\n")
    (tmp_path / "two").write_text("s3cret\n\n")
    text = f"a: ${{file:{tmp_path}/secret}}\nb: ${{file:dos}}\nc: ${{file:two}}\nd: ${{file:none:-default}}\n"
    data, problems, _ = resolve(text, at=str(tmp_path / "f.yaml"))
    assert data == {"a": "s3cret", "b": "s3cret", "c": "s3cret\n", "d": "default"}
    assert problems == []


def test_a_file_that_is_no_text_or_too_long(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfecanary")
    (tmp_path / "long").write_bytes(b"x" * (MAX_SECRET_FILE + 1))
    _, problems, _ = resolve("a: ${file:binary}\nb: ${file:long}\n", at=str(tmp_path / "f.yaml"))
    assert "it is not text in UTF-8" in problems[0]
    assert "too long for a value" in problems[1]
    assert "canary" not in problems[0]


VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@given(VALUES, st.sampled_from(["{}", "'{}'", "a{}b", "[x, {}]", "{{q: {}}}"]))
def test_a_value_is_taken_as_it_is(value: str, around: str) -> None:
    """No value of a variable is ever read as YAML or as another variable."""
    written = around.format("${env:V}")
    data, problems, _ = resolve(f"k: {written}\n", {"V": value})
    assert problems == []
    found = data["k"] if isinstance(data, dict) else None
    if isinstance(found, list):
        found = found[1]
    if isinstance(found, dict):
        found = found["q"]
    quoted = around.startswith("'")
    assert (found or "") == (f"a{value}b" if around.startswith("a") else value)
    assert (found is None) == (not value and not quoted and not around.startswith("a"))


@given(st.text("ABC:-${}envfil/. #'\"\\,[]x", max_size=40))
def test_any_text_resolves_or_is_refused(text: str) -> None:
    _, problems, _ = resolve("k: |2\n  " + text + "\n", {"A": "alpha"})
    for problem in problems:
        assert "allowed" in problem or "set it" in problem


def test_bytes_that_are_no_text_are_refused() -> None:
    """The environment may hold any bytes; Python gives those that are not UTF-8 as lone surrogates."""
    _, problems, _ = resolve("k: ${env:B}\n", {"B": os.fsdecode(b"CANARY\xff")})
    assert problems == ["f.yaml:1:4: the environment variable B is not text in UTF-8; allowed is text"]


def test_the_environment_is_only_what_is_given() -> None:
    name = next(name for name in os.environ if name.isidentifier())
    _, problems, _ = resolve(f"k: ${{env:{name}}}\n")
    assert "is not set" in problems[0]
