"""Texts for the tests of the PII detector, and a gate of their own: real and broken personal data, joined in every way.

All of it is made up: numbers from the ranges that their issuers keep for examples, or with the right check digit only.
"""

import random
from collections.abc import Callable
from functools import lru_cache, partial

import hyperscan

from guardrails.detector import Expression, Hit, Match
from guardrails.pii import PiiDetector

PIECES = (
    "john.smith@example.com", "a@b.co.uk", "@", "test@example.co.uk.com", "to=x@y.org", "d/e?f@g.org",
    "https://www.example.com/path?q=1", '"http://a.community/x"', "'foo.com'", "example.com", "a.b.com.html",
    "www.x.org/a/b.c", "HTTP://X.DE/", "4111 1111 1111 1111", "4111111111111111", "5555-5555-5555-4444",
    "378282246310005", "6011111111111117", "676222165679", "GB82 WEST 1234 5698 7654 32", "DE89370400440532013000",
    "gb82west12345698765432", "849-66-3189", "536 22 8150", "912-70-1234", "+1 425 882 8080", "(505)498-8487x6837",
    "001-755-329-4431", "+46 (0)8 928 571 38", "02.27.96.63.08", "020 7946 0958", "212-555-0147 ext. 55", "10.0.0.1",
    "::1", "fe80::1%eth0", "2001:db8::ff00:42:8329/64", "::ffff:10.0.0.1", "00:1A:2B:3C:4D:5E", "0012.3456.789a",
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "AB1234563", "943 476 5919",
    "1992-02-08T10:11:12Z", "1992-02-08 10:11", "10/12/1981", "12-JAN-2020", "Jan-20", "A1234567", "123456789",
    "12345678", "x", "ext", "phone", "card", "ssn number", "iban", "the", "and/or", "e.g.", "U.S.", "2024", " ", "  ",
    "\n", ", ", ". ", "-", "/", "(", ")", "'", '"', "é", "中文", "٠١٢٣٤٥٦٧٨٩", "１２３", "\u00a0", "😀", "\ud800",
    "ſ", "\u212a",
    "4111\u00a01111\u202f1111\u20111111", "536\u201322\u20138150", "GB82\u00a0WEST 1234 5698 7654\u00a032",
    "\u202f", "\u2013",
    "+1\u00a0425 882\u20138080", "jane＠example．com", "４１１１\u00a0１１１１ １１１１１１１１",
    "#", "?", "=", "_", ":", ";", "+", "00", "0", "1", "9", "7", "ff",
)  # fmt: skip
JOINTS = (" ", " ", " ", "\n", "-", ".", ", ", "(", "/", "")
NOISE = "0123456789 -.@/x(é+"


def grown(chance: random.Random, most: int) -> str:
    """Up to so many pieces, some of them broken."""
    parts: list[str] = []
    for _ in range(chance.randint(1, most)):
        piece = chance.choice(PIECES)
        luck = chance.random()
        at = chance.randrange(len(piece) + 1)
        if luck < 0.15:
            piece = piece[:at] + chance.choice(NOISE) + piece[at:]
        elif luck < 0.25:
            piece = piece[:at] + piece[at + 1 :]
        elif luck < 0.3:
            piece = piece[:at]
        parts += [piece, chance.choice(JOINTS)]
    return "".join(parts)


AT_ONCE = 20
"""Expressions of one database. All of a set of all countries take Hyperscan three times as long as their parts do."""


@lru_cache(maxsize=128)
def database(expressions: tuple[Expression, ...]) -> hyperscan.Database:
    """Compiled once for all tests of a run."""
    compiled = hyperscan.Database()
    flags = [
        hyperscan.HS_FLAG_CASELESS * one.caseless | hyperscan.HS_FLAG_PREFILTER * one.prefilter for one in expressions
    ]
    compiled.compile(
        expressions=[one.pattern.encode() for one in expressions], ids=list(range(len(expressions))), flags=flags
    )
    return compiled


def scanner(detector: PiiDetector) -> Callable[[str], list[Match]]:
    """The detector behind Hyperscan, as the gate of a policy set calls it: with hits by where they end."""
    firsts = range(0, len(detector.expressions), AT_ONCE)
    compiled = [(first, database(tuple(detector.expressions[first : first + AT_ONCE]))) for first in firsts]
    hits: list[Hit] = []

    def on_match(first: int, number: int, _start: int, end: int, _flags: int, _context: object) -> None:
        hits.append(Hit(first + number, end))

    def scan(text: str) -> list[Match]:
        hits.clear()
        encoded = text.encode("utf-8", "surrogatepass")
        for first, part in compiled:
            part.scan(encoded, match_event_handler=partial(on_match, first))
        return detector.confirm(text, sorted(hits, key=lambda hit: hit.end))

    return scan


def everywhere(detector: PiiDetector, text: str) -> list[Match]:
    """What the detector finds when no gate spares it any place."""
    ends = range(len(text.encode("utf-8", "surrogatepass")) + 64)
    return detector.confirm(text, [Hit(number, end) for end in ends for number in range(len(detector.expressions))])


def missed(theirs: list[tuple[str, int, int, float]], ours: list[Match]) -> list[tuple[str, int, int, float]]:
    """What Presidio found and we did not. Its scan resumes behind its last match, so that what we find at each start
    may contain it; of telephone numbers half must be covered (its spans depend on where its scan began)."""
    lost: list[tuple[str, int, int, float]] = []
    for kind, start, end, score in theirs:
        same = [match for match in ours if match.type == kind]
        inside = any(match.start <= start and match.end >= end for match in same)
        halves = sum(max(0, min(end, match.end) - max(start, match.start)) for match in same)
        if not inside and not (kind == "PHONE_NUMBER" and 2 * halves >= end - start):
            lost.append((kind, start, end, score))
    return lost
