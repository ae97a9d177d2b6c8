"""The calls that `tollway demo` makes with the openai and anthropic SDKs, and what must be refused."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, Protocol, Self, cast

import anthropic
import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionUserMessageParam
from pydantic import BaseModel

from gateway.cli.demo_rig import DemoFailed

MINI = "gpt-4o-mini"
CLAUDE = "claude-haiku-4-5"
EMBEDDING = "text-embedding-3-small"
REASONER = "gpt-5-mini"
OVER_LONG = 21 * 1024 * 1024
"""Bytes: more than `server.max_body` allows."""

WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Ticket(BaseModel):
    """The structured answer that team support asks for."""

    product: str
    urgent: bool
    steps: list[str]


class Line(NamedTuple):
    """One call as it is printed. `tokens` is `in → out`; `cost` what the response header said."""

    team: str
    call: str
    status: int
    tokens: str
    cost: str
    seconds: float
    said: str = ""


class Wires:
    """The two SDKs' clients, a pair per team, pointed at the gateway and at nothing else."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._openai: dict[str, openai.OpenAI] = {}
        self._anthropic: dict[str, anthropic.Anthropic] = {}

    def openai(self, team: str) -> openai.OpenAI:
        """A client with the team's key, without retries: what is refused shall be seen."""
        if team not in self._openai:
            self._openai[team] = openai.OpenAI(
                base_url=f"{self._url}/v1",
                api_key=f"sk-demo-{team}",
                max_retries=0,
                http_client=openai.DefaultHttpxClient(trust_env=False),
            )
        return self._openai[team]

    def anthropic(self, team: str) -> anthropic.Anthropic:
        """As `openai`; this SDK adds `/v1` itself."""
        if team not in self._anthropic:
            self._anthropic[team] = anthropic.Anthropic(
                base_url=self._url,
                api_key=f"sk-demo-{team}",
                max_retries=0,
                http_client=anthropic.DefaultHttpxClient(trust_env=False),
            )
        return self._anthropic[team]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in (*self._openai.values(), *self._anthropic.values()):
            client.close()


Say = Callable[[str], None]
"""Takes streamed text as it comes."""
Call = Callable[[Wires, Say], Line]


class _Raw(Protocol):
    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


class _Watch:
    """Times a call and makes its line."""

    def __init__(self, team: str, call: str) -> None:
        self._team, self._call = team, call
        self._began = time.perf_counter()

    def line(self, raw: _Raw, used: tuple[int, int] | None, said: str = "") -> Line:
        """What came back; `used` are input and output tokens, None where the answer says none."""
        seconds = time.perf_counter() - self._began
        tokens = f"{used[0]} → {used[1]}" if used else "?"
        # A stream's cost is known only at its end, after the header went out.
        cost = raw.headers.get("x-tollway-cost-usd") or "at the end"
        return Line(self._team, self._call, raw.status_code, tokens, cost, seconds, said)


def _ask(text: str) -> list[ChatCompletionUserMessageParam]:
    return [{"role": "user", "content": text}]


def _prompt(team: str) -> str:
    """What stands before text that comes as it is made."""
    return f"  {team:<9}▸ "


def _chat_tokens(usage: CompletionUsage | None) -> tuple[int, int] | None:
    return (usage.prompt_tokens, usage.completion_tokens) if usage else None


def chat(wires: Wires, _say: Say) -> Line:
    """OpenAI chat, unary."""
    watch = _Watch("search", f"chat, {MINI}")
    raw = wires.openai("search").chat.completions.with_raw_response.create(
        model=MINI, messages=_ask("Which toll roads cross the Alps?"), max_tokens=24
    )
    answer = raw.parse()
    return watch.line(raw, _chat_tokens(answer.usage))


def chat_stream(wires: Wires, say: Say) -> Line:
    """OpenAI chat, streamed."""
    watch = _Watch("support", f"chat streamed, {MINI}")
    raw = wires.openai("support").chat.completions.with_raw_response.create(
        model=MINI,
        messages=_ask("Where is my parcel?"),
        stream=True,
        stream_options={"include_usage": True},
    )
    used: tuple[int, int] | None = None
    say(_prompt("support"))
    for chunk in raw.parse():
        used = _chat_tokens(chunk.usage) or used
        say("".join(choice.delta.content or "" for choice in chunk.choices))
    say("\n")
    return watch.line(raw, used)


def personal(wires: Wires, _say: Say) -> Line:
    """OpenAI chat with personal data in it, which the provider never sees."""
    watch = _Watch("support", f"chat with personal data, {MINI}")
    raw = wires.openai("support").chat.completions.with_raw_response.create(
        model=MINI,
        messages=_ask("I am ada@example.com and paid with 4111 1111 1111 1111. Where is my refund?"),
        max_tokens=16,
    )
    answer = raw.parse()
    told = raw.headers.get("x-tollway-guardrails", "")
    if "mask" not in told:
        raise DemoFailed("personal data was to be masked, and was not")
    return watch.line(raw, _chat_tokens(answer.usage), f"guardrails: {told}")


def tools(wires: Wires, _say: Say) -> Line:
    """OpenAI chat with a tool that the model calls."""
    watch = _Watch("search", f"chat with a tool, {MINI}")
    raw = wires.openai("search").chat.completions.with_raw_response.create(
        model=MINI, messages=_ask("get_weather for Innsbruck, please"), tools=[WEATHER], tool_choice="auto"
    )
    answer = raw.parse()
    calls = [call.function for call in answer.choices[0].message.tool_calls or () if call.type == "function"]
    if not calls:
        raise DemoFailed("the model was to call the tool, and did not")
    return watch.line(raw, _chat_tokens(answer.usage), f"calls {calls[0].name}({calls[0].arguments})")


def structured(wires: Wires, _say: Say) -> Line:
    """OpenAI chat with a structured answer, parsed by the SDK into a model."""
    watch = _Watch("support", f"structured output, {MINI}")
    raw = wires.openai("support").chat.completions.with_raw_response.parse(
        model=MINI, messages=_ask("My toaster smokes!"), response_format=Ticket
    )
    answer = raw.parse()
    ticket = answer.choices[0].message.parsed
    if ticket is None:
        raise DemoFailed("the structured answer could not be parsed")
    return watch.line(raw, _chat_tokens(answer.usage), f"parsed {ticket!r}")


def embeddings(wires: Wires, _say: Say) -> Line:
    """OpenAI embeddings of two texts."""
    watch = _Watch("search", f"embeddings, {EMBEDDING}")
    raw = wires.openai("search").embeddings.with_raw_response.create(
        model=EMBEDDING, input=["Brenner motorway", "Grossglockner high alpine road"]
    )
    answer = raw.parse()
    vectors = f"{len(answer.data)} vectors of {len(answer.data[0].embedding)} dimensions"
    return watch.line(raw, (answer.usage.prompt_tokens, 0), vectors)


def responses(wires: Wires, _say: Say) -> Line:
    """OpenAI Responses, with reasoning tokens."""
    watch = _Watch("research", f"responses, {REASONER}")
    raw = wires.openai("research").responses.with_raw_response.create(
        model=REASONER, input="How long is the Gotthard tunnel?", max_output_tokens=64
    )
    usage = raw.parse().usage
    if usage is None:
        raise DemoFailed("the response reports no usage")
    reasoning = f"{usage.output_tokens_details.reasoning_tokens} of the output tokens are reasoning"
    return watch.line(raw, (usage.input_tokens, usage.output_tokens), reasoning)


def messages(wires: Wires, _say: Say) -> Line:
    """Anthropic messages, unary, with cached input."""
    watch = _Watch("research", f"messages, {CLAUDE}")
    raw = wires.anthropic("research").messages.with_raw_response.create(
        model=CLAUDE, max_tokens=32, messages=[{"role": "user", "content": "Compare vignettes and toll booths."}]
    )
    usage = raw.parse().usage
    cached = usage.cache_read_input_tokens or 0
    return watch.line(raw, (usage.input_tokens + cached, usage.output_tokens), f"{cached} of the input from the cache")


def messages_stream(wires: Wires, say: Say) -> Line:
    """Anthropic messages, streamed."""
    watch = _Watch("research", f"messages streamed, {CLAUDE}")
    raw = wires.anthropic("research").messages.with_raw_response.create(
        model=CLAUDE, max_tokens=24, stream=True, messages=[{"role": "user", "content": "And in one sentence?"}]
    )
    taken = made = 0
    say(_prompt("research"))
    for event in raw.parse():
        if event.type == "message_start":
            taken = event.message.usage.input_tokens + (event.message.usage.cache_read_input_tokens or 0)
        elif event.type == "content_block_delta" and event.delta.type == "text_delta":
            say(event.delta.text)
        elif event.type == "message_delta":
            made = event.usage.output_tokens
    say("\n")
    return watch.line(raw, (taken, made))


def _refused(wires: Wires, team: str, model: str, what: str, status: int, text: str = "Hello?", most: int = 16) -> Line:
    """A chat that must end with `status`. Raises `DemoFailed` if it does not."""
    watch = time.perf_counter()
    try:
        wires.openai(team).chat.completions.create(model=model, messages=_ask(text), max_tokens=most)
    except openai.APIStatusError as error:
        if error.status_code != status:
            raise DemoFailed(f"{what}: expected {status}, got {error.status_code} {error.message}") from None
        envelope = cast("dict[str, object]", error.body) if isinstance(error.body, dict) else {}
        said = f"{error.code}: {envelope.get('message', error.message)}"
        return Line(team, what, status, "", "", time.perf_counter() - watch, said)
    raise DemoFailed(f"{what}: was answered, and should have been refused with {status}")


def wrong_key(wires: Wires, _say: Say) -> Line:
    """401."""
    return _refused(wires, "nobody", MINI, "a wrong key", 401)


def unknown_model(wires: Wires, _say: Say) -> Line:
    """404, with the nearest names."""
    return _refused(wires, "search", "gpt-4o-mimi", "a model that does not exist", 404)


def forbidden_model(wires: Wires, _say: Say) -> Line:
    """403."""
    return _refused(wires, "search", CLAUDE, "a model the team may not use", 403)


def over_long(wires: Wires, _say: Say) -> Line:
    """413."""
    return _refused(wires, "support", MINI, "a body over server.max_body", 413, "long " * (OVER_LONG // 5))


def over_budget(wires: Wires, _say: Say) -> Line:
    """402: what it may cost is more than the team has left today."""
    return _refused(wires, "research", REASONER, "a request beyond the budget", 402, most=100_000)


TRAFFIC: tuple[Call, ...] = (
    chat, chat_stream, personal, tools, structured, embeddings, responses, messages, messages_stream,
)  # fmt: skip
REFUSALS: tuple[Call, ...] = (wrong_key, unknown_model, forbidden_model, over_budget, over_long)
