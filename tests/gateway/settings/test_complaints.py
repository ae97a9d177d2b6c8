"""pydantic's findings at the right place, in our words; which words, `test_load.py` says for each kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.settings.complaints import complaints, fields_at, place_of, real_path
from gateway.settings.schema import Root
from gateway.settings.yaml_marks import Mapping, parse

TEXT = b"""\
models:
  a:
    targets:
      - {provider: x}
ledger: {url: y}
"""


def tree() -> Mapping:
    node = parse(TEXT, "f", [])
    assert isinstance(node, Mapping)
    return node


def test_steps_that_name_a_branch_are_left_out() -> None:
    assert real_path(tree(), ("ledger", "<mapping>", "url")) == ("ledger", "url")
    assert real_path(tree(), ("models", "a", "[key]")) == ("models", "a")
    assert real_path(tree(), ("models", "a", "targets", 0, "model")) == ("models", "a", "targets", 0, "model")


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, "f:1:1"),
        (("models", "a"), False, "f:2:3"),
        (("models", "a", "targets"), False, "f:4:7"),
        (("models", "a", "targets", 0), False, "f:4:9"),
        (("models", "a", "targets", 0, "provider"), False, "f:4:20"),
        (("models", "a", "targets", 0, "provider"), True, "f:4:10"),
        (("models", "a", "missing", "deeper"), False, "f:2:3"),
        (("nothing",), False, "f:1:1"),
    ],
)
def test_where_a_path_is_written(path: tuple[str | int, ...], key: bool, place: str) -> None:
    assert str(place_of(tree(), path, key=key)) == place


def test_the_fields_of_a_section_are_found_by_location() -> None:
    assert "base_url" in fields_at(Root, ("providers", "any"))
    assert "from" in fields_at(Root, ("secrets",))
    assert "provider" in fields_at(Root, ("models", "m", "targets", 3))
    assert "journal" in fields_at(Root, ("ledger", "<mapping>"))
    assert "downgrade" in fields_at(Root, ("teams", "t", "budget", "when_exhausted", "<mapping>"))
    assert "detect" in fields_at(Root, ("guardrails", "p", 0))
    assert fields_at(Root, ("version",)) == {}
    assert fields_at(Root, ("no", "such", "place")) == {}


def test_what_has_a_problem_already_is_not_complained_of_again() -> None:
    node = tree()
    with pytest.raises(ValidationError) as caught:
        Root.model_validate({"ledger": {"url": "y"}})
    assert [str(p.place) for p in complaints(caught.value, Root, node, set())] == ["f:5:15"]
    assert list(complaints(caught.value, Root, node, {("ledger", "url")})) == []


VALUES = st.recursive(
    st.none() | st.just("CANARY"),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(["a", "keys", "targets"]), below),
    max_leaves=6,
)
NAMES = [field.alias or name for name, field in Root.model_fields.items()]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES | st.dictionaries(st.just("a"), VALUES)))
def test_every_kind_of_finding_has_words_and_none_repeats_a_value(data: dict[str, object]) -> None:
    try:
        Root.model_validate(data)
    except ValidationError as error:
        for problem in complaints(error, Root, tree(), set()):
            assert "CANARY" not in problem.message
            assert problem.message != "this value is not allowed here"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"limits": {"lease": "60%"}}, "this is too large; allowed is 50% or less"),
        ({"limits": {"patience": "1m"}}, "this is too large; allowed is 5s or less"),
        ({"limits": {"patience": "0s"}}, "this is too small; allowed is more than 0s"),
        (
            {"telemetry": {"content": {"teams": ["a"], "max_characters": "2M"}}},
            "this is too large; allowed is 1000000 or less",
        ),
        (
            {"telemetry": {"content": {"teams": ["a"], "max_characters": 1}}},
            "this is too small; allowed is 256 or more",
        ),
        ({"incidents": {"interval": "1ms"}}, "this is too small; allowed is 100ms or more"),
        (
            {"telemetry": {"content": "on"}},
            "this value is not known; allowed are 'off' and a mapping of teams, max_characters",
        ),
    ],
)
def test_bounds_are_told_as_they_are_written_and_mappings_beside_words(written: dict[str, object], says: str) -> None:
    """What is allowed is told in the unit it is written in, and all of what is allowed."""
    with pytest.raises(ValidationError) as caught:
        Root.model_validate({"version": "1", **written})
    assert says in [problem.message for problem in complaints(caught.value, Root, tree(), set())]
