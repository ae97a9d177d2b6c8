"""Rules whose detector is outside of the engine, compiled: what to ask, how it is reached, when it is waited for."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from gateway.inspection.external.config import ExternalConfig, Kind
from gateway.inspection.ner.config import ENTITIES, NerConfig
from gateway.settings.interpolate import DataPath
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.schema_outside import OF_ANSWERS

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "openai_moderations": "openai-moderations",
        "presidio": "presidio",
        "lakera": "lakera",
        "azure": "azure-content-safety",
        "bedrock": "bedrock",
        "llama_guard": "llama-guard",
        "litellm": "litellm",
        "webhook": "webhook",
    }
)
AZURE: Mapping[str, str] = MappingProxyType(
    {"HATE": "Hate", "SELF_HARM": "SelfHarm", "SEXUAL": "Sexual", "VIOLENCE": "Violence"}
)
NER = "ner"


class LeakConfig(msgspec.Struct, frozen=True):
    """What `prompt_leak` looks for besides the request's own system prompt."""

    canaries: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LeakConfig(canaries={len(self.canaries)})"


class SchemaConfig(msgspec.Struct, frozen=True):
    """`json_schema` has nothing to say but its name: the request says which schema."""


SourceConfig = ExternalConfig | NerConfig | LeakConfig | SchemaConfig


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One detector outside of the engine, under the name that its rules are compiled to."""

    name: str
    config: SourceConfig
    prices: str | None = None
    """Whose prices its calls are booked at; None: found by the model's name."""


class OutsideRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine does not know of such a rule."""

    source: str
    waits: bool
    """A request waits for the verdict. False: the answer waits."""
    holds: bool
    """A streamed answer is held back until its verdict. False: it passes without the rule, as it does by one that only
    measures: holding would be an action."""
    loud: bool
    """Somebody is told of its verdict, so an answer waits for it. False: it only measures, and nobody waits."""
    roles: frozenset[str]
    """Whose texts are sent; empty: everybody's."""


class OutsideRules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is outside, of one configuration. Compared by value."""

    rules: Mapping[str, OutsideRule]
    """By id."""
    sources: Mapping[str, Source]
    """By name."""


def source_name(written: RuleSection, id_: str) -> str:
    """The name under which the engine knows the detector of an outside rule."""
    if written.detect == "external":
        return f"external:{written.name or id_}"
    if written.detect == "prompt_leak" and written.canaries:
        return f"prompt_leak:{id_}"
    return written.detect


def collect(placed: Sequence[tuple[DataPath, RuleSection, str]]) -> tuple[OutsideRules, list[tuple[DataPath, str]]]:
    """Of paths, rules and ids, the outside ones: what is to be made of them, and what is wrong."""
    rules: dict[str, OutsideRule] = {}
    sources: dict[str, Source] = {}
    problems: list[tuple[DataPath, str]] = []
    for path, written, id_ in placed:
        name = source_name(written, id_)
        source = Source(name=name, config=_config(written, id_), prices=written.prices)
        if sources.setdefault(name, source) != source:
            shared = "rules of detect: ner share their worker processes" if written.detect == NER else "rules share it"
            problems.append(((*path, "name" if written.name else "detect"), _unlike(shared)))
        rules[id_] = OutsideRule(
            source=name,
            waits=written.when == "before" and written.mode == "enforce",
            holds=written.streams == "hold" and written.mode == "enforce",
            loud=written.mode != "shadow",
            roles=frozenset(written.roles),
        )
    return OutsideRules(rules=rules, sources=sources), problems


def types_of(written: RuleSection) -> frozenset[str]:
    """What a rule reports; empty: everything."""
    if written.detect == NER:
        return frozenset(written.entities or NerConfig().entities)
    return frozenset(written.entities or ())


def directions(written: RuleSection) -> list[Literal["request", "response"]]:
    """Where it looks."""
    if "on" in written.model_fields_set:
        return list(written.on)
    return ["response"] if written.detect in OF_ANSWERS else ["request"]


def _unlike(shared: str) -> str:
    return f"{shared}, and must say the same of it but for action, mode and the like; allowed are equal options"


def _config(written: RuleSection, id_: str) -> SourceConfig:
    if written.detect == NER:
        return _ner(written)
    if written.detect == "prompt_leak":
        return LeakConfig(tuple(each.get_secret_value() for each in written.canaries))
    if written.detect == "json_schema":
        return SchemaConfig()
    return _external(written, id_)


def _ner(written: RuleSection) -> NerConfig:
    usual = NerConfig()
    return NerConfig(
        model=written.model or "",
        workers=written.workers,
        entities=ENTITIES,  # the engine sorts out what each rule wants, so that rules can change and workers stay
        deadline=usual.deadline if written.deadline is None else written.deadline,
        max_text=usual.max_text if written.max_text is None else written.max_text,
        cache_seconds=usual.cache_seconds if written.cache is None else written.cache,
    )


def _external(written: RuleSection, id_: str) -> ExternalConfig:
    service = written.service or "webhook"
    usual = ExternalConfig(name="", kind="webhook", base_url="")
    return ExternalConfig(
        name=written.name or id_,
        kind=KINDS[service],
        base_url=written.url or "",
        api_key="" if written.api_key is None else written.api_key.get_secret_value(),
        key_id=written.key_id or "",
        session_token="" if written.session_token is None else written.session_token.get_secret_value(),
        region=written.region or "",
        guardrail=written.guardrail or "",
        version=written.version or "",
        model=written.model or "",
        prompt=written.prompt or "",
        language=written.language,
        entities=_asked(service, written.entities or ()),
        blocklists=tuple(written.blocklists),
        params=dict(written.params),
        headers={name: value.get_secret_value() for name, value in written.headers.items()},
        ca_file=written.ca_file,
        threshold=written.threshold,
        deadline=usual.deadline if written.deadline is None else written.deadline,
        concurrency=written.concurrency,
        max_text=usual.max_text if written.max_text is None else written.max_text,
        cache_seconds=usual.cache_seconds if written.cache is None else written.cache,
        failures=written.failures,
        back_off=usual.back_off if written.back_off is None else written.back_off,
    )


def _asked(service: str, entities: Sequence[str]) -> tuple[str, ...]:
    """What the service itself is told to look for; everywhere else the engine sorts its findings out."""
    if service == "azure":
        return tuple(AZURE[name] for name in entities if name in AZURE)
    return tuple(entities) if service == "presidio" else ()
