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
_THOUGHT = re.compile(r"reasoning|thinking|summary|thought")
"""In the name of a stream's channel: not for the one who asked."""
_ENDED_OTHERWISE = re.compile(rb':\s*"(?:refusal|content_filter|failed)"')
"""A stream that says why it has no text."""
_FIRST_CHANNEL = {"chat.completions": "delta/content.0", "messages": "text.0", "responses": "response.output_text.0.0"}
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


class _Said(msgspec.Struct):
    """A message of a chat completion, an item of a response, or a block of a message of Anthropic's."""

    type: str = ""
    content: object = None
    text: str | None = None
    refusal: str | None = None
    tool_calls: object = None
    function_call: object = None


class _Choice(msgspec.Struct):
    message: _Said | None = None
    finish_reason: str | None = None


class _Whole(msgspec.Struct):
    choices: list[_Choice] = []
    output: list[_Said] = []
    content: list[_Said] = []
    stop_reason: str | None = None
    status: str = ""


_whole = msgspec.json.Decoder(_Whole).decode


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


def silences(sent: bytes, answer: bytes) -> list[str]:
    """Where a whole answer has no text, no call of a tool and no refusal although the body `sent` asks for JSON: its
    paths, in the order of the choices. An empty text is no JSON, but nowhere a text that could be judged."""
    if not wanted(sent)[0]:
        return []
    try:
        whole = _whole(answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return []
    if whole.choices:
        return [f"choices[{at}].message.content" for at, each in enumerate(whole.choices) if _is_silent(each)]
    if whole.output or whole.status:
        said = whole.status in ("failed", "cancelled") or any(_tells(item) for item in whole.output)
        return [] if said else ["output[0].content[0].text"]
    said = whole.stop_reason in (None, "refusal") or any(_tells(block) for block in whole.content)
    return [] if said else ["content[0].text"]


def thoughts(answer: bytes) -> tuple[str, ...]:
    """What the paths of a response's thoughts begin with: their texts stand where those of its messages do."""
    try:
        items = _whole(answer).output
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ()
    return tuple(f"output[{at}]." for at, item in enumerate(items) if item.type == "reasoning")


def _is_silent(choice: _Choice) -> bool:
    said = choice.message
    if said is None or choice.finish_reason == "content_filter":
        return False
    return not (said.content or said.tool_calls or said.function_call or said.refusal)


def _tells(item: _Said) -> bool:
    """Whether an item or block is more than a thought."""
    if item.type == "message" and isinstance(item.content, list):
        parts = [
            cast("dict[str, object]", part) for part in cast("list[object]", item.content) if isinstance(part, dict)
        ]
        return any(part.get("text") or part.get("refusal") for part in parts)
    if item.type == "text":
        return bool(item.text)
    return item.type not in ("reasoning", "thinking", "redacted_thinking")


def streamed_silence(sent: bytes, operation: str, events: bytes, segments: Sequence[Segment]) -> list[str]:
    """The same of a stream, `segments` being its texts: the name of its first channel, if it had thoughts alone."""
    silent = wanted(sent)[0] and all(_THOUGHT.search(each.path) for each in segments)
    if not silent or operation not in _FIRST_CHANNEL or _ENDED_OTHERWISE.search(events):
        return []
    return [_FIRST_CHANNEL[operation]]


def json_schema(sent: bytes, segments: Sequence[Segment], *, streamed: bool, beside: tuple[str, ...] = ()) -> Report:
    """Whether each text that answers is JSON as the body `sent` asks for; nothing is found where it asks for none.
    `beside`: what the paths of texts begin with that are no answer."""
    is_asked, schema = wanted(sent)
    if not is_asked:
        return Report(detector="json_schema")
    said = _SAID_STREAMED.match if streamed else _SAID.fullmatch
    told = [each for each in segments if said(each.path) and not each.path.startswith(beside)]
    found = [(each, match) for each in told for match in validity(each.text, schema)]
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
