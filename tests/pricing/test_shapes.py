"""Usage objects of every shape, garbage included."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.parts import consistent
from pricing.rates import own_parts
from pricing.shapes import MOST, UsageError, merge, parse_usage, usage_and_tier, usage_from_json
from pricing.usage import Usage

SHAPES: list[tuple[str, dict[str, object], Usage]] = [
    (
        "OpenAI chat with every detail",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
            "completion_tokens_details": {
                "reasoning_tokens": 20,
                "audio_tokens": 5,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(
            input_tokens=100,
            output_tokens=50,
            cache_read_tokens=40,
            input_audio_tokens=10,
            output_audio_tokens=5,
            reasoning_tokens=20,
        ),
    ),
    ("OpenAI embeddings", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8)),
    (
        "details that are null",
        {"prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10, "prompt_tokens_details": None},
        Usage(input_tokens=8, output_tokens=2),
    ),
    (
        "OpenAI Responses",
        {
            "input_tokens": 36,
            "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 4},
            "output_tokens": 87,
            "output_tokens_details": {"reasoning_tokens": 60},
            "total_tokens": 123,
        },
        Usage(input_tokens=36, output_tokens=87, cache_read_tokens=12, cache_write_5m_tokens=4, reasoning_tokens=60),
    ),
    (
        "OpenAI images",
        {
            "input_tokens": 50,
            "output_tokens": 4160,
            "total_tokens": 4210,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        },
        Usage(input_tokens=50, output_tokens=4160, input_image_tokens=40),
    ),
    (
        "OpenAI realtime",
        {
            "input_tokens": 119,
            "output_tokens": 148,
            "input_token_details": {
                "text_tokens": 79,
                "audio_tokens": 40,
                "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 50, "audio_tokens": 14},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 118},
        },
        Usage(
            input_tokens=119,
            output_tokens=148,
            cache_read_tokens=64,
            input_audio_tokens=40,
            cache_read_audio_tokens=14,
            output_audio_tokens=118,
        ),
    ),
    ("transcription by duration", {"type": "duration", "seconds": 12.5}, Usage(seconds=12.5)),
    (
        "Anthropic with both cache lives, search and fast mode",
        {
            "input_tokens": 3,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 300,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 50,
            "server_tool_use": {"web_search_requests": 2},
            "service_tier": "standard",
        },
        Usage(
            input_tokens=1303,
            output_tokens=50,
            cache_read_tokens=1000,
            cache_write_5m_tokens=100,
            cache_write_1h_tokens=200,
            web_searches=2,
        ),
    ),
    (
        "Anthropic without a split: five minutes",
        {"input_tokens": 3, "cache_creation_input_tokens": 300, "cache_read_input_tokens": None, "output_tokens": 5},
        Usage(input_tokens=303, output_tokens=5, cache_write_5m_tokens=300),
    ),
    (
        "Gemini with tools, thoughts and modalities",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 200,
            "candidatesTokenCount": 80,
            "thoughtsTokenCount": 30,
            "toolUsePromptTokenCount": 40,
            "totalTokenCount": 1150,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 300},
                {"modality": "AUDIO", "tokenCount": 442},
                {"modality": "DOCUMENT", "tokenCount": 258},
            ],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 100}, {"modality": "TEXT", "tokenCount": 100}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 80}],
        },
        Usage(
            input_tokens=1040,
            output_tokens=110,
            cache_read_tokens=200,
            reasoning_tokens=30,
            tool_input_tokens=40,
            input_audio_tokens=442,
            input_image_tokens=258,
            cache_read_audio_tokens=100,
        ),
    ),
    (
        "DeepSeek",
        {
            "prompt_tokens": 100,
            "completion_tokens": 10,
            "total_tokens": 110,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Usage(input_tokens=100, output_tokens=10, cache_read_tokens=64),
    ),
    (
        "Mistral with audio",
        {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "prompt_audio_seconds": 30},
        Usage(input_tokens=10, output_tokens=4, seconds=30.0),
    ),
    (
        "Mistral without audio",
        {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "prompt_audio_seconds": {}},
        Usage(input_tokens=10, output_tokens=4),
    ),
    (
        "xAI: reasoning beside completion_tokens, told by the total",
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        Usage(input_tokens=32, output_tokens=103, reasoning_tokens=94),
    ),
    (
        "Gemini's compatible endpoint: thoughts in the total only",
        {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 90},
        Usage(input_tokens=10, output_tokens=80, reasoning_tokens=60),
    ),
    (
        "a compatible endpoint whose prompt leaves the cache out",
        {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 130, "cache_read_input_tokens": 100},
        Usage(input_tokens=110, output_tokens=20, cache_read_tokens=100),
    ),
    (
        "Perplexity",
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20016,
            "num_search_queries": 15,
            "reasoning_tokens": 73997,
        },
        Usage(
            input_tokens=33,
            output_tokens=7163 + 20016 + 73997,
            reasoning_tokens=73997,
            citation_tokens=20016,
            web_searches=15,
        ),
    ),
    (
        "a provider's own cost is not usage",
        {"prompt_tokens": 5, "completion_tokens": 0, "cost": 0},
        Usage(input_tokens=5),
    ),
]


@pytest.mark.parametrize(("told", "usage"), [case[1:] for case in SHAPES], ids=[case[0] for case in SHAPES])
def test_shape(told: dict[str, object], usage: Usage) -> None:
    raw = json.dumps(told).encode()
    assert usage_from_json(raw) == usage
    assert usage_from_json(msgspec.Raw(raw)) == usage
    assert consistent(usage) is usage


GARBAGE = [
    b"",
    b"nul",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"\xff\xfe",
    b'{"prompt_tokens": -1, "completion_tokens": 1}',
    b'{"prompt_tokens": "7.5", "completion_tokens": 1}',
    b'{"prompt_tokens": 1e300}',
    b'{"prompt_tokens": 99999999999999999999999999}',
    b'{"prompt_tokens": %d}' % (MOST + 1),
    b'{"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": -5}}',
    b'{"prompt_tokens": 1, "prompt_tokens_details": "secret"}',
    b'{"input_tokens": true}',
    b'{"input_tokens": 1, "cache_creation": []}',
    b'{"promptTokenCount": 1, "promptTokensDetails": {"modality": "TEXT"}}',
    b'{"seconds": -1}',
    b'{"unrelated": 1}',
]


@pytest.mark.parametrize("raw", GARBAGE)
def test_garbage_is_no_usage(raw: bytes) -> None:
    assert usage_from_json(raw) is None
    assert usage_and_tier(raw) == (None, None)
    with pytest.raises(UsageError) as refusal:
        parse_usage(raw)
    assert "secret" not in str(refusal.value)


@given(st.binary(max_size=200))
def test_no_bytes_raise(raw: bytes) -> None:
    usage_from_json(raw)


_NAMES = sorted(
    {name for _, told, _ in SHAPES for name in told} | {"speed", "serviceTier", "total_tokens", "input_tokens_details"}
)
_LEAVES = st.none() | st.booleans() | st.integers(-5, 10**13) | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*_NAMES, "cached_tokens", "audio_tokens", "modality", "tokenCount"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=8))
def test_any_object_of_known_names_gives_a_consistent_usage_or_none(told: dict[str, object]) -> None:
    """A provider may say anything; what we keep has no negative part."""
    usage = usage_from_json(json.dumps(told).encode())
    if usage is not None:
        assert consistent(usage) is usage
        assert all(part >= 0 for part in own_parts(usage).values())


_COUNTS = st.integers(0, 10_000)


@given(st.dictionaries(st.sampled_from([n for n in Usage.__struct_fields__ if n != "seconds"]), _COUNTS))
def test_a_usage_is_made_consistent_by_raising_totals_only(fields: dict[str, int]) -> None:
    usage = Usage(**fields)
    repaired = consistent(usage)
    assert consistent(repaired) is repaired
    assert all(part >= 0 for part in own_parts(repaired).values())
    assert repaired.input_tokens >= usage.input_tokens
    assert repaired.output_tokens >= usage.output_tokens
    assert sum(part for meter, part in own_parts(repaired).items() if meter in _INPUT) == repaired.input_tokens


_INPUT = {
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "input_audio",
    "cache_read_audio",
    "input_image",
    "cache_read_image",
    "input_video",
    "tool_input",
}


def test_tier_that_the_usage_names() -> None:
    assert usage_and_tier(b'{"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"}')[1] == "batch"
    assert usage_and_tier(b'{"input_tokens": 1, "service_tier": "standard", "speed": "fast"}')[1] == "fast"
    assert usage_and_tier(b'{"promptTokenCount": 1, "serviceTier": "flex"}')[1] == "flex"
    assert usage_and_tier(b'{"prompt_tokens": 1}')[1] is None


@given(_COUNTS, _COUNTS, st.sampled_from(["{}.0", '"{}"', "{}e0", '"{}.0"']))
def test_whole_numbers_count_however_they_are_written(inputs: int, outputs: int, written: str) -> None:
    """A server in a language without integers writes 10.0, or "10", and means ten."""
    told = f'{{"prompt_tokens": {written.format(inputs)}, "completion_tokens": {outputs}}}'
    assert usage_from_json(told.encode()) == Usage(input_tokens=inputs, output_tokens=outputs)


@pytest.mark.parametrize("written", ["10.5", '"-10"', '"ten"', '""', "true", "1e300", '"1e300"', "NaN", "[10]"])
def test_what_is_no_whole_number_is_no_count(written: str) -> None:
    assert usage_from_json(f'{{"prompt_tokens": {written}, "completion_tokens": 5}}'.encode()) is None


def test_a_whole_answer_is_accepted_from_people() -> None:
    whole = b'{"id": "x", "service_tier": "flex", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}'
    assert parse_usage(whole) == (Usage(input_tokens=3, output_tokens=4), "flex")
    assert parse_usage(b'{"usageMetadata": {"promptTokenCount": 3}}') == (Usage(input_tokens=3), None)


@given(st.lists(st.tuples(_COUNTS, _COUNTS), max_size=5))
def test_merging_cumulative_usage_keeps_the_largest(told: list[tuple[int, int]]) -> None:
    """Anthropic: "The token counts shown in the usage field of the message_delta event are cumulative."""
    merged: Usage | None = None
    for inputs, outputs in told:
        merged = merge(merged, Usage(input_tokens=inputs, output_tokens=outputs))
    if told:
        assert merged == Usage(input_tokens=max(i for i, _ in told), output_tokens=max(o for _, o in told))
    else:
        assert merged is None


def test_a_delta_without_the_cache_does_not_lose_it() -> None:
    start = usage_from_json(b'{"input_tokens": 25, "cache_read_input_tokens": 1000, "output_tokens": 1}')
    delta = usage_from_json(b'{"input_tokens": 25, "output_tokens": 15}')
    assert merge(start, delta) == Usage(input_tokens=1025, cache_read_tokens=1000, output_tokens=15)


def test_pieces_are_read_for_people_by_our_own_names() -> None:
    """`tollway price --usage '{"characters": 100}'`: what no provider tells, and a request shows."""
    assert parse_usage(b'{"characters": 100}') == (Usage(characters=100), None)
    assert parse_usage(b'{"images": 2}') == (Usage(images=2), None)
    assert parse_usage(b'{"requests": 3, "pages": 1}') == (Usage(requests=3, pages=1), None)
    assert usage_from_json(b'{"characters": 100}') is None
    for wrong in (b'{"characters": -1}', b'{"images": 2, "size": "1x1"}', b'{"colour": 1}'):
        with pytest.raises(UsageError):
            parse_usage(wrong)
