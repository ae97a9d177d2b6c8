"""The written form of guardrail policies: rules, as `guardrails: {POLICY: [RULE, …]}`."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema, field_validator

from gateway.settings.schema_base import (
    Count,
    Duration,
    ModelName,
    Name,
    OptionalSecret,
    Percent,
    Secret,
    Section,
    Switch,
    duration,
    percent,
    section,
)
from gateway.settings.schema_outside import OUTSIDE, Service, ServiceUrl
from gateway.settings.schema_routes import OURS_ALWAYS, check_headers
from guardrails.catalogue import BUILTINS, USER_MADE
from guardrails.policy import MAX_SCAN
from guardrails.vault import MOST

DETECT = (*BUILTINS, *USER_MADE, *OUTSIDE)
"""What `detect:` may say."""
ROLES = ("system", "user", "assistant", "tool", "input", "output")
OPERATIONS = (
    "chat.completions", "completions", "responses", "messages", "messages.count_tokens", "embeddings", "moderations",
)  # fmt: skip
Score = Annotated[float, Field(ge=0, le=1)]
Type = Annotated[str, Field(min_length=1, max_length=128)]


def _digest(text: str) -> str:
    if len(text) != 16 or set(text) - set("0123456789abcdef"):
        raise ValueError("this is not a digest of a finding; allowed are 16 hexadecimal digits")
    return text


Digest = Annotated[str, AfterValidator(_digest), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{16}$"})]


class PatternSection(Section):
    """A regular expression of your own. It is matched in linear time, or refused with the reason."""

    name: Name = Field(description="Names it; the rule id of its findings is pattern.NAME.")
    regex: str = Field(
        min_length=1,
        description="The expression, without look-arounds and back-references. A group (?P<mask>…) chooses what is "
        "rewritten.",
    )
    type: Type | None = Field(
        None, description="What a finding is called, as in <CUSTOMER_ID>. Default: the name in capitals."
    )
    score: Score = Field(1.0, description="Score of its findings, 0 to 1.")
    ignore_case: Switch = Field(False, description="Whether capitals and small letters are the same.")


class AllowSection(Section):
    """Values that are no finding although they match."""

    values: list[str] = Field([], description="Whole values, capitals or not.")
    digests: list[Digest] = Field(
        [],
        description="Digests of findings, as events and `tollway guardrails test` show them, so that a value need not "
        "be written here. They match as long as secrets.key_hash, or secrets.previous_key_hash, is what it was.",
    )
    patterns: list[str] = Field([], description="Regular expressions that match whole values.")


class BoundsSection(Section):
    """When a rule is taken to shadow by itself, with an event, until it is looked at."""

    latency: Duration | None = Field(
        None, gt=0, description="Longest mean time its detector may take per inspection. Default: any."
    )
    match_rate: Percent = percent("100%", "Largest share of inspections in which the rule may act.")
    window: Duration = duration("1m", "Over which time both are taken.", gt=0)
    at_least: Count = Field(100, ge=1, description="Inspections in that time before anything is concluded.")
    cooling: Duration = duration("10m", "How long the rule stays in shadow.", gt=0)


class PseudonymsSection(Section):
    """How long stand-ins are the same, and are put back."""

    scope: Literal["exchange", "conversation"] = Field(
        "exchange",
        description="exchange: one request and its answer. conversation: all requests of a virtual key with the same "
        "x-tollway-conversation (or conversation, or metadata.conversation_id); they are kept encrypted where limits "
        "are counted. All rules of a team that pseudonymize say the same.",
    )
    ttl: Duration = duration("1h", "How long a conversation is kept after its last request.", gt=0, le=30 * 86400)
    most: Count = Field(1000, ge=1, le=MOST, description="Values of one conversation; those beyond it are masked.")


class RuleSection(Section):
    """One rule of a guardrail policy. Rules are independent of each other: all of them look, and the strongest enforced
    action wins."""

    detect: Annotated[str, WithJsonSchema({"enum": list(DETECT)})] = Field(
        description=f"What to look for: {', '.join(DETECT)}."
    )
    id: Name | None = Field(
        None,
        description="Names the rule in events, metrics and reports; unique in the whole configuration. Default: "
        "POLICY.DETECT.N, the N-th rule of the policy that detects this.",
    )
    entities: list[Type] | None = Field(
        None,
        min_length=1,
        description="Which types. Default: all, but for pii the international and American ones without DATE_TIME and "
        "URL, for ner PERSON and LOCATION.",
    )
    without: list[Type] = Field(
        [], description="Rule ids of the detector that are switched off, or their beginnings, such as secret.github."
    )
    threshold: Score | None = Field(
        None, description="Score from 0 to 1 from which on it is a finding. Default: the detector's own."
    )
    thresholds: dict[Type, Score] = Field({}, description="The same for single types.")
    on: list[Literal["request", "response"]] = Field(
        ["request", "response"],
        min_length=1,
        description="Which direction is inspected. Default of a rule that reroutes, of external and ner: request; of "
        "prompt_leak and json_schema: response.",
    )
    roles: list[Literal["system", "user", "assistant", "tool", "input", "output"]] = Field(
        [], description="Whose texts are inspected. Default: everybody's."
    )
    operations: list[
        Literal[
            "chat.completions", "completions", "responses", "messages", "messages.count_tokens", "embeddings",
            "moderations",
        ]
    ] = Field([], description="Which operations are inspected. Default: all.")  # fmt: skip
    teams: list[Name] = Field([], description="Teams the rule exists for. Default: all that use the policy.")
    rollout: Percent = percent(
        "100%", "Share of the virtual keys for which the mode is in force; for the others the rule is in shadow."
    )
    allow: AllowSection = section(AllowSection, "Values that are no finding although they match.")
    action: Literal["flag", "mask", "redact", "hash", "pseudonymize", "block", "reroute"] = Field(
        "flag",
        description="What to do with a finding. mask: <TYPE> instead; redact: all but the last four; hash: a keyed "
        "hash; pseudonymize: a stand-in that is put back in the answer; block: refuse. Default with reroute: reroute.",
    )
    pseudonyms: PseudonymsSection | None = Field(
        None, description="How long stand-ins are the same, for action pseudonymize. Default: one exchange."
    )
    reroute: ModelName | None = Field(None, description="Model that serves a request with a finding instead.")
    message: str | None = Field(
        None,
        min_length=1,
        description="What the error says, for action block. Default: that it was blocked, and by which rule.",
    )
    answer: str | None = Field(
        None,
        min_length=1,
        description="What the client gets as the model's answer, with status 200, instead of an error, for action "
        "block. Where part of an answer was streamed, or answers are no texts: see message.",
    )
    mode: Literal["shadow", "warn", "enforce"] = Field(
        "shadow", description="shadow: measure only; warn: header and event; enforce: act."
    )
    max_scan: Count = Field(
        MAX_SCAN, ge=1, description="Characters of one text that are looked at, such as 200k or 2M."
    )
    max_total: Count | None = Field(
        None,
        ge=1,
        description="Characters of one request that are looked at, all texts together; the text that goes beyond, and "
        "those behind it, are not. Default: as max_scan for detectors that judge whole texts, which take longer; else "
        "4M, or max_scan where that is more.",
    )
    beyond: Literal["block", "allow", "scan_head_and_tail"] = Field(
        "block",
        description="What a longer text meets. scan_head_and_tail: half of max_scan at each end of a request's text; "
        "answers are scanned whole.",
    )
    on_failure: Literal["open", "closed"] = Field(
        "closed",
        description="What a text meets on which the detector fails: closed keeps it back (503, guardrail_unavailable), "
        "open lets it pass.",
    )
    patterns: list[PatternSection] = Field([], description="Your own expressions, for detect: patterns.")
    terms: list[str] = Field([], description="Literal words and phrases, for detect: terms.")
    file: str | None = Field(
        None,
        min_length=1,
        description="A file of terms, one a line, beside this one; followed when it changes. For detect: terms.",
    )
    topics: dict[Name, list[str]] = Field(
        {}, description="Banned topics: words that speak of each, for detect: topics."
    )
    trusted: list[str] = Field(
        [], description="Hosts, with those below them, that answers may link to with data, for detect: exfiltration."
    )
    type: Type | None = Field(None, description="What a found term is called. Default: TERM.")
    ignore_case: Switch = Field(True, description="Whether terms are found with other capitals too.")
    whole_words: Switch = Field(True, description="Whether terms are found as whole words only.")
    bounds: BoundsSection | None = Field(
        None, description="When the rule is taken to shadow by itself. Default: never."
    )
    name: Name | None = Field(
        None,
        description="What an external detector is called in metrics and rule ids; rules with one name share it and say "
        "the same of it. Default: the rule's id.",
    )
    service: Service | None = Field(None, description="external: whose interface the detector speaks.")
    url: ServiceUrl | None = Field(
        None,
        description="Where the service is. openai_moderations and llama_guard: with /v1; webhook: the whole URL; "
        "otherwise the base URL.",
    )
    api_key: OptionalSecret = Field(
        None,
        description="Its credential: bearer token, subscription key (azure), secret access key (bedrock with key_id), "
        "or signing secrets (webhook: newest first, separated by spaces).",
    )
    headers: dict[str, Secret] = Field({}, description="Extra header fields sent to the service.")
    when: Literal["before", "alongside"] = Field(
        "before",
        description="before: a request waits for the verdict. alongside: the model works meanwhile, and the first byte "
        "of the answer waits. A rule that does not enforce never makes a request wait.",
    )
    streams: Literal["hold", "pass"] | None = Field(
        None,
        description="What becomes of a streamed answer, which such a detector can only judge whole. hold: it is kept "
        "back until it ended and was judged; pass: it passes without this rule. Must be said with on: [response].",
    )
    deadline: Duration | None = Field(
        None, gt=0, description="Longest time from asking to verdict. Default: 2s; ner: 500ms."
    )
    max_text: Count | None = Field(
        None,
        ge=1,
        description="Characters of one body the detector is asked about; more is a failure. Default: 200000.",
    )
    cache: Duration | None = Field(
        None, ge=0, description="How long a verdict is remembered, by keyed hash. Default: 5m; 0: not at all."
    )
    concurrency: int = Field(32, ge=1, le=1000, description="Calls to the service at one time, per worker.")
    failures: int = Field(5, ge=1, le=1000, description="Failed calls in a row that open its circuit breaker.")
    back_off: Duration | None = Field(
        None, gt=0, description="How long the breaker stays open at first, doubled up to a minute. Default: 1s."
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="openai_moderations, llama_guard: the model to ask. ner: a spaCy package or path, or "
        "module:factory. Default: the service's, or the extra's own.",
    )
    prompt: str | None = Field(
        None, min_length=1, description="llama_guard: policy sent as system message. Default: the model's own."
    )
    guardrail: str | None = Field(None, min_length=1, description="bedrock: guardrail id or ARN. lakera: project id.")
    version: str | None = Field(
        None, min_length=1, description="bedrock: guardrail version (DRAFT). azure: api-version (2024-09-01)."
    )
    region: str | None = Field(None, min_length=1, description="bedrock: region to sign for. Default: from the URL.")
    key_id: str | None = Field(None, min_length=1, description="bedrock: access key id; requests are then signed.")
    session_token: OptionalSecret = Field(None, description="bedrock: token of temporary credentials.")
    language: str = Field("en", min_length=1, description="presidio: language of the texts.")
    blocklists: list[str] = Field([], description="azure: names of blocklists to apply.")
    params: dict[str, str] = Field({}, description="litellm, webhook: passed on as they are.")
    ca_file: str | None = Field(None, min_length=1, description="PEM file of authorities to trust for the service.")
    prices: Name | None = Field(
        None, description="llama_guard: whose prices its calls are booked at, as with providers. Default: by the model."
    )
    workers: int = Field(1, ge=1, le=64, description="ner: worker processes for each gateway worker, 300 MB each.")
    canaries: list[Secret] = Field(
        [], description="prompt_leak: marks that stand in system prompts and must never be in an answer."
    )

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        return check_headers(headers, OURS_ALWAYS)

    @field_validator("api_key", "session_token")
    @classmethod
    def _credential(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[\x20-\x7e]+", key.get_secret_value()):
            raise ValueError("this credential cannot stand in a header; allowed is printable ASCII on one line")
        return key
