"""Mistakes in a YAML file are named with line and column, whatever the file."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.markedyaml import ScenarioError, read_text
from loadtest.units import units_hook


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: int = 0


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inner: Inner = Inner()
    many: list[Inner] = []
    named: dict[str, Inner] = {}


def _read(text: str) -> Outer:
    return read_text(text, Outer, units_hook, source="f.yaml")


def test_an_empty_file_is_all_defaults() -> None:
    assert _read("") == Outer()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner:\n  number: x\n", "f.yaml:2:11: Expected `int`, got `str` (at inner.number)"),
        ("many:\n- number: 1\n- number: x\n", "f.yaml:3:11: "),
        ("inner:\n  nmber: 1\n", "f.yaml:2:3: Object contains unknown field `nmber`; did you mean `number`?"),
        ("zzz: 1\n", "f.yaml:1:1: Object contains unknown field `zzz`"),
        ("- 1\n", "f.yaml:1:1: Expected `object`, got `array`"),
        ("inner: {\n", "f.yaml:2:1: not valid YAML"),
        ("a: &x [*y]\n", "f.yaml:1:8: not valid YAML"),
    ],
)
def test_mistakes_have_their_place(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        _read(text)
    assert str(caught.value).startswith(message)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    said = "f.yaml:"
    try:
        _read(text)
    except ScenarioError as error:
        said = str(error)
    assert said.startswith("f.yaml:")
