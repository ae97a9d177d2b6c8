"""The error of users' patterns and lists is a ValueError, which is what the configuration's loader reports."""

from guardrails.words.errors import WordsError


def test_it_is_a_value_error() -> None:
    assert issubclass(WordsError, ValueError)
