"""Usage from the tail: right also where texts, tools and metadata talk about usage."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.dialects.tail import duration, read_usage, reported
from pricing import shapes
from pricing.shapes import usage_from_json, usage_of_tail

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


counts = st.sampled_from([0, 1, 7, 10**12, 10**12 + 1, -1, 1.5, "7", None])
details = st.fixed_dictionaries(
    {},
    optional={
        "cached_tokens": st.sampled_from([0, 1, 3, None]),
        "audio_tokens": st.sampled_from([0, 2, None]),
        "reasoning_tokens": st.sampled_from([0, 1, 3]),
        "accepted_prediction_tokens": st.just(0),
        "surprise": st.just(1),
    },
)
tiers = st.sampled_from([None, "default", "priority", 7, {}])


@st.composite
def usages(draw: st.DrawFn) -> object:
    """Usage objects of all shapes, mostly the usual one."""
    inputs, outputs = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    usage: dict[str, object] = {"prompt_tokens": inputs, "completion_tokens": outputs, "total_tokens": inputs + outputs}
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = draw(details | st.none())
    if draw(st.booleans()):
        usage["completion_tokens_details"] = draw(details | st.none())
    if draw(st.integers(0, 3)) == 0:
        usage[draw(st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]))] = draw(counts)
    if draw(st.integers(0, 3)) == 0:
        usage[draw(st.sampled_from(["service_tier", "cost", "input_tokens", "prompt_cache_hit_tokens"]))] = draw(
            tiers | st.just(2)
        )
    if draw(st.integers(0, 5)) == 0:
        del usage[draw(st.sampled_from(sorted(usage)))]
    return draw(st.sampled_from([usage] * 8 + [None, [], "usage", {}]))


class _Slow(msgspec.Struct):
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: Any = None


def slowly(body: bytes) -> tuple[Any, str | None]:
    """The whole answer decoded, by the plainest reading of the rule: usage by the general reader (whole numbers in
    whatever way they are written), and the tier beside it, else the one in it."""
    top = msgspec.json.decode(body, type=_Slow)
    raw = bytes(top.usage)
    if not raw or raw == b"null":
        return None, top.service_tier if isinstance(top.service_tier, str) else None
    try:
        usage, inner = shapes._usage(wire := shapes._read(raw)), wire_tier(wire)
    except ValueError:
        usage, inner = None, None
    return usage, top.service_tier if isinstance(top.service_tier, str) else inner


def wire_tier(wire: Any) -> str | None:
    return "fast" if wire.speed == "fast" else wire.service_tier or wire.gemini_tier


@settings(max_examples=300, deadline=None)
@given(usages(), members, members, tiers, st.sampled_from(["absent", "before", "after"]), st.booleans())
@example(USAGE, [], [], "priority", "before", True)
@example(USAGE, [], [], "priority", "after", True)
@example(USAGE, [("id", {"service_tier": "flex"})], [], "priority", "absent", True)
@example({**USAGE, "service_tier": "batch"}, [], [], "priority", "before", True)
@example({**USAGE, "service_tier": "batch"}, [], [], None, "before", True)
@example(None, [], [], "priority", "after", True)
@example({**USAGE, "prompt_tokens": "7"}, [], [], None, "absent", True)
@example({**USAGE, "prompt_tokens": "7"}, [], [], None, "absent", False)
def test_the_quick_way_tells_what_the_slow_way_does(
    usage: object,
    before: list[tuple[str, Any]],
    after: list[tuple[str, Any]],
    tier: object,
    where: str,
    compact: bool,
) -> None:
    """`usage_of_tail`: "Usage and the tier beside it … if it is of the usual shape, in one go; None: look closer"."""
    pairs: list[tuple[str, Any]] = [("usage", usage)]
    if where == "before":
        pairs.insert(0, ("service_tier", tier))
    elif where == "after":
        pairs.append(("service_tier", tier))
    answer = dict([*before, *pairs, *after])
    body = json.dumps(answer, separators=(",", ":") if compact else None).encode()
    told = reported(body)
    assert told == slowly(body)
    at = body.rfind(b'"usage":')
    if (quick := usage_of_tail(b"{" + body[at:])) is not None and "usage" not in json.dumps([before, after]):
        assert quick[0] == told[0]


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b'{"text": "a", "duration": 8.5}', 8.5),
        (b'{"duration": "8.470000267028809", "text": "a"}', 8.470000267028809),
        (b'{"duration": 0}', None),
        (b'{"duration": -1}', None),
        (b'{"duration": null}', None),
        (b'{"text": "\\"duration\\": 5"}', None),
        (b"[1]", None),
        (b"not JSON", None),
    ],
)
def test_the_length_of_the_audio_is_told_beside_its_text(body: bytes, seconds: float | None) -> None:
    told = duration(body)
    assert (None if told is None else told.seconds) == seconds
