"""What the model counts: words, pairs and triples of words, and the same of word classes.

Shared by training and scoring. Features are tuples of strings here; scoring (`model.py`) does the same with numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import islice

GAP = 7
"""Words between two classes that end a sequence of classes."""


def lexicon() -> dict[str, str]:
    """Class of each word that has one. Source: `data/lexicon.txt`, ours."""
    classes: dict[str, str] = {}
    for line in (resources.files(__package__) / "data" / "lexicon.txt").read_text("utf-8").splitlines():
        name, colon, words = line.partition(":")
        if colon and not line.startswith("#"):
            for word in words.split():
                classes.setdefault(word, name)
    return classes


def class_sequences(classes: Sequence[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Position of the last word, and its class alone, with the one before, and with the two before.

    `classes` has 0 for a word without one. A class that repeats within a sequence counts once; more than `GAP` words
    without a class end it.
    """
    before = earlier = 0
    last = -GAP - 2
    for position in [index for index, name in enumerate(classes) if name]:
        name = classes[position]
        if position - last > GAP:
            before = earlier = 0
        last = position
        if name == before:
            continue
        yield position, (name,)
        if before:
            yield position, (before, name)
            if earlier:
                yield position, (earlier, before, name)
        earlier, before = before, name


def features(words: Sequence[str], classes: Mapping[str, int]) -> list[tuple[object, ...]]:
    """All features of one window of words as read by the vocabulary ("" for an unknown word)."""
    found: list[tuple[object, ...]] = [("w", word) for word in words if word]
    found += [("b", a, b) for a, b in zip(words, islice(words, 1, None)) if a and b]
    found += [("s", a, b) for a, b in zip(words, islice(words, 2, None)) if a and b]
    found += [("t", a, b, c) for a, b, c in zip(words, islice(words, 1, None), islice(words, 2, None)) if a and b and c]
    found += [("c", *names) for _, names in class_sequences([classes.get(word, 0) for word in words])]
    return found
