"""What clients are told of limits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.words import amount_of, dollars, duration, fields, period_of, refusal_headers, sentence, standings
from gateway.quota import Bound, Calendar, Measure, Refused, Rolling, Rule, Smooth, Standing, Window


def bound(measure: Measure = "requests", amount: int = 600, window: Window | None = Rolling(60)) -> Bound:
    return Bound(Rule(id="teams.search.it", measure=measure, amount=amount, window=window), "k")


@given(st.integers(-(10**18), 10**18))
def test_dollars_are_exact(nanos: int) -> None:
    """Nano-dollars as a decimal of USD, nothing rounded away."""
    assert Decimal(dollars(nanos)) * 10**9 == nanos
    assert len(dollars(nanos).rpartition(".")[2]) >= 2


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0.1 s"),
        (0.11, "0.2 s"),
        (1, "1 s"),
        (59.2, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (183_000, "2 d 2 h"),
    ],
)
def test_durations_are_rounded_up(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("window", "told"),
    [
        (Rolling(60), " per minute"),
        (Rolling(90), " in any 1 min 30 s"),
        (Calendar("month", "Europe/Berlin"), " per month"),
        (Smooth(3600, 5), " per hour"),
        (None, ""),
    ],
)
def test_windows_have_names(window: Window | None, told: str) -> None:
    assert period_of(bound(window=window).rule) == told


def test_amounts_have_units() -> None:
    assert amount_of(bound("usd").rule, 12_500_000_000) == "12.50 USD"
    assert amount_of(bound("tokens").rule, 1) == "1 token"
    assert amount_of(bound("streams").rule, 3) == "3 streams at one time"


@pytest.mark.parametrize(
    ("refused", "parts"),
    [
        (Refused(bound(), 3.2, 1, 0), ["'teams.search.it' allows 600 requests per minute", "Try again in 4 s."]),
        (Refused(bound("usd", 10**9, Calendar("day")), 60.0, 5, 2), ["budget is used up", "1.00 USD per day", "1 min"]),
        (Refused(bound("concurrent", 5, None), 1.0, 1, 0), ["Too many at once", "5 requests at one time"]),
        (Refused(bound("tokens"), None, 900, 600), ["never be admitted", "900 tokens", "600 tokens per minute"]),
        (Refused(bound(), 1.0, 1, 0, store_away=True), ["cannot be counted now"]),
    ],
)
def test_a_refusal_names_the_rule_and_what_to_do(refused: Refused, parts: list[str]) -> None:
    told = sentence(refused)
    assert all(part in told for part in parts), told
    assert "teams.search.it" in told


def test_fields_are_openais() -> None:
    standing = Standing(bound(), 600, 599, 0.25)
    assert fields(b"requests", standing) == (
        b"x-ratelimit-limit-requests: 600\r\n"
        b"x-ratelimit-remaining-requests: 599\r\n"
        b"x-ratelimit-reset-requests: 0.250s\r\n"
    )


def test_a_hopeless_request_is_not_to_be_sent_again() -> None:
    headers = dict(refusal_headers(Refused(bound(), None, 900, 600)))
    assert headers[b"x-should-retry"] == b"false"
    assert b"retry-after" not in headers


def test_a_refusal_says_when_to_come_again() -> None:
    standing = Standing(bound(), 600, 0, 2.0)
    headers = dict(refusal_headers(Refused(bound(), 1.25, 1, 0, requests=standing, tokens=standing)))
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"2", b"1250")
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert headers[b"x-ratelimit-limit-tokens"] == b"600"
    assert headers[b"x-tollway-limit"] == b"teams.search.it"


def test_both_kinds_at_once_are_what_each_is_alone() -> None:
    one, other = Standing(bound(), 600, 599, 0.25), Standing(bound("tokens"), 7, 0, 61.5)
    assert standings(one, other) == fields(b"requests", one) + fields(b"tokens", other)
    assert standings(one, None) == fields(b"requests", one)
    assert standings(None, other) == fields(b"tokens", other)
    assert standings(None, None) == b""
