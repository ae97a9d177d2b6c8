"""Inspectors for tests, and the official clients fed with bytes."""

import json
import re
from typing import Any

import anthropic
import httpx
import httpx2
import openai

from gateway.inspection.rewriters import Rewriters
from gateway.wire.sse import SseParser
from guardrails.interface import ALLOWED, Verdict

RUN = re.compile(r"[\w.@+-]+")


def mask(text: str, json_text: bool = False) -> str:
    """What the inspectors here make of a whole text: addresses and digits go. A function of each run of word
    characters, so that it can be done with a bounded hold-back."""
    if json_text:
        try:
            return json.dumps(_mask_strings(json.loads(text)))
        except ValueError:
            pass
    return RUN.sub(lambda run: "<MAIL>" if "@" in run[0] else re.sub(r"\d", "#", run[0]), text)


def _mask_strings(value: Any) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return mask(str(value))
    if isinstance(value, list):
        return [_mask_strings(item) for item in value]
    return {name: _mask_strings(item) for name, item in value.items()} if isinstance(value, dict) else value


class Masker:
    """Masks with a hold-back; JSON is held whole. Blocks at the word BLOCK."""

    hoards = False
    changes = True
    restores = False
    closed = True

    def __init__(self) -> None:
        self.verdict: Verdict = ALLOWED
        self.blocked = False
        self._held: dict[str, tuple[str, bool]] = {}
        self.seen: dict[str, str] = {}

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> None:
        pass

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        if self.blocked:
            return ""
        self.seen[channel] = self.seen.get(channel, "") + text
        text = self._held.get(channel, ("", json))[0] + text
        kept = len(text)
        if not (json or self.hoards):
            while kept and not RUN.match(text[kept - 1]):
                kept -= 1
            while kept and RUN.match(text[kept - 1]):
                kept -= 1
            kept = len(text) - kept if RUN.match(text[-1]) else 0
        stop = len(text) - kept
        self._held[channel] = (text[stop:], json)
        return self._judged(text[:stop])

    def pace(self, breathe: Any) -> None:
        pass

    def flush(self, channel: str) -> str:
        text, is_json = self._held.pop(channel, ("", False))
        return "" if self.blocked else self._judged(text, is_json)

    def unread(self, error: str) -> None:
        self.blocked = self.blocked or self.closed

    def held(self) -> int:
        return sum(len(text) for text, _ in self._held.values())

    def _judged(self, text: str, is_json: bool = False) -> str:
        safe, found, _ = text.partition("BLOCK")
        if found:
            self.blocked = True
            self.verdict = Verdict(action="block", enforced="block")
        return mask(safe if found else text, is_json)


class Hoarder(Masker):
    """Lets nothing go before the end of a channel."""

    hoards = True


class Open(Masker):
    """Its rules pass what nobody can read."""

    closed = False


class Passer:
    """Changes nothing."""

    verdict = ALLOWED
    blocked = False
    changes = False
    restores = False

    def follow(self, channel: str, role: str = "assistant", json: bool = False) -> None:
        pass

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        return text

    def pace(self, breathe: Any) -> None:
        pass

    def flush(self, channel: str) -> str:
        return ""

    def unread(self, error: str) -> None:
        pass

    def held(self) -> int:
        return 0


def sse(*events: Any, named: bool = False) -> bytes:
    """A stream of events: objects, or bytes as they are."""
    out = b""
    for event in events:
        if isinstance(event, bytes):
            out += event
            continue
        if named:
            out += b"event: " + event["type"].encode() + b"\n"
        out += b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"
    return out


def rewritten(operation: str, stream: bytes, inspector: Any = None, rewriters: Rewriters | None = None) -> bytes:
    """What a client gets of a provider's stream."""
    rewriter = (rewriters or Rewriters()).open(operation, inspector or Masker())
    parser = SseParser()
    out = b""
    for event in parser.feed(stream) + parser.close():
        out += rewriter.event(event)
        if rewriter.blocked:
            return out + rewriter.block_end("blocked by policy")
    out += rewriter.end()
    return out + (rewriter.block_end("blocked by policy") if rewriter.blocked else b"")


def objects(stream: bytes) -> list[Any]:
    """The data of a stream's events, decoded."""
    parser = SseParser()
    datas = [event.data for event in parser.feed(stream) + parser.close() if event.data is not None]
    return [json.loads(data) for data in datas if data != b"[DONE]"]


class Clients:
    """The official SDKs, answered with a stream at hand."""

    def __init__(self) -> None:
        self.stream = b""
        self.openai = openai.OpenAI(
            api_key="test",
            base_url="http://gateway.test/v1",
            http_client=httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, **self._answer()))),
        )
        self.anthropic = anthropic.Anthropic(
            api_key="test",
            base_url="http://gateway.test",
            http_client=httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200, **self._answer()))),
        )

    def _answer(self) -> dict[str, Any]:
        return {"headers": {"content-type": "text/event-stream"}, "content": self.stream}

    def chat(self, stream: bytes) -> Any:
        """The whole completion as the SDK puts it together."""
        self.stream = stream
        with self.openai.chat.completions.stream(model="m", messages=[]) as events:
            try:
                return events.get_final_completion()
            except openai.ContentFilterFinishReasonError as error:
                return error.completion

    def completion(self, stream: bytes) -> list[Any]:
        self.stream = stream
        return list(self.openai.completions.create(model="m", prompt="p", stream=True))

    def response(self, stream: bytes) -> list[Any]:
        """The events of a response, with the SDK's snapshots."""
        self.stream = stream
        with self.openai.responses.stream(model="m", input="p") as events:
            return list(events)

    def message(self, stream: bytes) -> Any:
        """The whole message as the SDK puts it together."""
        self.stream = stream
        with self.anthropic.messages.stream(model="m", max_tokens=9, messages=[]) as events:
            return events.get_final_message()


def cut(text: str, at: list[int]) -> list[str]:
    """`text` in pieces, cut at these places (modulo its length)."""
    places = sorted({place % (len(text) + 1) for place in at})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
