"""Pseudonyms: unguessable, equal for equal values, restored however the answer treats them."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.vault import LENGTH, Restorer, Vault

ANY = st.text(st.characters(codec=None), max_size=20)
SEED = bytes(range(16))


def token(vault: Vault, value: str) -> str:
    made = vault.placeholder(value)
    assert made is not None
    return made


@given(st.lists(ANY, min_size=1, max_size=5, unique=True))
def test_equal_values_have_one_placeholder_and_others_have_others(values: list[str]) -> None:
    """ "Same value, same placeholder within an exchange", of one length, and unguessable: another seed, another one."""
    vault, other = Vault(SEED), Vault(SEED[::-1])
    tokens = [token(vault, value) for value in values]
    assert tokens == [token(vault, value) for value in values]
    assert len(set(tokens)) == len(values)
    assert {len(made) for made in tokens} == {LENGTH}
    assert all(made.isalnum() and made.isascii() and made.isupper() for made in tokens)
    assert not set(tokens) & {token(other, value) for value in values}
    assert [vault.restore(made) for made in tokens] == values


@given(
    st.lists(ANY, min_size=1, max_size=3, unique=True),
    st.lists(
        st.one_of(st.integers(0, 2), st.sampled_from(["PSN", "P", "psn", " ", "**", "_", "`", "x", "PSNB"])),
        max_size=12,
    ),
    st.lists(st.integers(0, 200), max_size=12),
    st.booleans(),
)
def test_pieces_restore_as_the_whole_does(
    values: list[str], parts: list[int | str], cuts: list[int], as_json: bool
) -> None:
    """ "However it is cut, what is returned is what `Vault.restore` makes of the whole", holding back less than one
    placeholder."""
    vault = Vault(SEED)
    tokens = [token(vault, value) for value in values]
    text = "".join(part if isinstance(part, str) else tokens[part % len(tokens)] for part in parts)
    whole = vault.restore(text, as_json)
    restorer = Restorer(vault, as_json)
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    out: list[str] = []
    for begin, end in itertools.pairwise(edges):
        out.append(restorer.feed(text[begin:end]))
        assert restorer.held() < LENGTH
    assert "".join(out) + restorer.flush() == whole
    assert restorer.flush() == ""


def test_changed_in_case_and_wrapped_in_markdown() -> None:
    vault = Vault(SEED)
    made = token(vault, "Ann Example")
    for text in (f"**{made}**", f"_{made.lower()}_", f"`{made.title()}`", f"({made})", f"PS{made}7", f"PSN{made}"):
        assert "Ann Example" in vault.restore(text)
        assert made.lower() not in vault.restore(text).lower()


def test_values_are_escaped_in_json_and_stay_what_they_are() -> None:
    vault = Vault(SEED)
    for value in ('say "hi"\n\\', "é😀", "\ud83d", "\x00"):
        assert json.loads(vault.restore(f'{{"a": "{token(vault, value)}"}}', json=True)) == {"a": value}


def test_one_pass_what_a_value_holds_is_not_restored_again() -> None:
    vault = Vault(SEED)
    inner = token(vault, "secret")
    outer = token(vault, f"see {inner}")
    assert vault.restore(outer) == f"see {inner}"


def test_placeholders_of_others_are_left_alone() -> None:
    other = token(Vault(SEED[::-1]), "theirs")
    vault = Vault(SEED)
    token(vault, "ours")
    assert vault.restore(f"a {other} b") == f"a {other} b"


def test_a_full_vault_says_so_and_keeps_what_it_has() -> None:
    vault = Vault(SEED, most=2)
    first = token(vault, "a")
    token(vault, "b")
    assert vault.placeholder("c") is None
    assert vault.placeholder("a") == first


def test_the_seed_must_be_long_and_nothing_shows_in_repr() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        Vault(b"short")
    vault = Vault(SEED)
    token(vault, "hidden")
    assert repr(vault) == "<Vault of 1>"


def test_prose_is_hardly_held_back() -> None:
    restorer = Restorer(Vault(SEED))
    words = "Perhaps the ships pass by the stops of maps and tapes. " * 20
    held: list[int] = []
    for char in words:
        restorer.feed(char)
        held.append(restorer.held())
    assert max(held) == 2
    assert sum(held) / len(held) < 0.3


@given(st.lists(ANY, max_size=5, unique=True), st.lists(ANY, max_size=5, unique=True))
def test_what_is_brought_is_as_if_it_was_made_here(earlier: list[str], later: list[str]) -> None:
    """ "Know a value of an earlier exchange by the placeholder it had there"; of one seed it is the same, and only what
    was made here is fresh."""
    before, now = Vault(SEED), Vault(SEED)
    tokens = {value: token(before, value) for value in earlier}
    kept = before.take_fresh()
    assert kept == {made: value for value, made in tokens.items()}
    assert before.take_fresh() == {}
    for made, value in kept.items():
        now.bring(made, value)
    assert now.take_fresh() == {}
    assert {value: token(now, value) for value in earlier} == tokens
    assert all(now.restore(made) == value for value, made in tokens.items())
    for value in later:
        token(now, value)
    assert set(now.take_fresh().values()) == set(later) - set(earlier)


def test_what_cannot_be_a_placeholder_is_not_brought() -> None:
    vault = Vault(SEED, most=2)
    for made in ("", "PSN", "psnbbbbbbbbbbbbb", "PSNBBBBBBBBBBBBBB", "PSNAAAAAAAAAAAAA", "<EMAIL>"):
        vault.bring(made, "x")
    assert len(vault) == 0
    vault.bring("PSNBBBBBBBBBBBBB", "one")
    vault.bring("PSNBBBBBBBBBBBBB", "two")
    assert vault.restore("PSNBBBBBBBBBBBBB") == "one"
    vault.bring("PSNCCCCCCCCCCCCC", "two")
    vault.bring("PSNDDDDDDDDDDDDD", "three")
    assert len(vault) == 2


@given(st.lists(st.from_regex(r"[a-f\"\\ü\n]{1,3}@x", fullmatch=True), max_size=5, unique=True), st.booleans())
def test_what_was_restored_can_be_concealed_again(values: list[str], inside: bool) -> None:
    """ "every value of this vault replaced by its placeholder, longest first, as it is and as it is written inside a
    JSON string": no value is left, and a restored text is what it was."""
    vault = Vault(bytes(16))
    text = " / ".join(token for value in values if (token := vault.placeholder(value)))
    found = vault.conceal(vault.restore(text, json=inside))
    assert not [value for value in values if value in found]
    if not any(one != other and one in other for one in values for other in values) and not inside:
        assert found == text
