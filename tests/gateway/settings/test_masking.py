"""Secrets out of texts, and back: nothing that was secret stays, everything else keeps its bytes."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.masking import MASK, Lost, filled, for_eyes, masked, spoken, spots
from gateway.settings.yaml_marks import Place, hide

WRITTEN = """\
# é: ours
providers:
  openai: {api_key: sk-canary-1, headers: {x: 'it''s canary-2'}}  # stays
  other: {api_key: "${env:KEY}", proxy: "http://u:canary-3@${env:HOST:-canary-4}"}
  third: {api_key: &shared canary-5}
  fourth: {api_key: *shared}
key: |
  canary-6
  canary-7
last: 1
"""


def hide_all(text: str, *names: str) -> str:
    """Mask every value under these names."""
    return masked(text, [Place("f", *spot.place) for spot in spots(text) if spot.path[-1] in names])


def test_literals_go_and_references_stay() -> None:
    shown = hide_all(WRITTEN, "api_key", "x", "proxy", "key")
    assert "canary" not in shown
    assert 'openai: {api_key: "[masked]", headers: {x: "[masked]"}}  # stays' in shown
    assert 'api_key: "${env:KEY}", proxy: "[masked]${env:HOST:-[masked]}"' in shown
    assert 'third: {api_key: &shared "[masked]"}' in shown
    assert 'key: "[masked]"\nlast: 1\n' in shown.replace("\n\n", "\n")
    assert shown.startswith("# é: ours\n")


def test_back_again() -> None:
    """ "the original text must be restorable": with what the files have now, be it another secret."""
    shown = hide_all(WRITTEN, "api_key", "x", "proxy")
    assert filled({"f": shown}, {"f": WRITTEN}) == {"f": WRITTEN}
    rotated = WRITTEN.replace("canary-1", "rotated")
    assert filled({"f": shown}, {"f": rotated}) == {"f": rotated}
    moved = {"f": "last: 1\n", "g": "providers: {openai: {api_key: there}}\n"}
    assert filled({"f": 'providers: {openai: {api_key: "[masked]"}}\n'}, moved)["f"] == (
        "providers: {openai: {api_key: there}}\n"
    )


def test_what_is_not_there_is_lost() -> None:
    with pytest.raises(Lost) as caught:
        filled({"f": hide_all(WRITTEN, "api_key", "x")}, {"f": "providers: {openai: {api_key: k}}\n"})
    assert caught.value.places == ["providers.openai.headers.x", "providers.third.api_key"]
    with pytest.raises(Lost):  # a literal then, a reference now: nothing is put where it was not
        filled({"f": 'a: {api_key: "[masked]"}\n'}, {"f": "a: {api_key: '${env:X}'}\n"})


def test_items_of_lists_are_told_apart() -> None:
    """A secret never goes to another item: by id or name, else only in a list that is what it was."""
    old = 'hooks:\n- {id: a, secret: "[masked]"}\n- {id: b, secret: "[masked]"}\n'
    now = "hooks:\n- {id: b, secret: two}\n- {id: a, secret: one}\n"
    assert filled({"f": old}, {"f": now})["f"] == "hooks:\n- {id: a, secret: one}\n- {id: b, secret: two}\n"
    nameless = 'hooks:\n- {on: [x], secret: "[masked]"}\n'
    assert filled({"f": nameless}, {"f": "hooks: [{on: [x], secret: s}]\n"})["f"].endswith("secret: s}\n")
    with pytest.raises(Lost, match=r"hooks\[0\]\.secret"):
        filled({"f": nameless}, {"f": "hooks: [{on: [y], secret: s}]\n"})


def test_a_broken_file_gives_what_stands_before_the_mistake() -> None:
    broken = "a: {api_key: one}\nb: [\n"
    assert filled({"f": 'a: {api_key: "[masked]"}\n'}, {"f": broken}) == {"f": "a: {api_key: one}\n"}
    assert spots("\t:\n") == []


def test_digests_are_not_for_eyes() -> None:
    assert for_eyes(f"hash: sha256:{'ab' * 32} and {'c' * 63}") == f"hash: sha256:… and {'c' * 63}"
    assert spoken(("a", ("id", "x"), "b", 2)) == "a[x].b[2]"


names = st.text("abcdefgh", min_size=1, max_size=4)
texts = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Co")), max_size=8),
    st.just("${env:A}"),
    st.just("${env:A:-d}"),
)
trees = st.recursive(
    st.dictionaries(names, texts, min_size=1, max_size=4),
    lambda below: st.dictionaries(names, st.one_of(texts, below, st.lists(texts, max_size=3)), max_size=4),
    max_leaves=8,
)


@given(trees, st.sets(names, max_size=3), st.booleans())
def test_masking_and_filling_any_text(tree: dict[str, object], secret: set[str], flow: bool) -> None:
    """Rules: masked values are masked and everything else is the same; filling with the same files gives the same."""
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    shown = hide_all(text, *secret)
    before, after = spots(text), spots(shown)
    assert [spot.path for spot in before] == [spot.path for spot in after]
    for was, is_ in zip(before, after, strict=True):
        if was.path[-1] not in secret:
            assert was.value == is_.value
        elif was.value and was.value != "${env:A}":
            assert MASK in is_.value
    assert filled({"f": shown}, {"f": text}) == {"f": text}


@given(st.text())
def test_any_text_has_spots(text: str) -> None:
    """A value's place is where its text stands; what cannot be read gives none, and nothing is raised."""
    for spot in spots(text):
        assert 0 <= spot.start <= spot.end <= len(hide(text))
