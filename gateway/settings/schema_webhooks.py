"""The written form of webhooks: who is told of budgets."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from gateway.settings.schema_base import Secret, Section
from gateway.webhooks.signing import parse_secret

EVENTS = ("budget.soft", "budget.exhausted", "budget.forecast_exhausted")


def check_url(secret: SecretStr) -> SecretStr:
    """A URL that can be called. Raises `ValueError`."""
    allowed = "allowed is https://HOST/PATH, or http://…"
    try:
        parts = urlsplit(secret.get_secret_value())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"this is not a URL that can be called; {allowed}")
    return secret


def check_secret(secret: SecretStr) -> SecretStr:
    """A webhook secret. Raises `ValueError`."""
    parse_secret(secret.get_secret_value())
    return secret


class WebhookSection(Section):
    """A receiver of events, called with a signed POST as Standard Webhooks 1.0 has it."""

    url: Annotated[Secret, AfterValidator(check_url)] = Field(description="Where to: http or https.")
    secret: Annotated[Secret, AfterValidator(check_secret)] = Field(
        description="Signs what is sent: whsec_ and 24 to 64 random bytes in base64."
    )
    events: list[Literal["budget.soft", "budget.exhausted", "budget.forecast_exhausted"]] = Field(
        list(EVENTS), min_length=1, description="What it is told. Default: everything."
    )
