"""The grammar of paths, and whose words a block holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.surfaces import is_encoded, is_member, member_path, role_of_kind, sound, steps

NAMES = st.text(max_size=5) | st.sampled_from(["a", "$b-1", "a b", "", 'q"', "\\", "]", ".", "[0]", "{}", "\ud800"])


@given(st.lists(NAMES | st.integers(0, 99), min_size=1, max_size=6))
def test_a_path_says_its_steps(way: list[str | int]):
    """`messages[2].content[0].text`; names that are not plain are written `["a b"]`."""
    path = ""
    for step in way:
        path = f"{path}[{step}]" if isinstance(step, int) else member_path(path, step)
    assert steps(path) == [step if isinstance(step, int) else sound(step) for step in way]


@pytest.mark.parametrize("path", ["", "a{}", "a..b", "a[", "a[x]", 'a["b]', "[-1]", "a b"])
def test_what_is_no_path_of_one_value(path: str):
    assert steps(path) is None


def test_roles_of_kinds():
    assert [role_of_kind(kind, "user") for kind in ("function_call_output", "tool_use", "reasoning", "text")] == [
        "tool", "assistant", "assistant", "user"]  # fmt: skip
    assert role_of_kind("tool_result", "system") == "system"


def test_sound_text_is_utf8():
    assert json.loads(json.dumps(sound("a\ud800b"))).encode() == "a\ufffdb".encode()


@pytest.mark.parametrize(
    ("uri", "encoded"),
    [
        ("data:image/png;base64,AAAA", True),
        ("DATA:;BASE64,AAAA", True),
        ("data:text/plain;charset=utf-8;base64,AAAA", True),
        ("data:text/plain,4111 1111 1111 1111", False),
        ("data:text/plain,a;base64,b", False),
        ("data:4111 1111 1111 1111", False),
        ("https://x/;base64,", False),
        ("data:" + "x" * 600 + ";base64,", False),
    ],
)
def test_only_base64_hides_a_text(uri: str, encoded: bool) -> None:
    """RFC 2397: `data:[<mediatype>][;base64],<data>`; without `;base64` the data is text."""
    assert is_encoded(uri) is encoded


@pytest.mark.parametrize("name", ["content", "max_tokens", "$ref", "x-api", "b64_json", "input_2", ""])
def test_names_that_an_api_may_have(name: str):
    assert is_member(name)


@pytest.mark.parametrize("name", ["jane@example.com", "4111111111111111", "jane doe", "naïve", "a" * 60])
def test_names_that_are_somebodys_text(name: str):
    assert not is_member(name)
