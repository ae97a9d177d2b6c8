"""Locality and stability: what a stream that masks stands on (`guardrails/detector.py`)."""

import random
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detector import Hit, Match
from guardrails.pii import PiiDetector, described
from guardrails.pii.candidates import Recognizer
from tests.guardrails.pii.texts import PIECES, everywhere, grown, scanner

KINDS = ("ours", "presidio", "countries")


@cache
def made(kind: str) -> PiiDetector:
    """Made when a test asks: a set of all countries takes seconds, which every worker's collection would pay."""
    if kind == "ours":
        return PiiDetector()
    return PiiDetector(extra=False) if kind == "presidio" else PiiDetector(frozenset(described()))


@cache
def scan_of(kind: str) -> Callable[[str], list[Match]]:
    return scanner(made(kind))


texts = st.lists(st.sampled_from(PIECES), max_size=10).flatmap(
    lambda parts: st.lists(st.sampled_from([" ", "", "-", ".", "\n"]), min_size=len(parts), max_size=len(parts)).map(
        lambda joints: "".join(x for pair in zip(parts, joints, strict=True) for x in pair)
    )
)


def recognizers(detector: PiiDetector) -> list[Recognizer]:
    return detector._recognizers  # pyright: ignore[reportPrivateUsage]


def before(matches: list[Match], place: int) -> list[Match]:
    return [match for match in matches if match.start < place]


def stable(kind: str, text: str, cut: int) -> None:
    begun = text[:cut]
    place = made(kind).settled(begun)
    assert 0 <= place <= cut
    assert before(scan_of(kind)(begun), place) == before(scan_of(kind)(text), place), (begun, text[cut:])


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts, share=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_stability(kind: str, text: str, share: float) -> None:
    """*With `p = settled(text)`: for every continuation `u`, the matches of `text + u` that start before `p` are the
    matches of `text` that start before `p`.*"""
    stable(kind, text, int(share * len(text)))


@pytest.mark.parametrize("kind", KINDS)
def test_stability_at_every_cut_of_broken_data(kind: str) -> None:
    chance = random.Random(11)
    for _ in range(3):
        text = grown(chance, 5)
        for cut in range(len(text) + 1):
            stable(kind, text, cut)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_locality(kind: str, seed: int) -> None:
    """*Whether a match starts at `s` depends on `text[s - reach.before : …]` and on nothing else: not on other matches,
    and not on where a scan began.*"""
    chance = random.Random(seed)
    detector, scan = made(kind), scan_of(kind)
    reach = detector.reach.before
    for _ in range(6):
        text = grown(chance, 40)
        head = grown(chance, 6)
        alone = [(m.type, m.start, m.end, m.score, m.rule) for m in scan(text) if m.start >= reach]
        shifted = [(m.type, m.start - len(head), m.end - len(head), m.score, m.rule) for m in scan(head + text)]
        assert alone == [match for match in shifted if match[1] >= reach], text


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_behind_the_reach_is_not_looked_at(kind: str) -> None:
    chance = random.Random(3)
    detector, scan = made(kind), scan_of(kind)
    ahead = detector.reach.length + detector.reach.after
    for _ in range(4):
        text = grown(chance, 200)
        whole = scan(text)
        for place in range(0, max(len(text) - ahead, 0), 97):
            cut = scan(text[: place + ahead])
            assert before(cut, place + 1) == before(whole, place + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_each_recognizer_finds_the_same_in_parts(kind: str) -> None:
    """*`scan` of a region is the concatenation of `scan` of its parts.*"""
    chance = random.Random(5)
    for _ in range(12):
        text = grown(chance, 8)
        cut = chance.randrange(len(text) + 1)
        for one in recognizers(made(kind)):
            whole = sorted(one.scan(text, 0, len(text) + 1))
            assert whole == sorted([*one.scan(text, 0, cut), *one.scan(text, cut, len(text) + 1)]), (one.entity, text)


@pytest.mark.parametrize("kind", KINDS)
def test_no_match_is_longer_than_said(kind: str) -> None:
    chance = random.Random(9)
    reach = made(kind).reach
    for _ in range(30):
        assert all(match.end - match.start <= reach.length for match in scan_of(kind)(grown(chance, 30)))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("The committee met in the old library and ", 0),
        ("The committee met in the old lib", 3),
        ("It was in 2019 and then", 4),
        ("He said: yes.", 4),
        ("write to test@example.co", len("test@example.co")),
        ("write to test@example.co.uk", len("test@example.co.uk")),
        ("write to test@example.co.uk.com ", 0),
        ("card 4111 1111 11", len("4111 1111 11")),
        ("call +1 (212) 555", len("+1 (212) 555")),
        ("see https://example.com/a?b", len("https://example.com/a?b")),
        ('see "https://example.com', len('"https://example.com')),
        ("and/or", 6),
    ],
)
def test_what_is_held_back(text: str, held: int) -> None:
    """*On ordinary prose it should be within a few characters of the end.*"""
    assert len(text) - made("ours").settled(text) == held


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "bait", ["a", "a@", "1", "1 ", "a.", "http://a.com/" + "x", "4111 ", "GB82 WEST ", "(", "中", "x/", "é."]
)
def test_nothing_is_held_for_ever(kind: str, bait: str) -> None:
    """*Never further from the end than `reach.length + reach.after`.*"""
    reach = made(kind).reach
    text = bait * 5000
    assert len(text) - made(kind).settled(text) <= reach.length + reach.after


class Counted(str):
    """A text that counts the characters that are cut out of it."""

    taken = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def,override]
        part = super().__getitem__(key)
        Counted.taken += len(part)
        return part


@pytest.mark.parametrize(
    "bait",
    ["1", "12 ", "a@", "a@a.com ", "4111 1111 1111 1111 ", "1-", "GB82 WEST 1234 ", "a.com/", "a.", "::", "1bc1"],
)
def test_work_grows_with_the_text_alone(bait: str) -> None:
    """*Linear in the text*: ten times the text costs ten times the characters looked at, not more."""
    detector = made("ours")
    spent: list[int] = []
    for size in (600, 6_000):
        text = Counted((bait * size)[:size])
        hits = [Hit(number, end) for end in range(0, size, 5) for number in range(len(detector.expressions) - 1)]
        Counted.taken = 0
        detector.confirm(text, hits)
        detector.settled(text)
        spent.append(Counted.taken)
    assert spent[1] <= 15 * spent[0] + 2_000  # a short text is cut off at its ends; were it quadratic, it were 100


def test_a_hundred_thousand_matches() -> None:
    text = "a@b.org " * 100_000
    found = scan_of("ours")(text)
    assert sum(match.type == "EMAIL_ADDRESS" for match in found) == 100_000


def test_megabytes_of_digits_hold_nothing() -> None:
    assert scan_of("ours")("7" * 20_000_000) == []


def test_every_hit_everywhere_is_survived() -> None:
    assert everywhere(made("ours"), "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2" * 20) == scan_of("ours")(
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2" * 20
    )
