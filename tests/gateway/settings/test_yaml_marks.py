"""YAML with places: what it means, and what hostile files do (nothing)."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.yaml_marks import (
    MAX_DEPTH,
    Mapping,
    Node,
    Place,
    Problem,
    Scalar,
    Sequence,
    YamlError,
    hidden_runs,
    hide,
    parse,
)


def read(text: str | bytes) -> tuple[Node, list[Problem]]:
    problems: list[Problem] = []
    return parse(text if isinstance(text, bytes) else text.encode(), "f", problems), problems


def plain(node: Node) -> object:
    if isinstance(node, Mapping):
        return {name: plain(value) for name, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.text


def refused(text: str | bytes) -> Problem:
    with pytest.raises(YamlError) as caught:
        read(text)
    return caught.value.problem


def test_words_stay_words() -> None:
    """YAML 1.1 would make booleans, sexagesimals, octals and dates of these."""
    node, _ = read("on: off\nno: yes\na: 1:30\nb: 007\nc: 1.10\nd: 2027-01-31\ne: 0x1F\nf: ~\ng:\nh: ''\ni: 'null'\n")
    assert plain(node) == {
        "on": "off", "no": "yes", "a": "1:30", "b": "007", "c": "1.10", "d": "2027-01-31", "e": "0x1F", "f": None,
        "g": None, "h": "", "i": "null",
    }  # fmt: skip


def test_places_count_from_one() -> None:
    node, _ = read("a:\n  - x\n  - {b: y}\n")
    assert isinstance(node, Mapping)
    items = node.entries["a"]
    assert isinstance(items, Sequence)
    assert items.items[0].place == Place("f", 2, 5)
    inner = items.items[1]
    assert isinstance(inner, Mapping)
    assert inner.keys["b"] == Place("f", 3, 6)
    assert inner.entries["b"].place == Place("f", 3, 9)


def test_every_name_written_twice_is_reported() -> None:
    _, problems = read("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert [str(problem) for problem in problems] == [
        "f:2:11: 'c' is already written at f:2:5; allowed is each name once",
        "f:3:1: 'a' is already written at f:1:1; allowed is each name once",
    ]


def test_an_anchor_may_be_used_again_and_merged() -> None:
    node, problems = read("a: &t {x: 1, y: 2}\nb: *t\nc: {<<: *t, y: 3}\nd: {<<: [{x: 9}, *t]}\n")
    assert problems == []
    assert plain(node) == {
        "a": {"x": "1", "y": "2"}, "b": {"x": "1", "y": "2"}, "c": {"x": "1", "y": "3"}, "d": {"x": "9", "y": "2"},
    }  # fmt: skip


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    problem = refused("\n".join(lines))
    assert "aliases make this file too large" in problem.message
    assert problem.place.line == 6


def test_depth_is_bounded() -> None:
    problem = refused("[" * 100_000)
    assert problem.message == f"this is nested too deeply; allowed are {MAX_DEPTH} levels"
    assert problem.place == Place("f", 1, MAX_DEPTH + 1)
    read("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (b"a: 1\nb: \xff\n", "f:2:4", "not UTF-8"),
        (b"\xff\xfea\x00:\x00", "f:1:1", "not UTF-8"),
        ("a:\n\tb: 1\n", "f:2:1", "tab"),
        ("a: 1\nb: [1\nc: 2\n", "f:3:2", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "f:2:1", "second document"),
        ("a: *nothing\n", "f:1:4", "no anchor"),
        ("a: &x [*x]\n", "f:1:8", "no anchor"),
        ("a: 1\nb: \x07\n", "f:2:4", "not allowed in YAML"),
        ("a: x\U000f0041\n", "f:1:5", "private-use"),
        ("{[a]: 1}\n", "f:1:2", "not a single word"),
        ("? {a: 1}\n: 1\n", "f:1:3", "not a single word"),
        ("a: {<<: 1}\n", "f:1:9", "<< needs a mapping"),
        ("'a: 1\n", "f:2:1", "not valid YAML"),
        ("@a: 1", "f:1:1", "not valid YAML"),
    ],
)
def test_what_cannot_be_read_says_where(text: str | bytes, place: str, what: str) -> None:
    problem = refused(text)
    assert str(problem.place) == place
    assert what in problem.message


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.system [ls]\n", "a: !secret x\n", "a: !!binary eA==\n"])
def test_tags_are_refused_and_run_nothing(text: str) -> None:
    _, problems = read(text)
    assert [str(problem.place) for problem in problems] == ["f:1:4"]
    assert "tags are not allowed" in problems[0].message


def test_an_empty_file_is_nothing() -> None:
    for text in ("", "\n# only a comment\n", "---\n"):
        node, problems = read(text)
        assert isinstance(node, Scalar)
        assert node.text is None
        assert problems == []


def test_a_variable_may_stand_where_yaml_would_see_a_mapping() -> None:
    node, problems = read("{a: ${env:A}, b: ${env:B:- # x: y, z}, c: ${file:/x}}\n")
    assert problems == []
    assert isinstance(node, Mapping)
    texts = [list(hidden_runs(value.text or "")) for value in node.entries.values() if isinstance(value, Scalar)]
    assert texts == [[("${env:A}", True)], [("${env:B:- # x: y, z}", True)], [("${file:/x}", True)]]
    assert node.entries["c"].place.column == 43


def test_a_name_cannot_come_from_a_variable() -> None:
    _, problems = read("${env:A}: 1\n")
    assert [str(problem) for problem in problems] == [
        "f:1:1: a name cannot come from a variable; allowed is ${…} in values"
    ]


@given(st.text())
def test_hiding_keeps_every_column_and_comes_back(text: str) -> None:
    hidden = hide(text)
    assert len(hidden) == len(text)
    if not any("\U000f0000" <= c <= "\U000fffff" for c in text):
        assert "".join(piece for piece, _ in hidden_runs(hidden)) == text


SIMPLE = st.text("abcdefgh-_./ 0123456789äß", min_size=1).map(str.strip).filter(bool)
TREES = st.recursive(
    SIMPLE, lambda below: st.lists(below, max_size=4) | st.dictionaries(SIMPLE, below, max_size=4), max_leaves=12
)


@given(TREES.filter(lambda tree: not isinstance(tree, str)), st.booleans())
def test_what_a_library_writes_we_read(tree: object, flow: bool) -> None:
    """Flow or block, quoted or plain: every scalar comes back as the text it was."""
    node, problems = read(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True))
    assert problems == []
    assert plain(node) == tree


@given(st.binary(max_size=200) | st.text("ab:-[]{}&*!|>'\"%#,?\n\t ${}env", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        places = [problem.place for problem in read(data)[1]]
    except YamlError as error:
        places = [error.problem.place]
    assert all(place.line >= 1 and place.column >= 1 for place in places)


@given(
    st.text("abcdefghij", min_size=8).map(lambda text: "sk-canary-" + text),
    st.text("ab:-[]{}&*!|>'\"%@`\n\t ", max_size=30),
)
def test_a_syntax_error_never_quotes_the_file(canary: str, around: str) -> None:
    try:
        _, problems = read(f"a: {around}{canary}{around}\nb: !{canary}! x\nc: *{canary}\n")
    except YamlError as error:
        problems = [error.problem]
    assert not any(canary in problem.message and "already written" not in problem.message for problem in problems)
