"""The verdict cache: bounded in number and time, keyed, and it keeps no text."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.cache import VerdictCache

KEY = b"k" * 32


def cache(entries: int = 3, seconds: float = 10.0, key: bytes = KEY) -> VerdictCache[int]:
    return VerdictCache[int](key, entries=entries, seconds=seconds)


def test_a_verdict_lives_for_its_time() -> None:
    known = cache()
    known.put(known.digest("a"), 1, 0.0)
    assert known.get(known.digest("a"), 9.9) == 1
    assert known.get(known.digest("a"), 10.0) is None
    assert len(known) == 0
    assert (known.hits, known.misses) == (1, 1)


def test_the_one_unused_for_longest_goes_first() -> None:
    known = cache()
    for name, value in (("a", 1), ("b", 2), ("c", 3)):
        known.put(known.digest(name), value, 0.0)
    known.get(known.digest("a"), 1.0)
    known.put(known.digest("d"), 4, 1.0)
    assert [known.get(known.digest(name), 2.0) for name in "abcd"] == [1, None, 3, 4]


@pytest.mark.parametrize(("entries", "seconds"), [(0, 10.0), (3, 0.0)])
def test_off_remembers_nothing(entries: int, seconds: float) -> None:
    known = cache(entries, seconds)
    known.put(known.digest("a"), 1, 0.0)
    assert len(known) == 0


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_other_parts_have_another_digest(one: list[str], other: list[str]) -> None:
    """ "16 bytes that name these parts in this order, … each part with its length before it"."""
    assert (cache().digest(*one) == cache().digest(*other)) == (one == other)


def test_another_key_gives_another_digest() -> None:
    assert cache().digest("a") != cache(key=b"x" * 32).digest("a")
    with pytest.raises(ValueError, match="16 to 64 bytes"):
        cache(key=b"short")


def test_no_text_is_kept() -> None:
    known = cache()
    text = "".join(["a text ", "nobody else holds"])
    known.put(known.digest(text), 1, 0.0)
    assert not [held for held in gc.get_referrers(text) if held is not gc and isinstance(held, VerdictCache | dict)
                and held is not globals()]  # fmt: skip
    assert all(len(digest) == 16 for digest in known._known)


def test_a_lone_surrogate_is_a_text_like_any_other() -> None:
    assert cache().digest("\ud800") != cache().digest("?")
