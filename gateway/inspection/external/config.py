"""How one external detector is reached, and what happens when it does not answer."""

from typing import Literal

import msgspec

Kind = Literal[
    "openai-moderations",
    "presidio",
    "lakera",
    "azure-content-safety",
    "bedrock",
    "llama-guard",
    "litellm",
    "webhook",
]
"""Which wire shape the service speaks."""


class ExternalConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One external detector. Compared by value, so that a reload keeps the caller of an unchanged one."""

    name: str
    """What the configuration calls it; the first part of every rule id, such as `moderation/hate`."""
    kind: Kind
    base_url: str
    """Where the service is; each shape adds its path. openai-moderations and llama-guard: up to and with `/v1` (one of
    our own routes works). bedrock: `https://bedrock-runtime.REGION.amazonaws.com`. webhook: the whole URL."""
    api_key: str = ""
    """Bearer token, subscription key (azure), secret access key (bedrock with `key_id`) or signing secret (webhook).
    Several webhook secrets, newest first and separated by spaces, sign side by side while one is replaced."""
    key_id: str = ""
    """bedrock: access key id; the request is then signed (SigV4). Without it `api_key` is sent as a bearer token."""
    session_token: str = ""
    """bedrock: token of temporary credentials."""
    region: str = ""
    """bedrock: region to sign for; empty: read from the host name."""
    guardrail: str = ""
    """bedrock: guardrail id or ARN. lakera: project id."""
    version: str = ""
    """bedrock: guardrail version (empty: `DRAFT`). azure: `api-version` (empty: `2024-09-01`)."""
    model: str = ""
    """openai-moderations and llama-guard: the model to ask."""
    prompt: str = ""
    """llama-guard: a policy sent as the system message; empty: the model's own template decides."""
    language: str = "en"
    """presidio: language of the texts."""
    entities: tuple[str, ...] = ()
    """presidio: entities to look for. azure: categories (`Hate`, `SelfHarm`, `Sexual`, `Violence`). Empty: all."""
    blocklists: tuple[str, ...] = ()
    """azure: names of blocklists to apply."""
    params: dict[str, object] = {}
    """litellm and webhook: passed on as they are (`additional_provider_specific_params`, `params`)."""
    headers: dict[str, str] = {}
    """Further request headers."""
    ca_file: str | None = None
    """PEM file that replaces the system's trust store."""

    threshold: float | None = None
    """Score from which a finding counts, 0 to 1. None: the service's own decision counts."""

    deadline: float = 2.0
    """Seconds for one inspection, queueing and every call of it included."""
    on_failure: Literal["open", "closed"] = "closed"
    """Whether a text that could not be judged passes (`open`) or not (`closed`)."""
    concurrency: int = 32
    """Calls under way at one time."""
    queue: int = 256
    """Calls that may wait for a free place; beyond it an inspection fails at once."""
    max_text: int = 200_000
    """Characters of one inspection, all texts together; beyond it the inspection fails without a call."""
    max_answer: int = 1_048_576
    """Bytes of one answer; a larger one is a failure and is not read further."""
    cache_seconds: float = 300.0
    """How long a verdict is remembered under the keyed hash of its text; 0: not at all."""
    cache_entries: int = 10_000
    """Verdicts remembered at most."""
    failures: int = 5
    """Consecutive failures that open the circuit."""
    back_off: float = 1.0
    """Seconds the circuit stays open at first; doubled at each failed probe."""
    longest_back_off: float = 60.0
    """Seconds."""

    def __repr__(self) -> str:
        """Without the credentials."""
        return f"ExternalConfig(name={self.name!r}, kind={self.kind!r})"
