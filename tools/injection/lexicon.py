"""Classes of words, of our own making: `lexicon.txt`."""

from pathlib import Path


def lexicon() -> dict[str, str]:
    """Class of each word that has one; the first class that names a word has it."""
    classes: dict[str, str] = {}
    for line in Path(__file__).with_name("lexicon.txt").read_text("utf-8").split("\n"):
        name, colon, words = line.partition(":")
        if colon and not line.startswith("#"):
            for word in words.split():
                classes.setdefault(word, name)
    return classes
