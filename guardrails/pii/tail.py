"""How much of a text's end may still become part of a match: what a stream must hold back.

A conservative look at the last characters. Three things can be alive at the end of a text: a word (most rules match
no white space), a URL's path, and a chain of groups with spaces between, such as a card or telephone number.
"""

import re
from collections.abc import Iterable

from guardrails.pii.mail import DOMAIN, LOCAL
from guardrails.pii.phone import EXTENSION, LEAD, SPAN
from guardrails.pii.url import PATH, SEEN

WORD = LOCAL + 1 + DOMAIN + 2
"""Characters of the longest match without white space, a URL's path apart."""
RUN = re.compile(rf"[\w!#$%&'*+\-/=?^`{{|}}~.@:]{{0,{WORD}}}")
"""From the end backwards: what may stand within an address, a host, or any rule without white space."""
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
        letters = any(found[0] for prefix in begun if (found := re.match(prefix, "A", re.IGNORECASE)))
        begun += [PHONE] * phone
        starts = [r"(?<!\d)\d|[+(]"] if begun else []
        if iban:
            begun.append(IBAN)
            starts.append(r"(?<![A-Za-z0-9])[A-Za-z]{2}(?=[0-9])")
        if letters:
            starts.append(r"(?<!\w)\w")
        self.begun = re.compile(rf"(?:{'|'.join(begun)})\Z", re.IGNORECASE) if begun else None
        self.starts = re.compile("|".join(starts))
        self.groups = max(GROUPS, longest) + 2
        self.url = url

    def settled(self, text: str) -> int:
        """Every match that starts before this offset is as it will be, whatever follows."""
        size = len(text)
        run = RUN.match(text[: -WORD - 1 : -1])
        place = size - run.end() if run else size
        if place and text[place - 1] == '"':
            place -= 1  # a URL in quotes begins with them
        if self.url:
            place = min(place, self.path(text, size))
        if self.begun is not None:
            # What begins behind `place` is held already.
            for start in self.starts.finditer(text, max(size - self.groups, 0), place):
                if self.begun.match(text, start.start()):
                    return start.start()
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
