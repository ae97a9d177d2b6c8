"""Usage from the tail: right also where texts, tools and metadata talk about usage."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.tail import read_usage, reported
from pricing.shapes import usage_from_json

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
FAKE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

decoys = st.sampled_from(
    [
        'so "usage":{"prompt_tokens":1}}',
        {"usage": FAKE},
        ["usage"],
        [{"usage": FAKE, "service_tier": "flex"}],
        "usage",
        {"a": {"usage": FAKE}, "service_tier": "flex"},
        '\\"usage\\":',
    ]
)
members = st.lists(
    st.tuples(st.sampled_from(["id", "choices", "tools", "metadata", "z", "created"]), decoys | st.integers())
)


@given(members, members, st.sampled_from([None, "default", "priority"]), st.booleans(), st.sampled_from([None, 1]))
def test_is_what_a_whole_decode_finds(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], tier: str | None, tier_first: bool, indent: int | None
):
    own: list[tuple[str, Any]] = [("usage", USAGE)]
    if tier is not None:
        own.insert(0 if tier_first else 1, ("service_tier", tier))
    answer = dict([*before, *own, *after])
    body = json.dumps(answer, indent=indent).encode()
    assert reported(body) == (usage_from_json(json.dumps(USAGE).encode()), tier)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"usage":null}',
        b'{"usage":{}}',
        b'{"usage":"usage"}',
        b'{"a":"usage"}',
        b'{"a":{"usage":{"prompt_tokens":1}}}',
        b'[{"usage":{"prompt_tokens":1}}]',
        b'{"usage":{"prompt_tokens":-1}}',
        b"\x1f\x8b\x08",
        b'{"choices":[],"usage":{"prompt_tokens":1',
        b'{"usage":' + b"[" * 9999,
    ],
)
def test_none_is_none(body: bytes):
    assert reported(body) == (None, None)


def test_the_last_part_of_a_body_is_enough():
    body = json.dumps({"data": ["x"] * 100, "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}}).encode()
    usage, _ = reported(body[-70:])
    assert usage is not None
    assert usage.input_tokens == 5


def test_anthropics_tier_is_inside():
    usage, tier = reported(b'{"content":[],"usage":{"input_tokens":3,"output_tokens":4,"service_tier":"batch"}}')
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, tier) == (3, 4, "batch")


def test_a_tier_of_another_type_is_none():
    usage, tier = reported(b'{"service_tier":7,"usage":{"prompt_tokens":1,"completion_tokens":1}}')
    assert usage is not None
    assert tier is None


@given(
    st.binary(max_size=60)
    | st.sampled_from([b'"usage":', b'{"usage":{', b'"service_tier":"']).flatmap(
        lambda opening: st.binary(max_size=20).map(lambda rest: opening + rest)
    )
)
def test_never_raises(body: bytes):
    reported(body)
    read_usage(msgspec.Raw(body))
