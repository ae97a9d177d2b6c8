"""What a request shows of its own price. Whole ways: `tests/served/test_passed.py`."""

import json
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.client import Client
from gateway.facts import Exchange, Usage
from gateway.measured import IMAGES, ONE_REQUEST, SPEECH, Measured, foreseen, measure, settle_measured
from gateway.routing.table import Provider
from gateway.settings.snapshot import Snapshot
from pricing.book import PriceBook
from pricing.overlay import parse_overlay

JSON = b"application/json"
BOOK = PriceBook(
    parse_overlay(
        {
            "models": [
                {"model": "speaks", "usd_per_million_characters": "15"},
                {"model": "both", "usd_per_million_characters": "15", "usd_per_million_tokens": {"output": "1"}},
                {"model": "hears", "usd_per_minute": "0.006"},
                {"model": "clock", "usd_per_second": "0.5"},
                {"model": "free", "usd_per_million_tokens": {"input": "0"}},
            ]
        }
    )
)
SNAPSHOT = cast(Snapshot, SimpleNamespace(prices=BOOK))
PROVIDER = cast(Provider, SimpleNamespace(prices="mock"))


def asked(path: str, body: bytes, method: str = "POST", kind: bytes = JSON, whole: bool = True) -> Measured:
    return measure(cast(Client, SimpleNamespace(method=method, path=path)), kind, body, whole=whole)


def cost(model: str, measured: Measured, told: Usage | None) -> tuple[int | None, int | None]:
    """What is foreseen, and what is booked two seconds after it was forwarded."""
    x = Exchange("id", "id", 0, 0.0, model=model, forwarded_at=1.0)
    settle_measured(x, SNAPSHOT, PROVIDER, measured, told, 3.0)
    return foreseen(x, SNAPSHOT, PROVIDER, measured), x.cost.nanos


@given(st.text())
def test_characters_are_code_points_however_they_are_written(text: str) -> None:
    for ascii_only in (True, False):
        body = json.dumps({"model": "m", "input": text}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        found = asked(SPEECH, body)
        assert found.characters in (len(text), 0)
        assert found is ONE_REQUEST or found.characters == len(text)


@given(
    st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_whatever_is_sent_nothing_is_raised(body: bytes) -> None:
    for path in (SPEECH, IMAGES):
        assert asked(path, body) is ONE_REQUEST


@pytest.mark.parametrize(
    ("members", "number", "quality", "size"),
    [
        ({}, 1, "", ""),
        ({"n": None, "size": "auto"}, 1, "", ""),
        ({"n": 3, "quality": "hd", "size": "1x2"}, 3, "hd", "1x2"),
        ({"n": 2, "quality": 5, "size": "x" * 99}, 2, "", ""),
    ],
)
def test_images_are_counted(members: dict[str, object], number: int, quality: str, size: str) -> None:
    found = asked(IMAGES, json.dumps(members).encode())
    assert (found.images, found.quality, found.size) == (number, quality, size)


@pytest.mark.parametrize("n", [0, -1, 1001, True, 1.5, "2"])
def test_no_number_is_no_measure(n: object) -> None:
    assert asked(IMAGES, json.dumps({"n": n}).encode()) is ONE_REQUEST


def test_only_a_whole_json_body_that_makes_something_is_measured() -> None:
    body = b'{"input": "abc"}'
    assert asked(SPEECH, body).characters == 3
    assert asked(SPEECH, body, method="GET") is ONE_REQUEST
    assert asked(SPEECH, body, kind=b"multipart/form-data") is ONE_REQUEST
    assert asked(SPEECH, body, whole=False) is ONE_REQUEST
    assert asked("/v1/fine_tuning/jobs", body) is ONE_REQUEST


def test_a_price_is_applied_if_all_of_it_is_known() -> None:
    """A part that is not known makes no cost, rather than a part of one."""
    spoken = asked(SPEECH, b'{"input": "abc"}')
    assert cost("speaks", spoken, None) == (45_000, 45_000)
    assert cost("speaks", ONE_REQUEST, None) == (None, None)
    assert cost("both", spoken, None) == (None, None)
    assert cost("both", spoken, Usage(output_tokens=5)) == (None, 50_000)
    assert cost("both", spoken, Usage(seconds=5.0)) == (None, None)
    assert cost("hears", ONE_REQUEST, None) == (None, None)
    assert cost("hears", ONE_REQUEST, Usage(seconds=10.0)) == (None, 1_000_000)
    assert cost("hears", ONE_REQUEST, Usage(input_tokens=10)) == (None, None)
    assert cost("free", ONE_REQUEST, None) == (0, 0)
    assert cost("nobody-knows", spoken, None) == (None, None)


def test_time_of_serving_is_not_the_length_of_the_audio() -> None:
    assert cost("clock", ONE_REQUEST, Usage(seconds=60.0)) == (None, 10**9)
