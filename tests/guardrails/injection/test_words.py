"""How a text becomes words, and how a word the vocabulary lacks is read."""

from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.words import (
    LINE,
    NARROW,
    TOKEN,
    UNKNOWN,
    WIDE,
    Vocabulary,
    Window,
    line_starts,
    starts_of,
    straight,
    tokens,
)

KNOWN = Vocabulary([("ignore", 1), ("all", 2), ("rules", 3), (LINE, 4), ("instr*", 5), ("忽", 6)])


def test_words_letters_questions_and_lines() -> None:
    assert tokens("don't stop: 忽略 it?\n\nnow") == ["don't", "stop", ":", "忽", "略", "it", "?", LINE, "now"]


@given(st.text(st.sampled_from(list("ab'’;:?\n $.-éж字—“x1"))) | st.text())
def test_words_are_those_of_the_expression(text: str) -> None:
    """ "`tokens` says the same words, sooner." """
    lower = text.lower()
    said = [LINE if word[0] == "\n" else word for word in TOKEN.findall(straight(lower))]
    assert tokens(lower) == said


def test_disguised_words_are_read() -> None:
    assert [KNOWN[word] for word in ("1gn0r3", "@11", "ru1e$", "iiignnnore", LINE, "instruments", "忽")] == [
        1,
        2,
        3,
        1,
        4,
        5,
        6,
    ]


def test_other_words_are_unknown() -> None:
    assert [KNOWN[word] for word in ("ab", "12345", "banana", "x" * 10_000, "略")] == [UNKNOWN] * 5


@given(st.text(st.characters(exclude_categories=())))
def test_reading_never_raises_and_never_grows(text: str) -> None:
    """ "asked for another word, its nearest known reading, else 0. Never grows." """
    size = len(KNOWN)
    assert all(0 <= KNOWN[word] <= 6 for word in tokens(text.lower()))
    assert len(KNOWN) == size


@given(st.integers(0, 3000), st.sampled_from([WIDE, NARROW, Window(10, 3)]))
def test_windows_cover_every_word(words: int, shape: Window) -> None:
    """ "First word of each window of a text: at least one, and the last one reaches the end." """
    starts = starts_of(words, shape)
    assert starts[0] == 0
    assert starts[-1] + shape.size >= words
    assert shape.stride <= shape.size
    assert len(starts) == 1 or starts[-1] < words


@given(st.lists(st.sampled_from(["a", LINE]), max_size=60))
def test_requests_are_sought_where_lines_begin(words: list[str]) -> None:
    """ "Where lines begin" """
    assert line_starts(words) == [place for place, word in enumerate(words) if word == LINE]
