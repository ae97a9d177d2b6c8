"""The written form of teams and their keys."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from gateway.auth.keys import parse_hash
from gateway.settings.schema_base import ModelName, Moment, Money, Name, Percent, Section, is_text

PLACEHOLDERS = ("sha256:…", "sha256:...", "hmac:…", "hmac:...")
"""What examples write for a hash; such a key matches nothing and `tollway check` says so."""


def _check_hash(text: str) -> str:
    if text not in PLACEHOLDERS:
        parse_hash(text)
    return text


KeyHash = Annotated[str, AfterValidator(_check_hash)]


class KeySection(Section):
    """A virtual key, known by its hash only."""

    id: Name = Field(description="Name of the key in reports and logs; unique in the whole configuration.")
    hash: KeyHash = Field(
        description="sha256:HEX (SHA-256 of the key) or hmac:HEX (HMAC-SHA-256 with secrets.key_hash), 64 hex digits."
    )
    name: str | None = Field(None, description="Free text for people.")
    expires: Moment | None = Field(None, description="UTC date, or time with zone, from which on it is refused.")
    models: list[ModelName] | None = Field(
        None, description="Models this key may use, among its team's; wildcards as prefix*. Default: all its team's."
    )
    tags: dict[str, str] = Field({}, description="Cost attribution tags; they win over the team's.")


class DowngradeSection(Section):
    """Serve a cheaper model when the budget is used up."""

    downgrade: ModelName = Field(description="Name of the model to serve instead.")


class BudgetSection(Section):
    """What a team may spend. Accepted and checked; this version does not enforce it."""

    amount: Money = Field(description="US dollars per period, such as 500 USD.")
    per: Literal["hour", "day", "week", "month", "year"] = Field("month", description="The period, in UTC.")
    soft: Percent | None = Field(None, description="Share of the amount from which on to warn, such as 80%.")
    when_exhausted: Annotated[
        Annotated[Literal["block", "warn"], Tag("<text>")] | Annotated[DowngradeSection, Tag("<mapping>")],
        Discriminator(lambda value: "<text>" if is_text(value) else "<mapping>"),
    ] = Field("block", description="block, warn, or {downgrade: MODEL}.")


class TeamLimitsSection(Section):
    """How fast a team may go. Accepted and checked; this version does not enforce it."""

    requests_per_minute: int | None = Field(None, ge=1, description="Requests in any minute.")
    tokens_per_minute: int | None = Field(None, ge=1, description="Tokens in any minute, input and output.")
    concurrent: int | None = Field(None, ge=1, description="Requests open at one time, streams to their end.")


class TeamSection(Section):
    """A team: who pays, what it may use, and its keys."""

    models: list[ModelName] | None = Field(
        None, description="Models it may use; wildcards as prefix*. Default: all. An empty list: none."
    )
    tags: dict[str, str] = Field({}, description="Cost attribution tags of every request of the team.")
    keys: list[KeySection] = Field([], description="Virtual keys; more can be made with `tollway keys create`.")
    budget: BudgetSection | None = Field(None, description="What it may spend (not enforced by this version).")
    limits: TeamLimitsSection | None = Field(None, description="How fast it may go (not enforced by this version).")
    guardrails: (
        Annotated[
            Annotated[Name, Tag("<text>")] | Annotated[list[Name], Tag("<list>")],
            Discriminator(lambda value: "<text>" if is_text(value) else "<list>"),
        ]
        | None
    ) = Field(None, description="Guardrail policy that inspects its texts, or a list of policies. Default: none.")

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of its guardrail policies, each once."""
        named = self.guardrails or ()
        return (named,) if isinstance(named, str) else tuple(dict.fromkeys(named))
