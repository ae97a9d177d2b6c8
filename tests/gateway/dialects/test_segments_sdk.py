"""Every string of every type that the official SDKs can send, and can receive, is read, or docs/guardrails.md names it.

So a text that an API begins to take tomorrow is found with the SDK's next version, and not by who looks for a leak.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic.types as claude
import anthropic.types.beta as claude_beta
import openai.types as openai
import openai.types.chat as chat
import openai.types.responses as responses
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_create_params
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import response_create_params

from gateway.dialects import quick, segments
from gateway.facts import Segment
from gateway.wire.answers import holds_text
from gateway.wire.surfaces import STRUCTURAL
from tests.support.sdk_bodies import bodies

REQUESTS = {
    "chat": chat_create_params.CompletionCreateParamsNonStreaming,
    "completions": completion_create_params.CompletionCreateParamsNonStreaming,
    "embeddings": openai.EmbeddingCreateParams,
    "moderations": openai.ModerationCreateParams,
    "responses": response_create_params.ResponseCreateParamsNonStreaming,
    "messages": message_create_params.MessageCreateParamsNonStreaming,
    "beta messages": beta_create_params.MessageCreateParamsNonStreaming,
    "tokens": message_count_tokens_params.MessageCountTokensParams,
}
ANSWERS = {
    "chat": (chat.ChatCompletion, "choices"),
    "completions": (openai.Completion, "choices"),
    "responses": (responses.Response, "output"),
    "messages": (claude.Message, "content"),
    "beta messages": (claude_beta.BetaMessage, "content"),
}
ROOT = Path(__file__).parents[3]
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "guardrails.md").read_text(), re.MULTILINE)
UNREAD = {where: frozenset(re.findall(r"`([a-z_]+)`", what)) for where, what in ROWS}
WITHIN = UNREAD["messages, parts, items, blocks, tools and their formats"]
ASKED = UNREAD["the request itself"] | WITHIN
ANSWERED = UNREAD["answers of Chat and Messages"]
SPELLED = re.compile(r'"(mark \d+)"')


def unread(kind: Any, read: Callable[[bytes], list[Segment]]) -> tuple[int, set[str]]:
    """How many strings all bodies have, and the places of those that are not read."""
    places: list[str] = []

    def mark(where: str) -> str:
        places.append(where)
        return f"mark {len(places)}"

    left: set[str] = set()
    for body in bodies(kind, mark):
        raw = json.dumps(body, separators=(",", ":")).encode()
        seen = {text for segment in read(raw) for text in segment.text.split("\n")}
        left |= {places[int(found[5:]) - 1] for found in SPELLED.findall(raw.decode()) if found not in seen}
    return len(places), left


def names(place: str) -> list[str]:
    return re.findall(r"[a-z_]+", place)


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("way", [quick, segments])
def test_what_clients_can_send_is_read_or_named(name: str, way: Any) -> None:
    """docs/guardrails.md: "Every text of a request and of an answer is read", and "What is not read"."""
    count, left = unread(REQUESTS[name], way.prompt_segments)
    assert count > {"responses": 400, "messages": 600, "beta messages": 1_500, "chat": 70}.get(name, 3)
    for place in left:
        way_to = names(place)
        named = way_to[0] in ASKED if len(way_to) == 1 or way_to[0] == "logit_bias" else way_to[-1] in WITHIN
        assert named, f"{place} is not read, and not in docs/guardrails.md"


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("way", [quick, segments])
def test_what_providers_can_answer_is_read_or_named(name: str, way: Any) -> None:
    kind, container = ANSWERS[name]
    count, left = unread(kind, lambda body: way.answer_segments(body, container))
    assert count > 4
    for place in left:
        first, *more = names(place)
        named = first in ANSWERED or (more and more[-1] in WITHIN) or "logprobs" in more
        assert named or (name == "responses" and first not in ("output", "output_text", "error")), (
            f"{place} is not read"
        )


def test_the_page_names_what_the_code_leaves_out() -> None:
    assert WITHIN == STRUCTURAL
    assert ASKED == segments.TOP_STRUCTURAL | segments.SETTINGS
    assert not any(holds_text("choices", name) for name in ANSWERED)
