"""The written `telemetry` section: metrics, logs, and the traces that go to a collector."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, WithJsonSchema

from gateway.settings.schema_base import (
    Count,
    Duration,
    Name,
    Off,
    OptionalSecret,
    Percent,
    Secret,
    Section,
    Share,
    Switch,
    duration,
    kind_of,
    percent,
)
from gateway.settings.units import parse_duration

_ENDPOINT = re.compile(r"https?://[^\s/?#]+[^\s?#]*")
_ENDPOINT_PAGE = re.compile(r"https?://[^\s/?#{}<>\"']+[^\s<>\"']*")
_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
_FIELD_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
_OWN_FIELDS = ("content-type", "content-length", "content-encoding", "host", "transfer-encoding", "connection")


LEAST_INTERVAL = 1.0


def _check_endpoint(secret: SecretStr | None) -> SecretStr | None:
    if secret is not None and not _ENDPOINT.fullmatch(secret.get_secret_value().strip()):
        raise ValueError(
            "this is not an OTLP endpoint; allowed is an http:// or https:// URL such as http://collector:4318"
        )
    return secret


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _FIELD.fullmatch(name) or name.lower() in _OWN_FIELDS:
            raise ValueError("this is not the name of a header field that may be set; allowed is one such as api-key")
        if not _FIELD_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError("a header field's value is not allowed; allowed is printable ASCII")
    return headers


def _check_trace_url(url: str) -> str:
    if url and not (_ENDPOINT_PAGE.fullmatch(url) and "{trace_id}" in url):
        raise ValueError(
            "this is not the address of a trace; allowed is an http:// or https:// URL with {trace_id} in it, such as "
            "https://traces.example/trace/{trace_id}"
        )
    return url


def _interval(value: object) -> object:
    if not isinstance(value, str) or value == "off":
        return 0.0 if value == "off" else value
    try:
        seconds = parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}; and off") from None
    if seconds < LEAST_INTERVAL:
        raise ValueError(f"this is too often; allowed are {LEAST_INTERVAL:g}s or more, and off")
    return seconds


Interval = Annotated[float, BeforeValidator(_interval), WithJsonSchema({"type": "string", "examples": ["off", "60s"]})]
"""Seconds, or 0 for off."""


class ContentSection(Section):
    """What was said, in the spans of these teams: requests and answers as guardrails let them pass."""

    teams: list[Name] = Field(min_length=1, description="Teams that have opted in. There is no word for all of them.")
    max_characters: Count = Field(
        16_000,
        ge=256,
        le=1_000_000,
        description="So many of a request, and of an answer, are told, such as 16k; the rest is cut.",
    )


class TelemetrySection(Section):
    """What is emitted. `sample`, `keep`, `slow`, `content`, `access_log` and `trace_url` follow a reload; the rest is
    read at the start."""

    trace_url: Annotated[str, AfterValidator(_check_trace_url)] = Field(
        "",
        description="Where a trace can be seen, for links of the console: a URL with {trace_id} in it, such as "
        "https://traces.example/trace/{trace_id}. Empty: the console shows the id to copy.",
    )
    metrics: Switch = Field(True, description="Prometheus metrics at /metrics.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text for people.")
    access_log: Share = Field(
        0.0,
        description="A log line for every request, for none, or for a share of them.",
        json_schema_extra={"default": "off"},
    )
    otlp: Annotated[OptionalSecret, AfterValidator(_check_endpoint)] = Field(
        None,
        description="Collector that gets traces by OTLP (http/protobuf), such as http://collector:4318. Empty: off.",
    )
    headers: Annotated[dict[str, Secret], AfterValidator(_check_headers)] = Field(
        {}, description="Header fields sent along with traces, such as the key of a hosted collector."
    )
    sample: Percent = percent("5%", "Share of ordinary requests that are traced.")
    keep: list[Literal["error", "blocked", "slow", "refused"]] = Field(
        ["error", "blocked", "slow"],
        description="Requests that are always traced: error (the provider or the gateway failed), blocked (by a "
        "guardrail or an exhausted budget), slow, refused (by the gateway: key, model, size, limits).",
    )
    slow: Duration = duration("30s", "A request that takes longer is slow.", gt=0)
    semconv: Literal["v1_41", "latest", "both"] = Field(
        "v1_41", description="Version of OpenTelemetry's GenAI names that spans use."
    )
    otlp_metrics: Interval = Field(
        0.0,
        description="How often metrics are sent to the collector of `otlp` too, such as 60s; off: they are scraped.",
        json_schema_extra={"default": "off"},
    )
    content: Annotated[
        Annotated[Off, Tag("<text>")] | Annotated[ContentSection, Tag("<mapping>")], Discriminator(kind_of)
    ] = Field("off", description="Teams whose requests and answers are in traces; off: no text is in any span.")
