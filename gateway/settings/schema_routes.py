"""The written form of providers and models."""

import re
from collections.abc import Collection
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, field_validator

from gateway.settings.schema_base import (
    Duration,
    ModelName,
    Name,
    Off,
    OptionalSecret,
    Percent,
    Secret,
    Section,
    Switch,
    duration,
    kind_of,
    percent,
    section,
)
from gateway.settings.schema_limits import CapacitySection

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
OURS_ALWAYS = frozenset(
    {
        *("host", "expect", "te", "trailer", "upgrade", "connection", "keep-alive", "content-length", "content-type"),
        *("transfer-encoding", "accept-encoding"),
    }
)
"""Header fields that say where a message ends or how it is written, on every request of ours."""
_OURS = frozenset(
    {
        *("authorization", "proxy-authorization", "x-api-key", "cookie", "host", "expect", "te", "trailer", "upgrade"),
        *("connection", "keep-alive", "content-length", "content-type", "transfer-encoding"),
    }
)
"""Header fields that the gateway writes itself, or that would change where a message ends."""


def check_url(text: str) -> str:
    """An http(s) base URL without credentials, query or fragment."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(f"this is not a URL; {_URL_HINT}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"this is not an http or https URL; {_URL_HINT}")
    if "@" in parts.netloc:
        raise ValueError("this URL holds credentials; give them as api_key or headers")
    if parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"a base URL has no query, fragment or port 0; {_URL_HINT}")
    return text


_URL_HINT = "allowed is a base URL such as https://api.openai.com/v1"


def _check_proxy(secret: SecretStr | None) -> SecretStr | None:
    text = secret.get_secret_value() if secret else "http://x"
    try:
        parts = urlsplit(text)
        _ = parts.port
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("this is not a proxy URL; allowed is http://HOST:PORT or https://HOST:PORT")
    return secret


def check_headers(headers: dict[str, SecretStr], ours: Collection[str]) -> dict[str, SecretStr]:
    """Extra header fields; `ours` may not be among them."""
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in ours:
            raise ValueError(
                "one of these names cannot be set; allowed are HTTP field names, but for those that the gateway "
                "writes itself, such as host, authorization and content-length"
            )
        if not _VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("one of these values cannot stand in a header; allowed is printable ASCII on one line")
    return headers


class TimeoutsSection(Section):
    """Time-outs of one provider."""

    connect: Duration = duration("5s", "To open a connection, TLS included.", gt=0)
    queue: Duration = duration("5s", "Wait for a free connection when max_connections are in use.", gt=0)
    header: Duration = duration("5m", "To the head of a unary answer, which comes when it is generated.", gt=0)
    first_event: Duration = duration("60s", "To the first event of a stream (time to first token).", gt=0)
    idle: Duration = duration("60s", "Between two events of a stream; comments and keep-alives do not count.", gt=0)
    total: Duration = duration("10m", "The whole exchange, retries and fallbacks included.", gt=0)


class TlsSection(Section):
    """TLS options of one provider. Verification is always on."""

    ca_file: str | None = Field(None, description="PEM file of the authorities to trust instead of the system's.")
    cert_file: str | None = Field(None, description="Client certificate chain (PEM).")
    key_file: str | None = Field(None, description="Client key (PEM), when it is not in cert_file.")
    server_name: str | None = Field(
        None, description="Name to ask for (SNI) and verify, when it is not the URL's host."
    )


class BreakerSection(Section):
    """When a provider's model is left alone, if another target can serve. Each worker finds out by itself."""

    failures: int = Field(5, ge=1, le=10_000, description="Attempts in a row that fail and open its circuit.")
    errors: Percent = percent("50%", "Share of the attempts of a window that opens it, too.", gt=0)
    least: int = Field(20, ge=1, le=1_000_000, description="Attempts of a window from which on its share counts.")
    window: Duration = duration("30s", "Length of a window.", gt=0)
    back_off: Duration = duration(
        "2s", "How long it is left alone before one request tries it again; doubles if that fails.", gt=0
    )
    longest: Duration = duration("60s", "Longest back-off.", gt=0)


class ProviderSection(Section):
    """A model provider: where it is, how it is spoken to, and with which credential."""

    dialect: Literal["openai", "anthropic"] = Field(
        description="Wire format it speaks: openai (also every compatible server: vLLM, Ollama, …) or anthropic."
    )
    base_url: Annotated[str, AfterValidator(check_url)] = Field(
        description="http or https URL that operation paths are added to, such as https://api.openai.com/v1."
    )
    api_key: OptionalSecret = Field(None, description="Credential, sent as the dialect wants it. Empty: none is sent.")
    headers: dict[str, Secret] = Field({}, description="Extra header fields sent with every request.")
    timeouts: TimeoutsSection = section(TimeoutsSection, "Time-outs; durations.")
    tls: TlsSection | None = Field(None, description="TLS options, for https base URLs.")
    max_connections: int = Field(
        1000, ge=1, le=100_000, description="Connections in use at one time, per worker; more requests wait in line."
    )
    max_idle: int = Field(256, ge=0, le=100_000, description="Unused connections kept open, per worker.")
    idle_connection: Duration = duration("55s", "How long an unused connection is kept.", gt=0)
    proxy: OptionalSecret = Field(None, description="Egress proxy URL for this provider. Uses the httpx transport.")
    http2: Switch = Field(False, description="Speak HTTP/2 to it. Uses the httpx transport.")
    asks_usage: Switch = Field(
        True, description="Whether it understands stream_options.include_usage; off for servers that refuse it."
    )
    capacity: CapacitySection | None = Field(
        None,
        description="What it takes at one time, shared fairly between teams. Default: max_connections.",
    )
    breaker: Annotated[
        Annotated[Off, Tag("<text>")] | Annotated[BreakerSection, Tag("<mapping>")], Discriminator(kind_of)
    ] = section(BreakerSection, "The circuit breaker of each of its models; off: they are tried however they fail.")
    prices: Name | None = Field(
        None,
        description="Provider id in the price catalogue (openai, anthropic, google, …), or a name that own prices use. "
        "Default: models are found by their name alone.",
    )

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return check_headers(headers, _OURS)

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[\x21-\x7e]+", key.get_secret_value()):
            raise ValueError("this key cannot stand in a header; allowed is printable ASCII without spaces")
        return key

    @field_validator("proxy")
    @classmethod
    def _proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        return _check_proxy(proxy)


class TargetSection(Section):
    """A model at a provider."""

    provider: Name = Field(description="Name of a provider of this configuration.")
    model: ModelName | None = Field(
        None,
        description="What the provider calls it. Default: the name asked for, without the namespace of a wildcard such "
        "as local/*. A * stands for what the route's * matched.",
    )
    weight: int = Field(1, ge=1, le=1_000_000, description="Share of the requests among this route's targets.")


class RetrySection(Section):
    """How often all targets are tried again after each of them failed once."""

    rounds: int = Field(0, ge=0, le=10, description="Further walks over all targets and fallbacks.")
    backoff: Duration = duration("250ms", "Wait before the second walk; doubles with each further one.", gt=0)
    max_backoff: Duration = duration(
        "5s", "Longest wait, and the longest retry-after of a provider that is waited for.", gt=0
    )


class ModelSection(Section):
    """What a model name means: the targets that can serve it, and what comes when all of them fail."""

    targets: list[TargetSection] = Field(min_length=1, description="Who serves it; chosen by weight for each request.")
    fallbacks: list[ModelName] = Field(
        [], description="Names of other models of this configuration, tried in order when every target has failed."
    )
    retry: RetrySection = section(RetrySection, "Further walks over all of them.")
    max_output_tokens: int | None = Field(
        None,
        ge=1,
        description="The most output tokens an answer can have: what limits and budgets reserve for a request that "
        "sets no maximum itself. Default: 4096 is reserved.",
    )
