"""Keeps a usage's parts within its totals, so that no arithmetic on them can go below zero."""

import msgspec

from pricing.usage import Usage


def consistent(usage: Usage) -> Usage:
    """The same usage with totals raised to what their parts need; `usage` itself when nothing is wrong with it.

    A total smaller than its parts comes from a provider that leaves a part out of it, and would price that part below
    its rate (or below zero)."""
    if (
        usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens <= usage.input_tokens
        and usage.reasoning_tokens <= usage.output_tokens
        and not (
            usage.input_audio_tokens
            or usage.output_audio_tokens
            or usage.input_image_tokens
            or usage.output_image_tokens
            or usage.tool_input_tokens
            or usage.input_video_tokens
            or usage.output_video_tokens
            or usage.citation_tokens
            or usage.cache_read_audio_tokens
            or usage.cache_read_image_tokens
        )
    ):
        return usage
    return _repaired(usage)


def _repaired(usage: Usage) -> Usage:
    cached_audio = min(usage.cache_read_audio_tokens, usage.input_audio_tokens)
    cached_image = min(usage.cache_read_image_tokens, usage.input_image_tokens)
    cached = max(usage.cache_read_tokens, cached_audio + cached_image)
    media = usage.input_audio_tokens + usage.input_image_tokens + usage.input_video_tokens
    uncached_media = media - cached_audio - cached_image
    inputs = cached + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + uncached_media
    input_total = max(usage.input_tokens, inputs)
    outputs = usage.reasoning_tokens + usage.citation_tokens
    outputs += usage.output_audio_tokens + usage.output_image_tokens + usage.output_video_tokens
    repaired = msgspec.structs.replace(
        usage,
        input_tokens=input_total,
        output_tokens=max(usage.output_tokens, outputs),
        cache_read_tokens=cached,
        cache_read_audio_tokens=cached_audio,
        cache_read_image_tokens=cached_image,
        tool_input_tokens=min(usage.tool_input_tokens, input_total - inputs),
    )
    return usage if repaired == usage else repaired
