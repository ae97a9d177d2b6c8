"""Whatever way a provider tells a value in, the client cannot put it together."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.facts import Segment
from tests.fuzz.fuzz_shipped import RIG, engine
from tests.gateway.inspection.attacks import MAIL, attacks
from tests.gateway.inspection.helpers import objects, rewritten

SHIPPED = engine(RIG, None)
ATTACKS = attacks()


def told(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every string with the name of the member it is in, and every name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for each in value:
            yield from told(each, name)
    elif isinstance(value, dict):
        for inner, each in value.items():
            yield "{}", inner
            yield from told(each, inner)


@pytest.mark.parametrize(("operation", "stream"), [(way, stream) for way, _, stream in ATTACKS],
                         ids=[f"{way} {name}" for way, name, _ in ATTACKS])  # fmt: skip
def test_no_way_of_telling_gets_a_value_past(operation: str, stream: bytes):
    """Also not one name's strings put together, as clients do it."""
    out = rewritten(operation, stream, SHIPPED.stream(operation))
    together: dict[str, str] = {}
    for event in objects(out):
        for name, text in told(event):
            together[name] = together.get(name, "") + text
    assert MAIL not in json.dumps(list(together.values()))


WIDE = "４１１１" + "１１１１" * 3
SPELLINGS = ("4111\u00a01111\u202f1111\u20111111", "536\u201322\u20138150", "jane.doe＠example.com", WIDE,
             "+1\u00a0425\u2011882 8080", "\u00a0", "–", "1", "a", " ", "é", "(", "+")  # fmt: skip


@given(st.lists(st.sampled_from(SPELLINGS), max_size=6), st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=100, deadline=None)
def test_other_spellings_cut_anywhere_come_out_as_the_whole(pieces: list[str], cuts: list[int]):
    """*a masked stream is, byte for byte, what masking the whole answer would give, however the provider cut it*"""
    text = "".join(pieces)
    verdict = SHIPPED.inspect([Segment("choices[0].message.content", "assistant", text)], "response")
    stream = SHIPPED.stream("chat.completions")
    assert stream is not None
    places = sorted({0, len(text), *[cut for cut in cuts if cut < len(text)]})
    fed = [stream.feed("c", text[a:b], "assistant", False) for a, b in itertools.pairwise(places)]
    assert "".join(fed) + stream.flush("c") == next((each.text for each in verdict.rewrites), text)


@pytest.mark.parametrize("value", SPELLINGS[:5])
def test_other_spellings_are_masked(value: str):
    text = f"it is {value} then"
    verdict = SHIPPED.inspect([Segment("choices[0].message.content", "assistant", text)], "response")
    assert all(value not in each.text for each in verdict.rewrites)
    assert verdict.rewrites
