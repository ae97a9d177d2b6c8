"""URLs and host names with a known top-level domain."""

import re
from collections.abc import Iterator
from importlib.resources import files

import msgspec

from guardrails.detector import Expression
from guardrails.pii.candidates import Candidate, new

HOST = 253
"""Characters of a host name before its last dot that Presidio's regex allows; RFC 1035 allows as many in all."""
PATH = 1024
"""Characters of a path, with query and fragment; a longer one is cut off there."""
LONGEST_TLD = 24
SEEN = HOST + 1 + LONGEST_TLD + 1
"""Characters of a run that are looked at."""
USUAL = 32
"""And at first."""
RUN = re.compile(rf"[A-Za-z0-9.\-]{{0,{SEEN}}}")
"""Letters, digits, dots and hyphens, as far as they are looked at."""
DOT = re.compile(r"\.[^ \n]").search
SCHEME = re.compile(r"https?://\Z", re.IGNORECASE)
REST = re.compile(rf"/[^\s()<>\"']{{0,{PATH - 1}}}")
QUOTES = "\"'"


class Url:
    """URL as Presidio finds it: a host up to the last dot behind which a top-level domain begins, and a path.

    Presidio takes the first of its domains that the text begins with, so that of `example.community/x` it sees
    `example.com` and of `index.html` `index.ht`. With `extra` a top-level domain ends where the name ends."""

    entity = "URL"
    expressions = (Expression(pattern=r"[a-z0-9.\-]\.[a-z]{2}", caseless=True),)
    back = 1 + 8 + HOST + 3 + 1
    length = 1 + 8 + HOST + 1 + LONGEST_TLD + PATH + 1
    after = 1
    foreign = False
    apart = 64
    shortest = 4

    def __init__(self, top: frozenset[str], extra: bool) -> None:
        raw = files("guardrails.pii").joinpath("data").joinpath("tlds.json").read_bytes()
        self.rank = {name: rank for rank, name in enumerate(msgspec.json.decode(raw, type=list[str]))}
        self.whole = frozenset(self.rank) | {name for name in top if name.isascii()}
        self.extra = extra

    def scan(self, text: str, low: int, high: int) -> list[Candidate]:
        # A match begins up to nine characters before its host: quote and scheme. A run is found by its first dot.
        addresses: list[Candidate] = []
        # One before a blank ends a sentence, and the dots before it in its run were looked at.
        last = high + 9 + HOST + 2
        found = DOT(text, low, last + 1)
        while found is not None:
            dot = found.start()
            ahead = RUN.match(text, dot)
            stop = ahead.end() if ahead else dot + 1
            if not self.extra or not self.whole.isdisjoint(text[dot + 1 : stop].lower().split(".")):
                at = self.beginning(text, dot)
                if low <= at < high + 9 and not (self.extra and text[at - 1 : at] == "@"):
                    several = self.around(text, at, min(stop, at + SEEN))
                    addresses += [one for one in several if low <= one.start < high]
            found = DOT(text, stop, last + 1)
        return addresses

    @staticmethod
    def beginning(text: str, dot: int) -> int:
        """Where the run of this dot begins; -1 if that is further back than a host can be long."""
        for seen in (USUAL, SEEN):
            back = RUN.match(text[max(dot - seen, 0) : dot][::-1])
            size = back.end() if back else 0
            if size < seen:
                return dot - size
        return -1

    def around(self, text: str, at: int, stop: int) -> Iterator[Candidate]:
        """The URLs whose host begins at `at`, in a run that ends at `stop`: plain, with scheme, in quotes."""
        end, whole = self.host_end(text, at, stop)
        scheme = SCHEME.search(text[max(at - 8, 0) : at]) if at and text[at - 1] == "/" else None
        start = at - len(scheme[0]) if scheme else at
        if end:
            if text[end : end + 1] == "/" and (whole or not self.extra) and (rest := REST.match(text, end)):
                # A sentence's punctuation is not the address's.
                end += len(rest[0].rstrip(".,;:!?")) if self.extra else len(rest[0])
            yield new(Candidate, (start, end, 0.6 if scheme else 0.5, self.rule(scheme), "pattern"))
        if start == 0 or text[start - 1] not in QUOTES:
            return
        dot = text.rfind(".", at, stop)
        if dot - at > HOST or dot == at:
            return
        if text[dot + 1 : stop].lower() in (self.whole if self.extra else self.rank):
            rest = REST.match(text, stop)
            end = rest.end() if rest else stop
            if text[end : end + 1] in {'"', "'"}:
                score = 0.6 if scheme else 0.5
                yield Candidate(start - 1, end + 1, score, f"{self.rule(scheme)}.quoted", "pattern")

    @staticmethod
    def rule(scheme: re.Match[str] | None) -> str:
        return "pii.url.1" if scheme else "pii.url.2"

    def host_end(self, text: str, at: int, stop: int) -> tuple[int, bool]:
        """Where the host that begins at `at` ends, 0 for none, and whether its top-level domain is a whole label."""
        if self.extra:
            return self.whole_end(text, at, stop)
        dot = text.rfind(".", at + 1, at + HOST + 1)
        while dot > 0:
            label = text[dot + 1 : min(dot + 1 + LONGEST_TLD, stop)].lower()
            ranks = [(self.rank.get(label[:size], 1 << 20), size) for size in range(2, len(label) + 1)]
            if ranks and (best := min(ranks))[0] < 1 << 20:
                return dot + 1 + best[1], True
            dot = text.rfind(".", at + 1, dot)
        return 0, False

    def whole_end(self, text: str, at: int, stop: int) -> tuple[int, bool]:
        """A trailing dot or hyphen ends a sentence, not a host: the last label that is a top-level domain counts."""
        labels_end = min(stop, at + HOST + 1 + LONGEST_TLD)
        while labels_end > at:
            dot = text.rfind(".", at + 1, labels_end)
            if dot < 0 or dot - at > HOST:
                return 0, False
            label = text[dot + 1 : labels_end].rstrip("-").lower()
            if label in self.whole:
                return dot + 1 + len(label), dot + 1 + len(label) == stop
            labels_end = dot
        return 0, False
