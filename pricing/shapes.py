"""Reads the usage objects of providers' answers into `Usage`, whatever shape they have.

Shapes, told apart by the names they use (one decode, no second look at the bytes):

    OpenAI chat, completions, embeddings  prompt_tokens, completion_tokens, *_tokens_details; totals include their parts
    and compatible providers              DeepSeek's prompt_cache_hit_tokens, Moonshot's cached_tokens, Perplexity's and
                                          xAI's reasoning outside completion_tokens, Mistral's prompt_audio_seconds
    OpenAI Responses, images, realtime    input_tokens, output_tokens, input_tokens_details; totals include their parts
    Anthropic messages                    input_tokens without cache_read_input_tokens and cache_creation_input_tokens
    Gemini usageMetadata                  promptTokenCount; thoughts and tool-use prompts outside the other two counts

A provider's own `cost` is not read at all: public gateways booked calls at $0 because they trusted it.
Sources: platform.openai.com/docs/api-reference, docs.anthropic.com/en/api/messages, ai.google.dev/api/generate-content
(UsageMetadata), api-docs.deepseek.com, docs.perplexity.ai, docs.x.ai.
"""

from typing import Annotated

import msgspec

from pricing.parts import consistent
from pricing.usage import Usage

MOST = 10**12
"""A count above this is garbage, not usage."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=MOST)]


class UsageError(ValueError):
    """The bytes are not a usage object. The message names the problem, never the content."""


class _CachedDetails(msgspec.Struct):
    audio_tokens: _Count | None = None
    image_tokens: _Count | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    image_tokens: _Count | None = None
    video_tokens: _Count | None = None
    cached_tokens_details: _CachedDetails | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None
    thinking_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    image_tokens: _Count | None = None
    video_tokens: _Count | None = None


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: _Count | None = None
    ephemeral_1h_input_tokens: _Count | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: _Count | None = None


class _Modality(msgspec.Struct, rename="camel"):
    modality: str = ""
    token_count: _Count | None = None


class _Wire(msgspec.Struct):
    """Every name that any shape uses; all optional, unknown names skipped."""

    # OpenAI chat and its relatives
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    total_tokens: _Count | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    citation_tokens: _Count | None = None
    num_search_queries: _Count | None = None
    prompt_audio_seconds: _Seconds | dict[str, object] | None = None
    seconds: _Seconds | None = None
    # OpenAI Responses, images, realtime; Anthropic
    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    input_tokens_details: _InputDetails | None = None
    input_token_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None
    output_token_details: _OutputDetails | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: _CacheCreation | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None
    # Gemini
    prompt_token_count: _Count | None = msgspec.field(default=None, name="promptTokenCount")
    candidates_token_count: _Count | None = msgspec.field(default=None, name="candidatesTokenCount")
    thoughts_token_count: _Count | None = msgspec.field(default=None, name="thoughtsTokenCount")
    tool_use_token_count: _Count | None = msgspec.field(default=None, name="toolUsePromptTokenCount")
    cached_token_count: _Count | None = msgspec.field(default=None, name="cachedContentTokenCount")
    total_token_count: _Count | None = msgspec.field(default=None, name="totalTokenCount")
    prompt_modalities: list[_Modality] | None = msgspec.field(default=None, name="promptTokensDetails")
    cached_modalities: list[_Modality] | None = msgspec.field(default=None, name="cacheTokensDetails")
    candidate_modalities: list[_Modality] | None = msgspec.field(default=None, name="candidatesTokensDetails")
    tool_modalities: list[_Modality] | None = msgspec.field(default=None, name="toolUsePromptTokensDetails")
    gemini_tier: str | None = msgspec.field(default=None, name="serviceTier")


_DECODER = msgspec.json.Decoder(_Wire)
_LENIENT = msgspec.json.Decoder(_Wire, strict=False)


def _read(raw: "bytes | msgspec.Raw") -> _Wire:
    """A usage object's members. Whole numbers are taken in whatever way they are written (`10.0`, `"10"`): servers in
    languages without integers write them so. Raises `ValueError` for everything else."""
    try:
        return _DECODER.decode(raw)
    except msgspec.ValidationError:
        return _LENIENT.decode(raw)


def usage_from_json(raw: "bytes | msgspec.Raw") -> Usage | None:
    """The usage that a provider's usage object reports; None when it is not one (wrong types, negative or absurd
    counts, no token count at all). Never raises."""
    try:
        return _usage(_read(raw))
    except ValueError:
        return None


class _PlainInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    cached_tokens: _Count = 0
    audio_tokens: Annotated[int, msgspec.Meta(ge=0, le=0)] = 0


class _PlainOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    reasoning_tokens: _Count = 0
    audio_tokens: Annotated[int, msgspec.Meta(ge=0, le=0)] = 0
    accepted_prediction_tokens: _Count = 0
    rejected_prediction_tokens: _Count = 0


class _Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The usual case: OpenAI's chat usage without media, and nothing else in it."""

    prompt_tokens: _Count
    completion_tokens: _Count
    total_tokens: _Count
    prompt_tokens_details: _PlainInput = _PlainInput()
    completion_tokens_details: _PlainOutput = _PlainOutput()


_plain = msgspec.json.Decoder(_Plain).decode
_PLAIN_START = b'{"prompt_tokens":'


class _PlainTail(msgspec.Struct, gc=False):
    """What is left of an answer from its usage on, which is of the usual case."""

    usage: _Plain
    service_tier: str | None = None


_plain_tail = msgspec.json.Decoder(_PlainTail).decode
PLAIN_TAIL = b'"usage":{"prompt_tokens":'
"""How such a tail begins."""


def usage_of_tail(members: bytes) -> tuple[Usage, str | None] | None:
    """Usage and the tier beside it of an object that begins with its `usage` member, if it is of the usual shape, in
    one go; None: look closer. Never raises."""
    try:
        tail = _plain_tail(members)
    except (ValueError, RecursionError):
        return None
    usage = _of_plain(tail.usage)
    return None if usage is None else (usage, tail.service_tier)


def _plain_usage(raw: bytes) -> Usage | None:
    """A usage object of the usual shape, read in half the time; None: look closer."""
    try:
        return _of_plain(_plain(raw))
    except ValueError:
        return None


def _of_plain(told: _Plain) -> Usage | None:
    inputs, outputs = told.prompt_tokens, told.completion_tokens
    cached, reasoning = told.prompt_tokens_details.cached_tokens, told.completion_tokens_details.reasoning_tokens
    if told.total_tokens != inputs + outputs or cached > inputs or reasoning > outputs:
        return None
    return Usage(input_tokens=inputs, output_tokens=outputs, cache_read_tokens=cached, reasoning_tokens=reasoning)


def usage_and_tier(raw: "bytes | msgspec.Raw") -> tuple[Usage | None, str | None]:
    """As `usage_from_json`, with the service tier that the usage object itself names (Anthropic's `service_tier`, its
    `speed` when that is fast, Gemini's `serviceTier`; OpenAI has the tier beside the usage object, not in it)."""
    raw = bytes(raw)
    if raw.startswith(_PLAIN_START) and (plain := _plain_usage(raw)) is not None:
        return plain, None
    try:
        wire = _read(raw)
        usage = _usage(wire)
    except ValueError:
        return None, None
    return usage, "fast" if wire.speed == "fast" else wire.service_tier or wire.gemini_tier


def parse_usage(raw: bytes) -> tuple[Usage, str | None]:
    """For people: a usage object, or a whole answer that holds one, and the tier it names. Raises `UsageError`."""
    try:
        outer = msgspec.json.decode(raw, type=_Answer)
        inner = next((told for told in (outer.usage, outer.usage_metadata) if bytes(told) not in (b"", b"null")), raw)
        wire = _read(inner)
        usage = _usage(wire)
        if usage is None:
            usage = _pieces(inner)
    except msgspec.ValidationError as error:
        raise UsageError(f"not a usage object: {error}") from None
    except ValueError:
        raise UsageError("not valid JSON") from None
    if usage is None:
        raise UsageError("no token count in it; give a usage object in OpenAI's, Anthropic's or Gemini's shape")
    tier = "fast" if wire.speed == "fast" else wire.service_tier or wire.gemini_tier or outer.service_tier
    return usage, tier


class _Pieces(msgspec.Struct, forbid_unknown_fields=True):
    characters: _Count = 0
    images: _Count = 0
    pages: _Count = 0
    requests: _Count = 1


def _pieces(raw: "bytes | msgspec.Raw") -> Usage | None:
    """What is counted by the piece, by our own names: no provider tells it."""
    told = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    if not told.keys() & set(_Pieces.__struct_fields__):
        return None
    found = msgspec.json.decode(raw, type=_Pieces)
    return Usage(characters=found.characters, images=found.images, pages=found.pages, requests=found.requests)


class _Answer(msgspec.Struct):
    usage: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    usage_metadata: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="usageMetadata")
    service_tier: str | None = None


def merge(first: Usage | None, later: Usage | None) -> Usage | None:
    """Usage of a stream that reports twice. Anthropic's `message_start` has the prompt's meters, `message_delta` the
    cumulative output and sometimes the prompt's again; counts only ever grow, so the larger of each is the truth."""
    if first is None or later is None:
        return later if first is None else first
    return consistent(
        Usage(**{name: max(getattr(first, name), getattr(later, name)) for name in Usage.__struct_fields__})
    )


def _usage(wire: _Wire) -> Usage | None:
    if wire.prompt_tokens is not None or wire.completion_tokens is not None:
        return _chat(wire)
    if wire.input_tokens is not None or wire.output_tokens is not None:
        if wire.cache_read_input_tokens is not None or wire.cache_creation_input_tokens is not None:
            return _anthropic(wire)
        if wire.cache_creation is not None:
            return _anthropic(wire)
        return _responses(wire)
    if wire.prompt_token_count is not None or wire.candidates_token_count is not None:
        return _gemini(wire)
    if wire.seconds is not None:
        return Usage(seconds=wire.seconds)
    if wire.total_tokens is not None:
        return Usage(input_tokens=wire.total_tokens)
    return None


def _chat(wire: _Wire) -> Usage:
    inputs, outputs = wire.prompt_tokens or 0, wire.completion_tokens or 0
    cached = wire.prompt_cache_hit_tokens or wire.cached_tokens or wire.cache_read_input_tokens or 0
    written = wire.cache_creation_input_tokens or 0
    reasoning = 0
    input_details, output_details = wire.prompt_tokens_details, wire.completion_tokens_details
    if input_details is not None:
        cached = input_details.cached_tokens or cached
        written = input_details.cache_write_tokens or written
    if output_details is not None:
        reasoning = output_details.reasoning_tokens or 0
    if wire.reasoning_tokens is not None or wire.citation_tokens is not None:
        return _perplexity(wire, inputs, outputs, cached)
    if wire.total_tokens is not None and (untold := wire.total_tokens - inputs - outputs) > 0:
        if untold == cached + written:
            inputs += untold  # the prompt is told without its cached part
        else:
            outputs += untold  # billed and not itemised: thinking of Gemini's compatible endpoint, xAI's reasoning
            reasoning = max(reasoning, untold)
    seconds = wire.prompt_audio_seconds
    usage = Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        cache_read_tokens=cached,
        cache_write_5m_tokens=written,
        reasoning_tokens=reasoning,
        web_searches=wire.num_search_queries or 0,
        seconds=seconds if isinstance(seconds, float) else 0.0,
    )
    return _with_media(usage, input_details, output_details)


def _perplexity(wire: _Wire, inputs: int, outputs: int, cached: int) -> Usage:
    """Reasoning and citations stand beside `completion_tokens`, not in it."""
    reasoning, citations = wire.reasoning_tokens or 0, wire.citation_tokens or 0
    return consistent(
        Usage(
            input_tokens=inputs,
            output_tokens=outputs + reasoning + citations,
            cache_read_tokens=cached,
            reasoning_tokens=reasoning,
            citation_tokens=citations,
            web_searches=wire.num_search_queries or 0,
        )
    )


def _responses(wire: _Wire) -> Usage:
    input_details = wire.input_tokens_details or wire.input_token_details
    output_details = wire.output_tokens_details or wire.output_token_details
    cached = written = reasoning = 0
    if input_details is not None:
        cached = input_details.cached_tokens or input_details.cache_read_input_tokens or 0
        written = input_details.cache_write_tokens or 0
    if output_details is not None:
        reasoning = output_details.reasoning_tokens or output_details.thinking_tokens or 0
    tools = wire.server_tool_use
    usage = Usage(
        input_tokens=wire.input_tokens or 0,
        output_tokens=wire.output_tokens or 0,
        cache_read_tokens=cached,
        cache_write_5m_tokens=written,
        reasoning_tokens=reasoning,
        web_searches=tools.web_search_requests or 0 if tools is not None else 0,
        seconds=wire.seconds or 0.0,
    )
    return _with_media(usage, input_details, output_details)


def _with_media(usage: Usage, inputs: _InputDetails | None, outputs: _OutputDetails | None) -> Usage:
    """Add the modalities that details name, when they name any."""
    changes: dict[str, int] = {}
    if inputs is not None and (inputs.audio_tokens or inputs.image_tokens or inputs.video_tokens):
        cached = inputs.cached_tokens_details or _CachedDetails()
        changes["input_audio_tokens"] = inputs.audio_tokens or 0
        changes["input_image_tokens"] = inputs.image_tokens or 0
        changes["input_video_tokens"] = inputs.video_tokens or 0
        changes["cache_read_audio_tokens"] = cached.audio_tokens or 0
        changes["cache_read_image_tokens"] = cached.image_tokens or 0
    if outputs is not None and (outputs.audio_tokens or outputs.image_tokens or outputs.video_tokens):
        changes["output_audio_tokens"] = outputs.audio_tokens or 0
        changes["output_image_tokens"] = outputs.image_tokens or 0
        changes["output_video_tokens"] = outputs.video_tokens or 0
    return consistent(msgspec.structs.replace(usage, **changes) if changes else usage)


def _anthropic(wire: _Wire) -> Usage:
    """`input_tokens` is what was neither read from nor written to the cache."""
    cached, written = wire.cache_read_input_tokens or 0, wire.cache_creation_input_tokens or 0
    written_1h = 0
    if wire.cache_creation is not None:
        written_1h = wire.cache_creation.ephemeral_1h_input_tokens or 0
        written = max(written, written_1h + (wire.cache_creation.ephemeral_5m_input_tokens or 0))
    inputs, outputs = wire.input_tokens or 0, wire.output_tokens or 0
    if wire.total_tokens is None or wire.total_tokens != inputs + outputs:
        inputs += cached + written
    tools, details = wire.server_tool_use, wire.output_tokens_details
    return consistent(
        Usage(
            input_tokens=inputs,
            output_tokens=outputs,
            cache_read_tokens=cached,
            cache_write_5m_tokens=written - written_1h,
            cache_write_1h_tokens=written_1h,
            reasoning_tokens=details.thinking_tokens or details.reasoning_tokens or 0 if details is not None else 0,
            web_searches=tools.web_search_requests or 0 if tools is not None else 0,
        )
    )


def _gemini(wire: _Wire) -> Usage:
    """`toolUsePromptTokenCount` and `thoughtsTokenCount` stand beside the prompt's and the candidates' counts."""
    tools, thoughts = wire.tool_use_token_count or 0, wire.thoughts_token_count or 0
    usage = Usage(
        input_tokens=(wire.prompt_token_count or 0) + tools,
        output_tokens=(wire.candidates_token_count or 0) + thoughts,
        cache_read_tokens=wire.cached_token_count or 0,
        reasoning_tokens=thoughts,
        tool_input_tokens=tools,
    )
    prompt = _modalities([*(wire.prompt_modalities or ()), *(wire.tool_modalities or ())])
    answer = _modalities(wire.candidate_modalities)
    if not prompt and not answer:
        return consistent(usage)
    cached = _modalities(wire.cached_modalities)
    return consistent(
        msgspec.structs.replace(
            usage,
            input_audio_tokens=prompt.get("AUDIO", 0),
            input_image_tokens=prompt.get("IMAGE", 0),
            input_video_tokens=prompt.get("VIDEO", 0),
            cache_read_audio_tokens=cached.get("AUDIO", 0),
            cache_read_image_tokens=cached.get("IMAGE", 0),
            output_audio_tokens=answer.get("AUDIO", 0),
            output_image_tokens=answer.get("IMAGE", 0),
            output_video_tokens=answer.get("VIDEO", 0),
        )
    )


def _modalities(details: list[_Modality] | None) -> dict[str, int]:
    """Tokens of every modality but text; documents are billed as images."""
    counts: dict[str, int] = {}
    for detail in details or ():
        if detail.token_count and detail.modality != "TEXT":
            name = "IMAGE" if detail.modality == "DOCUMENT" else detail.modality
            counts[name] = counts.get(name, 0) + detail.token_count
    return counts
