"""Names, keys and seeds of conversations, and what is sealed with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pseudonyms import sealing
from gateway.pseudonyms.sealing import Sealer, derive, missing

SECRET = b"a secret of thirty-two bytes, yes"
ANY = st.text(st.characters(codec=None), max_size=80)
HERE = derive(SECRET, "team", "key", "talk")
OTHERS = [
    derive(SECRET, "team2", "key", "talk"),
    derive(SECRET, "team", "key2", "talk"),
    derive(SECRET, "team", "key", "talk2"),
    derive(SECRET, "teamk", "ey", "talk"),
    derive(SECRET + b"!", "team", "key", "talk"),
]


@given(ANY)
def test_what_is_sealed_opens(value: str) -> None:
    sealed = Sealer(HERE).seal("PSNB", value)
    assert Sealer(HERE).open("PSNB", sealed) == value
    encoded = value.encode("utf-8", "surrogatepass")
    assert len(encoded) < 4 or encoded not in sealed


@given(ANY, st.sampled_from(OTHERS), st.data())
def test_it_opens_nowhere_else(value: str, other: sealing.Conversation, data: st.DataObject) -> None:
    """ "A value that is moved to another conversation or placeholder does not open there", nor does a changed one."""
    sealed = Sealer(HERE).seal("PSNB", value)
    assert Sealer(other).open("PSNB", sealed) is None
    assert Sealer(HERE).open("PSNC", sealed) is None
    at = data.draw(st.integers(0, len(sealed) - 1))
    assert Sealer(HERE).open("PSNB", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) is None
    assert Sealer(HERE).open("PSNB", sealed[:at]) is None


def test_conversations_have_nothing_in_common() -> None:
    """By team, virtual key and id, and wherever one of them ends."""
    every = [HERE, *OTHERS]
    for part in ("name", "key", "seed"):
        assert len({getattr(each, part) for each in every}) == len(every)
    assert derive(SECRET, "team", "key", "talk") == HERE
    assert len(HERE.name) == 64
    assert (len(HERE.key), len(HERE.seed)) == (32, 32)


def test_lengths_say_little() -> None:
    assert {len(Sealer(HERE).seal("PSNB", "x" * n)) for n in range(32)} == {len(Sealer(HERE).seal("PSNB", ""))}


def test_nothing_is_shown() -> None:
    assert HERE.key.hex() not in repr(HERE)
    assert repr(HERE.key) not in repr(HERE)


def test_without_the_package_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() == ""
    monkeypatch.setattr(sealing, "find_spec", lambda name: None)
    assert "tollway[conversations]" in missing()
