"""How much of a text's end may still become part of a match: what a stream must hold back.

A conservative look at the last characters. Three things can be alive at the end of a text: a word (most rules match
no white space), a URL's path, and a chain of groups with spaces between, such as a card or telephone number.
"""

import re
from collections.abc import Iterable
from string import ascii_uppercase

from guardrails.pii.mail import DOMAIN, LOCAL
from guardrails.pii.phone import EXTENSION, LEAD, SPAN
from guardrails.pii.url import PATH, SEEN

WORD = LOCAL + 1 + DOMAIN + 2
"""Characters of the longest match without white space, a URL's path apart."""
BREAK = re.compile(r".*[^\w!#$%&'*+\-/=?^`{|}~.@:]", re.DOTALL)
"""Up to the last character that cannot stand within an address, a host, or any rule without white space."""
DIGITS = re.compile(r"[0-9+(](?<!\d\d)")
FOREIGN_DIGITS = re.compile(r"[\d+(](?<!\d\d)")
"""Where groups begin. The set stands first: `re` runs to the next of its characters without trying anything else."""
BANK = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}(?=[0-9])")
LETTERS = re.compile(rf"(?<!\d)\d|[+(]|{BANK.pattern}|(?<!\w)\w")
PATH_RUN = re.compile(rf"[^\s()<>\"']{{0,{PATH + SEEN + 9}}}")
PHONE = rf"[+(\d][-x \d./()\[\]~+]{{0,{SPAN + LEAD + 4}}}(?:[ ,;:#.\-]{{0,4}}[extnsio]{{0,9}}[.: ]{{0,2}}\d{{0,7}})?"
IBAN = r"[A-Z](?:[A-Z](?:[0-9](?:[0-9](?:[ -]?[A-Z0-9]){0,40}[ -]?)?)?)?"
GROUPS = LEAD + SPAN + EXTENSION + 4
"""Characters of the longest chain of groups."""


class Tail:
    """The end of a text, for one set of rules."""

    def __init__(self, prefixes: Iterable[str], phone: bool, iban: bool, url: bool, longest: int) -> None:
        begun = [prefix for prefix in prefixes if prefix]
        # Each prefix matches nothing too, so that it is the length that tells.
        letters = any(_takes_letter(prefix) for prefix in begun)
        begun += [PHONE] * phone + [IBAN] * iban
        self.begun = re.compile(rf"(?:{'|'.join(begun)})\Z", re.IGNORECASE).match if begun else None
        self.letters = letters
        self.iban = iban
        self.groups = max(GROUPS, longest) + 2
        self.url = url

    def settled(self, text: str) -> int:
        """Every match that starts before this offset is as it will be, whatever follows."""
        size = len(text)
        place = max(text.rfind(" ") + 1, size - WORD, 0)
        if place < size and not text[place:].isalnum():
            broken = BREAK.match(text, place)
            if broken is not None:
                place = broken.end()
        if place and text[place - 1] == '"':
            place -= 1  # a URL in quotes begins with them
        if self.url:
            place = min(place, self.path(text, size))
        begun = self.begun
        if begun is None:
            return place
        # What begins behind `place` is held already.
        low = max(size - self.groups, 0)
        if self.letters:
            return next((at.start() for at in LETTERS.finditer(text, low, place) if begun(text, at.start())), place)
        for found in (DIGITS if text.isascii() else FOREIGN_DIGITS).finditer(text, low, place):
            start = found.start()
            if self.iban and start >= low + 2 and BANK.match(text, start - 2) and begun(text, start - 2):
                return start - 2
            if begun(text, start):
                return start
        return place

    @staticmethod
    def path(text: str, size: int) -> int:
        """Where a URL begins whose path may go on."""
        if text.rfind("/", max(size - PATH - SEEN, 0)) < 0:
            return size
        run = PATH_RUN.match(text[: -PATH - SEEN - 10 : -1])
        start = size - run.end() if run else size
        # A path needs a host with a dot before it.
        dot = text.find(".", start)
        if dot < 0 or text.find("/", dot) < 0:
            return size
        return start - 1 if start and text[start - 1] in "\"'" else start


def _takes_letter(prefix: str) -> bool:
    """Whether some letter is the beginning of what a prefix stands for."""
    match = re.compile(prefix, re.IGNORECASE).match
    return any((found := match(letter)) is not None and found[0] for letter in ascii_uppercase)
