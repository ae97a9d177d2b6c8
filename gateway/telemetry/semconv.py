"""The names of what a span says: one table of OpenTelemetry's conventions, in the two versions that are about.

The GenAI conventions left OpenTelemetry's core repository after 1.41 for one of their own
(https://github.com/open-telemetry/semantic-conventions-genai), which renamed some and added others; most tools still
read the names of 1.41. What neither version has a name for begins with `tollway.`.
"""

from typing import Literal, get_args

import msgspec

Semconv = Literal["v1_41", "latest", "both"]
SEMCONVS: tuple[Semconv, ...] = get_args(Semconv)

SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"
"""Said of spans that use the names of 1.41 only."""


class Names(msgspec.Struct, frozen=True, cache_hash=True):
    """Names of the attributes that GenAI spans share, each under every name it has in the version chosen; empty where
    that version has none. Types: text, but for tokens and counts (int), `stream` (bool), `first_chunk` (seconds)."""

    operation: tuple[str, ...]
    provider: tuple[str, ...]
    request_model: tuple[str, ...]
    response_model: tuple[str, ...]
    max_tokens: tuple[str, ...]
    choices: tuple[str, ...]
    stream: tuple[str, ...]
    first_chunk: tuple[str, ...]
    input_tokens: tuple[str, ...]
    output_tokens: tuple[str, ...]
    cache_read: tuple[str, ...]
    cache_write: tuple[str, ...]
    reasoning: tuple[str, ...]
    input_audio: tuple[str, ...]
    output_audio: tuple[str, ...]
    cache_read_audio: tuple[str, ...]
    input_image: tuple[str, ...]
    output_image: tuple[str, ...]
    cache_read_image: tuple[str, ...]
    request_tier: tuple[str, ...]
    response_tier: tuple[str, ...]


TABLE: dict[str, tuple[str, str]] = {
    "operation": ("gen_ai.operation.name", "gen_ai.operation.name"),
    "provider": ("gen_ai.provider.name", "gen_ai.provider.name"),
    "request_model": ("gen_ai.request.model", "gen_ai.request.model"),
    "response_model": ("gen_ai.response.model", "gen_ai.response.model"),
    "max_tokens": ("gen_ai.request.max_tokens", "gen_ai.request.max_tokens"),
    "choices": ("gen_ai.request.choice.count", "gen_ai.request.choice.count"),
    "stream": ("gen_ai.request.stream", "gen_ai.request.stream"),
    "first_chunk": ("gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_chunk"),
    "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.input_tokens"),
    "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.output_tokens"),
    "cache_read": ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read.input_tokens"),
    "cache_write": ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens"),
    "reasoning": ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning.output_tokens"),
    "input_audio": ("", "gen_ai.usage.audio.input_tokens"),
    "output_audio": ("", "gen_ai.usage.audio.output_tokens"),
    "cache_read_audio": ("", "gen_ai.usage.audio.cache_read.input_tokens"),
    "input_image": ("", "gen_ai.usage.image.input_tokens"),
    "output_image": ("", "gen_ai.usage.image.output_tokens"),
    "cache_read_image": ("", "gen_ai.usage.image.cache_read.input_tokens"),
    "request_tier": ("openai.request.service_tier", "openai.request.service_tier"),
    "response_tier": ("openai.response.service_tier", "openai.response.service_tier"),
}
"""Field of `Names` → its name in 1.41 and in the latest version; empty: none."""

OPERATIONS: dict[str, str] = {
    "chat.completions": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""Our operations → `gen_ai.operation.name`. What is not here is no GenAI operation of the conventions."""

_HOSTS: tuple[tuple[str, str], ...] = (
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    (".amazonaws.com", "aws.bedrock"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
)

SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
ERROR_TYPE = "error.type"
HTTP_METHOD = "http.request.method"
HTTP_STATUS = "http.response.status_code"
HTTP_RESENDS = "http.request.resend_count"


def names_of(semconv: Semconv) -> Names:
    """The names of one version, or of both."""
    chosen = {"v1_41": (0,), "latest": (1,), "both": (0, 1)}[semconv]
    return Names(**{field: tuple(dict.fromkeys(row[at] for at in chosen if row[at])) for field, row in TABLE.items()})


def provider_name(host: str, dialect: str) -> str:
    """The well-known `gen_ai.provider.name` of who answers at `host`; of anybody else the dialect it speaks, which is
    what the attribute tells apart ("telemetry format flavor")."""
    for known, name in _HOSTS:
        if host == known or (known.startswith(".") and host.endswith(known)) or host.endswith("-" + known):
            return name
    return dialect
