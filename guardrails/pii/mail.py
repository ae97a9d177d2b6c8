"""E-mail addresses: found from their `@`, so that the regex runs once for each instead of at every word."""

import re

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate, new
from guardrails.pii.suffixes import Suffixes

LOCAL = 64
"""RFC 5321, 4.5.3.1.1: octets of a local part. Of a longer run the last so many characters count."""
DOMAIN = 253
"""RFC 1035, 2.3.4: the longest host name as text."""
ATOM = r"!#$%&'*+\-/=?^_`{|}~\w"
BACKWARD = re.compile(rf"[{ATOM}.]{{0,{LOCAL}}}")
FIRST = re.compile(rf"\b[{ATOM}]")
HOST = re.compile(r"\w+(?:-+\w+)*(?:\.\w+(?:-+\w+)*)+\b")
SEPARATORS = re.compile("[/?#]")


class Mail:
    """EMAIL_ADDRESS as Presidio finds it: a local part of atoms and dots from a word boundary on, a host with a dot,
    whose public suffix is known. `extra` adds `mailto:`-like places: an address behind `/`, `?` or `#`, which Presidio
    takes for a part of the address and then refuses."""

    entity = "EMAIL_ADDRESS"
    expressions = (Expression(pattern=r"[^\s(),:;<>@\[\]\\\x22]@[0-9A-Za-z_\x80-\xff]"),)
    length = LOCAL + 1 + DOMAIN
    back = LOCAL + 6  # behind the hit's `@` stands one byte, of a character of up to four
    after = 1
    foreign = False
    apart = 256
    shortest = 2

    def __init__(self, suffixes: Suffixes, extra: bool) -> None:
        self.suffixes = suffixes
        self.extra = extra

    def scan(self, text: str, low: int, high: int) -> list[Candidate]:
        addresses: list[Candidate] = []
        at = text.find("@", low, high + LOCAL)
        while at >= 0:
            found = self.around(text, at)
            if found is not None and low <= found.start < high:
                addresses.append(found)
            at = text.find("@", at + 1, high + LOCAL)
        return addresses

    def around(self, text: str, at: int) -> Candidate | None:
        """The address whose `@` stands at `at`."""
        reversed_run = BACKWARD.match(text[max(at - LOCAL, 0) : at][::-1])
        length = reversed_run.end() if reversed_run else 0
        if length == 0 or text[at - 1] == ".":
            return None
        host = HOST.match(text[at + 1 : at + 1 + DOMAIN])
        if host is None:
            return None
        first = FIRST.search(text, at - length, at)
        if first is None:
            return None
        start, end = first.start(), at + 1 + host.end()
        # The netloc of the whole, as Presidio's tldextract sees it.
        parted = SEPARATORS.search(text, start, at)
        seen = host[0] if parted is None else text[start : parted.start()]
        if self.suffixes.registrable(seen):
            return new(Candidate, (start, end, 1.0, "pii.email_address.1", "list"))
        if not self.extra or not self.suffixes.registrable(host[0]):
            return None
        inner = max(text.rfind(mark, start, at) for mark in "/?#") + 1
        if inner == at or text[inner] == ".":
            return None
        return Candidate(inner, end, 1.0, "pii.email_address.separator", "list")
