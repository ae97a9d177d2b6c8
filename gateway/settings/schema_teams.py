"""The written form of teams and their keys."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, PrivateAttr, Tag

from gateway.auth.keys import parse_hash
from gateway.settings.schema_base import ModelName, Moment, Name, Section, Tags, is_text
from gateway.settings.schema_limit_values import Zone
from gateway.settings.schema_limits import Budgets, OwnLimitsSection

PLACEHOLDERS = ("sha256:…", "sha256:...", "hmac:…", "hmac:...")
"""What examples write for a hash; such a key matches nothing and `tollway check` says so."""


def _check_hash(text: str) -> str:
    if text not in PLACEHOLDERS:
        parse_hash(text)
    return text


Priority = Literal["interactive", "batch"]
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
    tags: Tags = Field({}, description="Cost attribution tags; they win over the team's.")
    budget: Budgets | None = Field(None, description="What it may spend: one budget or a list; []: no limit.")
    limits: OwnLimitsSection | None = Field(None, description="How fast it may go.")
    priority: Priority | None = Field(None, description="interactive or batch. Default: the team's.")
    passthrough: Literal["on", "off"] | None = Field(
        None,
        description="off: no operation that is passed through (files, batches, assistants, …). Default: the team's; on "
        "does not give what the team has not.",
    )


PolicyNames = Annotated[
    Annotated[Name, Tag("<text>")] | Annotated[list[Name], Tag("<list>")],
    Discriminator(lambda value: "<text>" if is_text(value) else "<list>"),
]


class TeamSection(Section):
    """A team: who pays, what it may use, and its keys."""

    models: list[ModelName] | None = Field(
        None, description="Models it may use; wildcards as prefix*. Default: all. An empty list: none."
    )
    tags: Tags = Field({}, description="Cost attribution tags of every request of the team.")
    budget: Budgets | None = Field(None, description="What it may spend: one budget or a list; []: no limit.")
    limits: OwnLimitsSection | None = Field(None, description="How fast it may go, all its keys together.")
    zone: Zone | None = Field(
        None, description="Time zone of its calendar days and months, such as Europe/Berlin. Default: limits.zone."
    )
    weight: int = Field(
        1, ge=1, le=1000, description="Its share of a provider's capacity, among the teams that want it at that moment."
    )
    priority: Priority = Field(
        "interactive", description="interactive, or batch: served when nothing interactive waits for the provider."
    )
    passthrough: Literal["on", "off"] = Field(
        "on",
        description="off: its keys may use the operations that the gateway reads, and none that is passed through "
        "(files, batches, assistants, …).",
    )
    keys: list[KeySection] = Field([], description="Virtual keys; more can be made with `tollway keys create`.")
    guardrails: PolicyNames | None = Field(
        None,
        description="Guardrail policy that inspects its texts, or a list of policies, beside those of baseline. "
        "Default: none.",
    )
    _baseline: PolicyNames = PrivateAttr(default_factory=list)

    def stand_on(self, baseline: PolicyNames) -> None:
        """Have the policies of everybody, too."""
        self._baseline = baseline

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the guardrail policies that hold for it, those of everybody first, each once."""
        return tuple(dict.fromkeys((*policy_names(self._baseline), *policy_names(self.guardrails or []))))


def policy_names(written: PolicyNames) -> list[str]:
    """One name, or a list of them."""
    return [written] if isinstance(written, str) else written
