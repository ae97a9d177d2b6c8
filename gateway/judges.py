"""Judges of an answer by its request: whether it gives the system prompt away, and whether it is the JSON that was
asked for. They run in process, and report as detectors outside do."""

import re
from collections.abc import Sequence
from typing import cast

import msgspec

from gateway.errors import Refusal
from gateway.inspection.report import Report
from gateway.seams import Dialect
from gateway.settings.outside_rules import LeakConfig
from guardrails.detector import Match
from guardrails.injection.leak import PromptLeak
from guardrails.injection.schema import Schema, validity
from guardrails.interface import Finding, Segment

_PROMPT = re.compile(r"messages\[|system|instructions|input\[")
"""Where a system prompt stands; descriptions of tools are system texts too, and answers may well repeat them."""
_SAID = re.compile(
    r"choices\[\d+\]\.(?:message\.content(?:\[\d+\]\.text)?|text)|content\[\d+\]\.text|output\[\d+\]\.content\[\d+\]\.text"
)
"""Texts of whole answers that are what was asked for, in the dialects' order."""
_SAID_STREAMED = re.compile(r"(?:delta/content(?:/text)?|text|response\.output_text)\.")
"""The same as names of a stream's channels."""
MOST_PROMPT = 200_000
"""Characters of a system prompt that are looked for."""


class _Format(msgspec.Struct):
    type: str = ""
    schema: msgspec.Raw = msgspec.Raw()
    json_schema: msgspec.Raw = msgspec.Raw()


class _Text(msgspec.Struct):
    format: _Format | None = None


class _Asked(msgspec.Struct):
    """Where the dialects say which form an answer is to have."""

    response_format: _Format | None = None
    text: _Text | None = None
    output_config: _Text | None = None
    output_format: _Format | None = None


_asked = msgspec.json.Decoder(_Asked).decode


def system_prompt(dialect: Dialect, sent: bytes) -> str:
    """What the body `sent` tells the model to be, at most `MOST_PROMPT` characters of it."""
    try:
        texts = [each.text for each in dialect.prompt_segments(sent) if _is_prompt(each)]
    except Refusal:
        return ""
    return "\n".join(texts)[:MOST_PROMPT]


def _is_prompt(segment: Segment) -> bool:
    return segment.role == "system" and _PROMPT.match(segment.path) is not None


def prompt_leak(config: LeakConfig, prompt: str, segments: Sequence[Segment]) -> Report:
    """Pieces of the system prompt, and canaries, in the answer's texts."""
    leak = PromptLeak(prompt, config.canaries)
    return _report("prompt_leak", [(segment, match) for segment in segments for match in leak.find(segment.text)])


def json_schema(sent: bytes, segments: Sequence[Segment], *, streamed: bool) -> Report:
    """Whether each text that answers is JSON as the body `sent` asks for; nothing is found where it asks for none."""
    is_asked, schema = wanted(sent)
    if not is_asked:
        return Report(detector="json_schema")
    said = _SAID_STREAMED.match if streamed else _SAID.fullmatch
    found = [(each, match) for each in segments if said(each.path) for match in validity(each.text, schema)]
    return _report("json_schema", found)


def wanted(sent: bytes) -> tuple[bool, Schema | None]:
    """Whether a request asks for JSON, and the schema it gives (None: any object)."""
    try:
        asked = _asked(sent)
        forms = (
            asked.response_format,
            asked.text.format if asked.text is not None else None,
            asked.output_config.format if asked.output_config is not None else None,
            asked.output_format,
        )
        form = next((each for each in forms if each is not None and each.type in ("json_object", "json_schema")), None)
        if form is None:
            return False, None
        if form.type == "json_object":
            return True, None
        if bytes(form.json_schema):
            form = msgspec.json.decode(form.json_schema, type=_Format)
        return (True, cast("Schema", msgspec.json.decode(form.schema))) if bytes(form.schema) else (True, None)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False, None


def _report(detector: str, found: list[tuple[Segment, Match]]) -> Report:
    return Report(
        detector=detector,
        flagged=bool(found),
        findings=tuple(
            Finding(m.type, segment.path, m.start, m.end, m.score, m.rule, m.evidence) for segment, m in found
        ),
    )
