"""The written form of the incident detector: thresholds, and who is told."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gateway.settings.schema_base import Duration, Money, OptionalSecret, Percent, Section, duration, percent
from gateway.settings.schema_webhooks import check_secret, check_url


def _check_url(secret: SecretStr | None) -> SecretStr | None:
    return None if secret is None else check_url(secret)


def _check_secret(secret: SecretStr | None) -> SecretStr | None:
    return None if secret is None else check_secret(secret)


class ReceiverSection(Section):
    """Somebody who is told of incidents."""

    kind: Literal["webhook", "alertmanager", "pagerduty"] = Field(
        "webhook", description="webhook: signed JSON of ours; alertmanager: its API v2; pagerduty: Events API v2."
    )
    url: Annotated[OptionalSecret, AfterValidator(_check_url)] = Field(
        None, description="Where to: http or https. pagerduty: PagerDuty's own unless written."
    )
    secret: Annotated[OptionalSecret, AfterValidator(_check_secret)] = Field(
        None, description="webhook: signs what is sent; whsec_ and 24 to 64 random bytes in base64."
    )
    routing_key: OptionalSecret = Field(None, description="pagerduty: the integration key of the service.")
    severities: list[Literal["page", "ticket"]] = Field(
        ["page", "ticket"], min_length=1, description="Which incidents it is told of."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "pagerduty":
            if self.routing_key is None:
                raise ValueError("pagerduty needs a routing_key: the integration key of a service (Events API v2)")
        elif self.url is None:
            raise ValueError(f"{self.kind} needs a url: https://HOST/PATH, or http://…")
        if self.kind == "webhook" and self.secret is None:
            raise ValueError("webhook needs a secret: whsec_ and 24 to 64 random bytes in base64")
        return self


class IncidentsSection(Section):
    """Built-in incident detector. It reads the gateway's own metrics and roll-ups, beside requests."""

    interval: Duration = duration("5s", "Between two looks.", ge=0.1)
    objective: Percent = percent("99.9%", "Share of requests that are to be served; burn rates are against it.", lt=1)
    provider_errors: Percent = percent("50%", "Share of a provider's attempts in a minute that fail.", gt=0)
    least_requests: int = Field(10, ge=1, description="Fewer failures or attempts than this open no incident.")
    guardrail_factor: float = Field(
        4.0, gt=1, description="Blocks or shadow hits of a rule in 5 minutes, as a multiple of the hour before."
    )
    spend_z: float = Field(
        6.0,
        gt=0,
        description="A team's spend in an hour, in robust standard deviations from the same hour of the week.",
    )
    spend_floor: Money = Field(
        10 * 10**9,
        gt=0,
        description="Least spend above the usual that counts.",
        json_schema_extra={"default": "10 USD"},
    )
    ledger_lag: Duration = duration("5m", "Age of the oldest exchange that is not in the database.", gt=0)
    resolve_after: Duration = duration("1m", "How long all must be well before an incident is resolved.", ge=0)
    notify: list[ReceiverSection] = Field([], description="Who is told when an incident opens, worsens and resolves.")
