"""What is wrong with rules whose detector is outside: options of another service, what one needs and lacks, and what
such a detector cannot do."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from gateway.inspection.ner.config import ENTITIES
from gateway.inspection.ner.models import missing
from gateway.settings.outside_rules import AZURE, NER, directions
from gateway.settings.schema_guardrails import RuleSection
from gateway.settings.schema_outside import OF_ANSWERS, OUTSIDE
from guardrails.policy import REWRITING

Complaint = tuple[str, str]
"""Option, and what is wrong with it."""

WHOLE_TEXTS = ("openai_moderations", "azure", "llama_guard")
"""Services that say of a text that it is guilty, and not where."""
_OF_SERVICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "model": ("openai_moderations", "llama_guard"),
        "prompt": ("llama_guard",),
        "prices": ("llama_guard",),
        "guardrail": ("bedrock", "lakera"),
        "version": ("bedrock", "azure"),
        "region": ("bedrock",),
        "key_id": ("bedrock",),
        "session_token": ("bedrock",),
        "language": ("presidio",),
        "blocklists": ("azure",),
        "params": ("litellm", "webhook"),
    }
)
_OF_EXTERNAL = (
    "name", "service", "url", "api_key", "headers", "concurrency", "failures", "back_off", "ca_file", *_OF_SERVICES,
)  # fmt: skip
_OF_ASKED = ("when", "deadline", "max_text", "cache")
"""Options of detectors that are asked and waited for."""
_INSIDE = ("max_scan", "max_total", "beyond")
_NEEDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "llama_guard": ("model", "llama_guard needs the model to ask; add model: NAME"),
        "bedrock": ("guardrail", "bedrock needs the guardrail to apply; add guardrail: ID"),
    }
)


def misplaced(rule: RuleSection) -> Iterator[Complaint]:
    """Options of outside detectors where they mean nothing, and options of others on those."""
    named = rule.model_fields_set
    if rule.detect != "external":
        allowed = ("model",) if rule.detect == NER else ()
        yield from ((each, "this belongs to detect: external") for each in _OF_EXTERNAL if each in named - {*allowed})
    if rule.detect not in ("external", NER):
        yield from ((each, "this belongs to detect: external or ner") for each in _OF_ASKED if each in named)
    if rule.detect != NER and "workers" in named:
        yield "workers", "this belongs to detect: ner"
    if rule.detect != "prompt_leak" and "canaries" in named:
        yield "canaries", "this belongs to detect: prompt_leak"
    if rule.detect not in OUTSIDE:
        if "streams" in named:
            yield "streams", "this belongs to detectors that judge whole answers: " + ", ".join(OUTSIDE)
        return
    yield from ((each, "this belongs to detectors in process; see max_text") for each in _INSIDE if each in named)
    if rule.detect != NER and rule.thresholds:
        yield "thresholds", "this detector has one threshold for all types; allowed is threshold"
    if rule.detect in OF_ANSWERS and "entities" in named:
        yield "entities", f"{rule.detect} finds one type; leave entities out"
    if rule.detect == "external":
        yield from (
            (each, f"this belongs to service: {' or '.join(services)}")
            for each, services in _OF_SERVICES.items()
            if each in named and rule.service is not None and rule.service not in services
        )


def impossible(rule: RuleSection) -> Iterator[Complaint]:
    """What an outside rule lacks, or says and cannot do."""
    if rule.detect not in OUTSIDE:
        return
    if rule.detect == "external":
        yield from _lacking(rule)
    if rule.detect == NER:
        yield from _ner(rule)
    on = directions(rule)
    rewrites = rule.action in REWRITING
    whole = rule.service in WHOLE_TEXTS or rule.detect == "json_schema"
    if rewrites and whole:
        who = rule.service if rule.detect == "external" else rule.detect
        yield (
            "action",
            f"{who} judges whole texts, which {rule.action} cannot rewrite; allowed are flag, block, reroute",
        )
    if rule.when == "alongside" and "request" not in on:
        yield "when", "an answer is always judged before it leaves; when is for requests"
    elif rule.when == "alongside" and (rewrites or rule.action == "reroute" or rule.reroute is not None):
        done = "reroute" if rule.reroute is not None else rule.action
        yield "when", f"alongside judges a request that is on its way, too late for {done}; allowed are flag and block"
    if rule.detect in OF_ANSWERS and "request" in on:
        yield "on", f"{rule.detect} judges answers by their request; allowed is on: [response]"
    if "response" in on and rule.streams is None:
        yield (
            "on",
            f"{rule.detect} cannot judge a streamed answer piece by piece: it would need a bounded look-ahead, and the "
            "verdict may change with every further word; add streams: hold (the stream is kept back until it ended and "
            "was judged) or streams: pass (it passes without this rule)",
        )
    if "response" not in on and rule.streams is not None:
        yield "streams", "this rule judges requests alone; add on: [response], or leave streams out"


def _lacking(rule: RuleSection) -> Iterator[Complaint]:
    if rule.service is None:
        yield "detect", "an external detector needs the interface to speak; add service: NAME"
    if rule.url is None:
        yield "detect", "an external detector needs the place of its service; add url: URL"
    if rule.url is not None and "?" in rule.url and rule.service not in (None, "webhook"):
        yield "url", "a base URL has no query; allowed with service: webhook only"
    if rule.ca_file is not None and not Path(rule.ca_file).is_file():
        yield "ca_file", "this file is not there; allowed is a PEM file"
    option, words = _NEEDS.get(rule.service or "", ("", ""))
    if option and getattr(rule, option) is None:
        yield "service", words
    for each in rule.entities or ():
        if rule.service == "azure" and each not in AZURE:
            yield "entities", f"unknown category of azure; allowed are {', '.join(AZURE)}"


def _ner(rule: RuleSection) -> Iterator[Complaint]:
    reason = missing(rule.model or "")
    if reason:
        yield "model" if rule.model else "detect", reason
    for each in (*(rule.entities or ()), *rule.thresholds):
        if each not in ENTITIES:
            yield "entities", f"unknown entity of ner '{each[:80]}'; allowed are {', '.join(ENTITIES)}"
