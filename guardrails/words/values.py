"""Patterns of allow-lists: they match whole values, in linear time, because they run on what users write."""

from importlib import import_module
from typing import Any

from guardrails.words.errors import WordsError
from guardrails.words.language import UserPattern, for_re2, read


class WholeValue:
    """One pattern. Implements `guardrails.policy.ValuePattern`."""

    __slots__ = ("_match",)

    def __init__(self, pattern: str) -> None:
        """Raises WordsError: malformed, not allowed, or google-re2 is not installed."""
        tree = read(UserPattern("allow", "ALLOWED", pattern)).tree
        try:
            library: Any = import_module("re2")
        except ImportError:
            raise WordsError("patterns of your own need the package google-re2, which is not installed") from None
        options = library.Options()
        options.log_errors = False
        try:
            compiled: Any = library.compile(for_re2(tree), options)
        except library.error:
            raise WordsError("this pattern is too large: lower the counts of its repeats") from None
        self._match = compiled.fullmatch

    def fullmatch(self, value: str, /) -> object | None:
        """Whether the pattern matches all of `value`; half a surrogate pair counts as U+FFFD, as in a judged text."""
        return self._match(value.encode("utf-8", "replace"))
