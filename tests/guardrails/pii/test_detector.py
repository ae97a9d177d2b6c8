"""The PII detector as a policy sees it."""

import random
from collections.abc import Callable

import pytest

from guardrails.detector import Hit, Match
from guardrails.pii import DEFAULT, PiiDetector, described
from guardrails.pii.candidates import Pattern
from tests.guardrails.pii.texts import everywhere, grown, scanner

Scan = Callable[[str], list[Match]]
SPARED = (
    "born 12/03/1981", "date of birth 1/3/81", "an update of 12/03/1981 and 03/1981/2", "SSN 536-22-8150",
    "536-22-8150-1", "card 4111 1111 1111 1111", "4111-1111-1111-1111 123", "4111 1111 1111 1112",
    "12345678901 or 123456789",
)  # fmt: skip
"""Where rules of one entity find parts of what another one finds."""


@pytest.fixture(scope="module")
def detector() -> PiiDetector:
    return PiiDetector()


@pytest.fixture(scope="module")
def scan(detector: PiiDetector) -> Scan:
    return scanner(detector)


@pytest.fixture(scope="module")
def everything() -> PiiDetector:
    return PiiDetector(frozenset(described()))


def found(scan: Scan, text: str, kind: str, least: float = 0.0) -> list[str]:
    return [text[match.start : match.end] for match in scan(text) if match.type == kind and match.score >= least]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("CREDIT_CARD", "4111 1111 1111 1111"),
        ("CREDIT_CARD", "676222165679"),
        ("CREDIT_CARD", "2223003122003222"),
        ("CRYPTO", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
        ("CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("DATE_TIME", "1992-02-08"),
        ("EMAIL_ADDRESS", "test@example.co.uk.com"),
        ("IBAN_CODE", "GB82 WEST 1234 5698 7654 32"),
        ("IBAN_CODE", "de89370400440532013000"),
        ("IP_ADDRESS", "10.20.30.40"),
        ("IP_ADDRESS", "2001:db8::ff00:42:8329"),
        ("MAC_ADDRESS", "00:1A:2B:3C:4D:5E"),
        ("MEDICAL_LICENSE", "AB1234563"),
        ("PHONE_NUMBER", "+46 (0)8 928 571 38"),
        ("PHONE_NUMBER", "(505)498-8487x6837"),
        ("PHONE_NUMBER", "02.27.96.63.08"),
        ("UK_NHS", "943 476 5919"),
        ("URL", "https://www.example.com/path?q=1"),
        ("US_DRIVER_LICENSE", "A1234567"),
        ("US_ITIN", "912-70-1234"),
        ("US_PASSPORT", "C01234567"),
        ("US_SSN", "536-22-8150"),
        ("US_BANK_NUMBER", "12345678901"),
    ],
)
@pytest.mark.parametrize("frame", ["{}", "It is {}, he said.", "é{0} {0}", "中文 {} 中文", "\n{}\n"])
def test_each_entity_is_found_in_place(scan: Scan, kind: str, value: str, frame: str) -> None:
    text = frame.format(value)
    if frame.startswith("é"):
        assert found(scan, text, kind)[-1] == value
    else:
        assert value in found(scan, text, kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("CREDIT_CARD", "4111 1111 1111 1112"),
        ("CRYPTO", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3"),
        ("EMAIL_ADDRESS", "john@example.invalidtld"),
        ("EMAIL_ADDRESS", "john@co.uk"),
        ("IBAN_CODE", "GB83 WEST 1234 5698 7654 32"),
        ("IP_ADDRESS", "10.20.30.400"),
        ("MAC_ADDRESS", "FF:FF:FF:FF:FF:FF"),
        ("PHONE_NUMBER", "1992-12-08 19:28:54"),
        ("PHONE_NUMBER", "536-22-8150"),
        ("PHONE_NUMBER", "10.20.30.40"),
        ("UK_NHS", "943 476 5918"),
        ("URL", "index.html"),
        ("US_SSN", "666-22-8150"),
        ("US_SSN", "536-22 8150"),
    ],
)
def test_what_only_looks_alike_is_not(scan: Scan, kind: str, value: str) -> None:
    assert found(scan, f"It is {value} today", kind) == []


def test_default_entities_are_those_of_presidio_in_english(detector: PiiDetector) -> None:
    assert detector.entities == frozenset(DEFAULT)
    assert frozenset(DEFAULT) <= described().keys()


def test_every_known_entity_has_a_line_and_can_be_asked_for() -> None:
    for name, line in described().items():
        assert line
        assert "\n" not in line
        assert PiiDetector(frozenset({name})).expressions


def test_unknown_entities_are_named_all() -> None:
    with pytest.raises(ValueError, match="unknown entities: NOPE, NORE"):
        PiiDetector(frozenset({"NORE", "NOPE", "URL"}))


def test_only_what_was_asked_for_is_found() -> None:
    scan = scanner(PiiDetector(frozenset({"EMAIL_ADDRESS"})))
    assert {match.type for match in scan("a@b.org, 10.0.0.1, www.example.com, 4111 1111 1111 1111")} == {
        "EMAIL_ADDRESS"
    }


def test_a_rule_can_be_left_out(scan: Scan) -> None:
    text = "card 2223003122003222"
    rules = {match.rule for match in scan(text) if match.type == "CREDIT_CARD"}
    assert rules == {"pii.credit_card.plain"}
    without = scanner(PiiDetector(without=frozenset({"pii.credit_card.plain"})))
    assert found(without, text, "CREDIT_CARD") == []


def test_rules_beyond_presidio_can_be_left_out() -> None:
    plain = scanner(PiiDetector(extra=False))
    assert found(plain, "card 2223003122003222", "CREDIT_CARD") == []
    assert found(plain, "see example.community/x", "URL") == ["example.com"]


def test_context_before_a_match_raises_its_score(scan: Scan) -> None:
    alone = next(match for match in scan("It is A1234567 ") if match.type == "US_DRIVER_LICENSE")
    said = next(match for match in scan("Driver licenses: A1234567 ") if match.type == "US_DRIVER_LICENSE")
    after = next(match for match in scan("It is A1234567 license") if match.type == "US_DRIVER_LICENSE")
    assert (alone.score, alone.evidence) == (after.score, after.evidence) == (0.3, "pattern")
    assert (said.score, said.evidence) == (pytest.approx(0.65), "context")


def test_a_match_within_a_surer_one_is_dropped(scan: Scan) -> None:
    """*A match within another of the same type that … has at least its score is not reported.*"""
    assert found(scan, "write to john.smith@example.com", "EMAIL_ADDRESS") == ["john.smith@example.com"]
    assert found(scan, "'http://example.com/a'", "URL") == ["'http://example.com/a'"]


def test_nothing_was_hit_nothing_is_done(detector: PiiDetector) -> None:
    assert detector.confirm("a@b.org", []) == []


def test_hits_that_announce_nothing_do_no_harm(detector: PiiDetector) -> None:
    """*Never raises on any text, lone surrogates included.*"""
    for text in ("", "\ud800", "a", "@", "٣", "1" * 40, "@" * 40, "a@" * 40):
        assert isinstance(everywhere(detector, text), list)


@pytest.mark.parametrize("seed", range(4))
def test_the_gate_spares_no_match(detector: PiiDetector, scan: Scan, seed: int) -> None:
    """*A superset, where false alarms cost time and misses are defects*: on texts inside and outside ASCII, what is
    found behind the gate is what is found when every place is looked at."""
    chance = random.Random(seed)
    for _ in range(6):
        text = grown(chance, 8)
        assert scan(text) == everywhere(detector, text)


def test_the_gate_spares_no_match_of_the_other_countries(everything: PiiDetector) -> None:
    chance = random.Random(7)
    scan = scanner(everything)
    for _ in range(2):
        text = grown(chance, 3)
        assert scan(text) == everywhere(everything, text)


@pytest.mark.parametrize("of_all", [False, True])
def test_what_is_spared_would_be_dropped(of_all: bool) -> None:
    """*Whatever they are, they would be dropped*: a detector that spares itself no look finds the same."""
    names = frozenset(described() if of_all else DEFAULT)
    sparing, patient = PiiDetector(names), PiiDetector(names)
    for one in patient._recognizers:  # pyright: ignore[reportPrivateUsage]
        if isinstance(one, Pattern):
            one.exact = False
    chance = random.Random(11)
    scans = scanner(sparing), scanner(patient)
    for _ in range(60):
        text = grown(chance, 12) + chance.choice(SPARED)
        assert scans[0](text) == scans[1](text)


def test_offsets_of_hits_are_bytes(detector: PiiDetector) -> None:
    text = "😀é a@b.org"
    size = len(text.encode())
    number = next(i for i, one in enumerate(detector.expressions) if "@" in one.pattern)
    found = detector.confirm(text, [Hit(number, size - 4)])
    assert [(match.type, match.start, match.end) for match in found] == [("EMAIL_ADDRESS", 3, 10)]
