"""What the mock says: text of a known number of tokens, calls of tools, instances of a schema. Deterministic.

The rules, so that a test can compute them:
- input tokens = UTF-8 bytes of all prompt text / 4, rounded up (prompt text: strings under `messages[].content`,
  `system`, `instructions`, `input`, `prompt`, in parts only `text`, `content`, `output`); a token id counts as one;
- output tokens = number of pieces of `chars_per_token` characters in the answer, plus the scenario's reasoning tokens;
  both together are no more than the request's maximum;
- a rich answer calls every tool; another one calls a tool when `tool_choice` forces one, or when the last message is
  the user's and contains a tool's name;
- a JSON schema (structured output, tool parameters) is answered with the instance that `instance_of` makes.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from loadtest.mock.instance import instance_of
from loadtest.mock.scenario import Meters, Output

DEFAULT_TOKENS = 16
MOST_TOKENS = 256
_LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore "
    "magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo "
    "consequat. Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur. "
)


class Tool(msgspec.Struct):
    """A declared function: its name and the JSON schema of its parameters."""

    name: str
    parameters: dict[str, Any]


class Ask(msgspec.Struct):
    """What a request asks for, in terms that all dialects share."""

    prompt: str
    prompt_tokens: int
    max_tokens: int | None = None
    tools: Sequence[Tool] = ()
    forced: str | None = None  # name of a tool, or "" for any, when tool_choice forces a call
    user_last: bool = True
    last_text: str = ""
    tools_off: bool = False
    schema: dict[str, Any] | None = None


class Answer(msgspec.Struct):
    """What is said: pieces of text, or a tool's name with pieces of its arguments. One piece is one token."""

    pieces: Sequence[str]
    tool: str | None = None
    truncated: bool = False

    @property
    def text(self) -> str:
        """All pieces joined."""
        return "".join(self.pieces)


class Metered(msgspec.Struct, frozen=True):
    """Usage in tokens. `input` includes the cache meters, `output` includes reasoning."""

    input: int
    output: int
    meters: Meters


def prompt_text(value: Any) -> str:
    """All prompt text below `value`, joined by nothing."""
    if isinstance(value, str):
        return value
    found: list[str] = []
    _collect(value, found)
    return "".join(found)


def prompt_tokens(value: Any) -> int:
    """Input tokens of `value` by the rule above."""
    if isinstance(value, str):
        return _quarter(value)
    found: list[str] = []
    ids = _collect(value, found)
    return _quarter("".join(found)) + ids


def text_tokens(text: str) -> int:
    """Input tokens of a text: UTF-8 bytes / 4, rounded up."""
    return _quarter(text)


def _quarter(text: str) -> int:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


def _collect(value: Any, found: list[str]) -> int:
    """Appends texts to `found`; returns the number of token ids seen."""
    ids = 0
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(item, int):
                ids += 1
            else:
                ids += _collect(item, found)
    elif isinstance(value, dict):
        for key in ("text", "content", "output"):
            if key in value:
                ids += _collect(value[key], found)
    return ids


def compose(ask: Ask, output: Output, choice: int = 0) -> Answer:
    """The answer to `ask` under the scenario's `output`."""
    tool = None if output.rich else _called(ask)
    size = output.chars_per_token
    if tool is not None:
        arguments = msgspec.json.encode(instance_of(tool.parameters)).decode()
        return Answer(_cut(arguments, size), tool=tool.name)
    if ask.schema is not None:
        return Answer(_cut(msgspec.json.encode(instance_of(ask.schema)).decode(), size))
    literal = ask.last_text or ask.prompt if output.echo else output.text
    if literal is not None:
        pieces = _cut(literal, size)
        most = ask.max_tokens
        return Answer(pieces[:most], truncated=True) if most is not None and most < len(pieces) else Answer(pieces)
    if output.tokens == "request":
        wanted = DEFAULT_TOKENS if ask.max_tokens is None else ask.max_tokens
        return Answer(_lorem(max(0, min(wanted, MOST_TOKENS)), size, choice))
    if ask.max_tokens is not None and ask.max_tokens < output.tokens:
        return Answer(_lorem(max(0, ask.max_tokens), size, choice), truncated=True)
    return Answer(_lorem(output.tokens, size, choice))


def within(ask: Ask, meters: Meters) -> Meters:
    """The meters, with no more reasoning than the request's maximum leaves room for, and the room for words cut by it.

    OpenAI's `max_completion_tokens` and `max_output_tokens` are "an upper bound for the number of tokens that can be
    generated for a completion, including visible output tokens and reasoning tokens"; Anthropic's `max_tokens` counts
    thinking too.
    """
    if ask.max_tokens is None or not meters.reasoning:
        return meters
    reasoning = max(0, min(meters.reasoning, ask.max_tokens))
    ask.max_tokens -= reasoning
    return meters if reasoning == meters.reasoning else msgspec.structs.replace(meters, reasoning=reasoning)


def meter(ask: Ask, answers: Sequence[Answer], meters: Meters) -> Metered:
    """Usage of the answers to one request."""
    given = ask.prompt_tokens if meters.input is None else meters.input
    return Metered(
        input=max(given, meters.cached + meters.cache_write + meters.cache_write_1h + meters.audio_input),
        output=sum(len(answer.pieces) for answer in answers) + meters.reasoning + meters.audio_output,
        meters=meters,
    )


def _called(ask: Ask) -> Tool | None:
    if not ask.tools or ask.tools_off:
        return None
    if ask.forced is not None:
        return next((tool for tool in ask.tools if tool.name == ask.forced), ask.tools[0])
    if not ask.user_last:
        return None
    return next((tool for tool in ask.tools if tool.name and tool.name in ask.last_text), None)


def _cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@lru_cache(maxsize=512)
def _lorem(tokens: int, size: int, choice: int) -> tuple[str, ...]:
    need = tokens * size
    start = choice * 11 % len(_LOREM)
    text = (_LOREM * (need // len(_LOREM) + 2))[start : start + need]
    return tuple(_cut(text, size))
