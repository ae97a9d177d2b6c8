"""What an exchange consumed and what that costs: the two value types every other room shares."""

import msgspec


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Consumption of one exchange, in tokens unless a field says otherwise.

    `input_tokens` and `output_tokens` are totals; every other token field is a part of one of them
    (so Anthropic's `input_tokens`, which excludes cache reads and writes, is added up when it is read).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cache_read_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    cache_read_image_tokens: int = 0
    input_video_tokens: int = 0
    output_video_tokens: int = 0
    citation_tokens: int = 0
    """Output tokens of quoted sources, where a provider prices them apart."""
    tool_input_tokens: int = 0
    web_searches: int = 0
    """Number of server-side web searches, billed per call."""
    file_searches: int = 0
    """Number of server-side searches of stored files, billed per call."""
    pages: int = 0
    """Document pages read, for prices per page."""
    characters: int = 0
    """Characters of input text, for prices per character (speech)."""
    images: int = 0
    """Images asked for, for prices per image."""
    requests: int = 1
    """Number of requests, for prices per request."""
    seconds: float = 0.0
    """Audio or GPU seconds, for prices per second."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Price of one exchange. Money is integer nano-dollars (1e-9 USD), rounded once, half to even."""

    nanos: int | None
    """Total in nano-dollars; None when the model has no known price (never 0 for unknown)."""
    price_version: str = ""
    """Which catalogue gave the rates, such as `genai-prices/0.2.3` or `config/2026-11-01`."""

    @property
    def priced(self) -> bool:
        return self.nanos is not None


UNPRICED = Cost(nanos=None)
