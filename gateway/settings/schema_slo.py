"""The written form of service level objectives: `config/slo.yaml`, after the ideas of OpenSLO.

Objectives belong to whoever watches gateways, not to one gateway, so they stand in a file of their own.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from gateway.settings.schema_base import (
    Duration,
    ModelName,
    Name,
    Percent,
    Section,
    duration,
    is_text,
    percent,
    section,
)

Indicator = Literal["availability", "first_byte", "overhead", "guardrails", "ledger"]
AlertName = Literal[
    "TollwayDown",
    "TollwayCredentialDown",
    "TollwayProviderErrors",
    "TollwayDefect",
    "TollwayJournalUnhealthy",
    "TollwayExchangesLost",
    "TollwayLoaderDown",
    "TollwayLedgerLag",
    "TollwayLinesRejected",
    "TollwayUnpriced",
    "TollwayLimitStoreAway",
    "TollwaySettlementsLost",
    "TollwayHoldsExpired",
    "TollwayGuardrailFailures",
    "TollwayGuardrailDemoted",
    "TollwayReloadFailed",
    "TollwayWorkersDiffer",
    "TollwayMetricsFailures",
    "TollwayTracesLost",
    "TollwayWebhooksDead",
]
Operations = Literal[
    "chat.completions",
    "completions",
    "responses",
    "embeddings",
    "moderations",
    "models",
    "messages",
    "messages.count_tokens",
    "passthrough",
]


def _check_version(value: object) -> object:
    if value not in ("1", 1):
        raise ValueError("this version of the objectives is not known; allowed is 1")
    return value


def _check_target(fraction: float) -> float:
    if not 0.5 <= fraction <= 0.99999:
        raise ValueError("this is no target one can keep or miss; allowed is 50% to 99.999%")
    return fraction


def _check_label(text: str) -> str:
    if not text.isascii() or not text.isidentifier() or text.startswith("__"):
        raise ValueError("this is not a name of a Prometheus label; allowed are letters, digits and '_'")
    if text in ("alertname", "severity", "slo", "sli"):
        raise ValueError("alerts have a label of this name already; allowed is any other")
    return text


class ObjectiveSection(Section):
    """One promise, kept or broken within a sliding window of 30 days."""

    sli: Indicator = Field(
        description="What is measured: availability, first_byte (time to the first byte), overhead (the gateway's own "
        "part of it), guardrails (time they take over a request), ledger (how far the database is behind)."
    )
    target: Annotated[Percent, AfterValidator(_check_target)] = Field(
        description="Share of events that must be good, such as 99.5%."
    )
    within: Duration | None = Field(
        None, description="An event is good up to here, such as 2.5s; for every indicator but availability."
    )
    teams: (
        Annotated[
            Annotated[Name, Tag("<text>")] | Annotated[list[Name], Tag("<list>")],
            Discriminator(lambda value: "<text>" if is_text(value) else "<list>"),
        ]
        | None
    ) = Field(None, description="A class of teams, or a list of teams. Default: everybody.")
    models: list[ModelName] | None = Field(
        None, description="Models as providers call them; wildcards as prefix*. Default: all."
    )
    providers: list[Name] | None = Field(None, description="Providers that served. Default: all.")
    operations: list[Operations] | None = Field(None, description="Operations, such as chat.completions. Default: all.")
    mode: Literal["stream", "unary"] | None = Field(
        None, description="Streamed or whole answers. Default: stream for first_byte, both for overhead."
    )
    at_least: int = Field(
        5, ge=1, description="Bad events in the longer window below which nobody is told: one failure is no incident."
    )
    description: str = Field("", description="What it means to the people it was promised to.")


class ReceiverSection(Section):
    """Where Alertmanager sends alerts of one severity. Secrets stay in files that Alertmanager reads itself."""

    webhook: str | None = Field(None, min_length=1, description="URL that takes Alertmanager's JSON.")
    webhook_file: str | None = Field(
        None, min_length=1, description="File with such a URL, when it is a secret; Alertmanager 0.26 or newer."
    )
    pagerduty_key_file: str | None = Field(None, min_length=1, description="File with a PagerDuty integration key.")
    slack_url_file: str | None = Field(None, min_length=1, description="File with a Slack webhook URL.")
    slack_channel: str | None = Field(None, min_length=1, description="Channel for slack_url_file, such as #oncall.")


class NotifySection(Section):
    """Who is told. An empty list: nobody, alerts only show in Prometheus and Alertmanager."""

    page: list[ReceiverSection] = Field([], description="Somebody must act now.")
    ticket: list[ReceiverSection] = Field([], description="Somebody must act within days.")


class AlertsSection(Section):
    """Alerts beside the objectives."""

    off: list[AlertName] = Field([], description="Names of alerts that are not wanted, such as TollwayUnpriced.")
    ledger_lag: Duration = duration("15m", "How far the database may be behind the journal.", gt=0)
    provider_errors: Percent = percent("50%", "Share of a provider's answers that may be failures.", gt=0)


LabelName = Annotated[str, AfterValidator(_check_label)]


class SloRoot(Section):
    """A whole file of objectives."""

    version: Annotated[int, BeforeValidator(_check_version), WithJsonSchema({"const": 1})] = Field(
        description="Version of this format: 1."
    )
    job: Name = Field("tollway", description="The job by whose name Prometheus scrapes the gateways.")
    runbooks: str = Field(
        "docs/slo.md", min_length=1, description="Page with what to do, for links in alerts: a path or a URL."
    )
    labels: dict[LabelName, str] = Field({}, description="Labels that every alert gets, such as {service: tollway}.")
    teams: dict[Name, list[Name]] = Field({}, description="Classes of teams, such as gold: [search, support].")
    objectives: dict[Name, ObjectiveSection] = Field(description="Objectives by name.")
    alerts: AlertsSection = section(AlertsSection, "Alerts beside the objectives.")
    notify: NotifySection = section(NotifySection, "Who is told.")
