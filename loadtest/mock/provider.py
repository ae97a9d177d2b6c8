"""The provider behind the protocol: which operation a request is, its answer, its record, and the control endpoints."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from loadtest.markedyaml import ScenarioError
from loadtest.mock.anthropic import MessagesRequest, count_tokens_reply, messages_reply
from loadtest.mock.envelopes import failure_reply
from loadtest.mock.framing import plan_for
from loadtest.mock.openai_chat import ChatRequest, CompletionRequest, chat_reply, completion_reply
from loadtest.mock.openai_responses import ResponsesRequest, responses_reply
from loadtest.mock.openai_small import (
    EmbeddingsRequest,
    ImageRequest,
    ModerationRequest,
    embeddings_reply,
    image_reply,
    models_reply,
    moderation_reply,
)
from loadtest.mock.passthrough import audio_reply, echo_reply, files_reply
from loadtest.mock.reply import Plan, Reply, Request
from loadtest.mock.scenario import Behaviour, Failure, Meters, Output, Scenario, bundled_names, load_scenario
from loadtest.mock.stats import Record, Stats

T = TypeVar("T")
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/moderations": "moderations",
    "/v1/images/generations": "images",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "count_tokens",
}
_PLAIN = Behaviour()
_OUTPUT = Output()
_METERS = Meters()
_encode = msgspec.json.Encoder().encode


class Parsed(msgspec.Struct):
    """A request understood: its model, whether it streams, and how to answer it under output and meters."""

    model: str = ""
    stream: bool = False
    render: Callable[[Output, Meters, int], Reply] | None = None


class Provider:
    """Implements `protocol.App`."""

    def __init__(self, scenario: Scenario) -> None:
        self.stats = Stats()
        self.last: Request | None = None
        self._default = scenario
        self._named: dict[str, Scenario] = {scenario.name: scenario}
        self._names = sorted({*bundled_names(), scenario.name}, key=len, reverse=True)
        self._by_model: dict[str, Scenario] = {}
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {}

    # protocol.App

    def keeps_body(self, method: str, path: str, content_type: str) -> bool:
        """Bodies of the operations that are understood, and of the control endpoints, are kept."""
        return path in _OPERATIONS or not path.startswith("/v1/") or content_type.startswith("application/json")

    def answer(self, request: Request) -> tuple[Plan, Record | None]:
        """Decide, count and render."""
        path = request.path
        if not path.startswith("/v1/"):
            return plan_for(self._control(request), _PLAIN, self._default.rng, request.keep_alive), None
        if path.startswith("/v1/models"):
            operation, parsed = "models", Parsed(render=lambda _o, _m, _s: models_reply(path[11:] or None))
        else:
            self.last = request
            operation = _OPERATIONS.get(path) or _first_part(path)
            try:
                parsed = self._parse(operation, request)
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
                failure = Failure(status=400, message=f"We could not parse the body of your request. {error}")
                return self._send(request, operation, Parsed(), failure_reply(failure, _speaks_anthropic(request)))
        try:
            scenario = self._scenario(request, parsed.model)
        except ScenarioError as error:
            return self._send(request, operation, parsed, failure_reply(Failure(400, message=str(error)), False))
        behaviour = scenario.decide(parsed.model, operation, parsed.stream)
        return self._send(request, operation, parsed, self._reply(request, parsed, behaviour), behaviour, scenario)

    def ended(self, record: Record, completed: bool) -> None:
        """Count the end of a request."""
        self.stats.close(record, completed)

    # answering

    def _reply(self, request: Request, parsed: Parsed, behaviour: Behaviour) -> Reply:
        if behaviour.error is not None:
            return failure_reply(behaviour.error, _speaks_anthropic(request))
        if behaviour.wire is not None and behaviour.wire.redirect is not None:
            return Reply(status=307, body=b"{}", headers=[(b"location", behaviour.wire.redirect.encode("latin-1"))])
        if parsed.render is None:
            return failure_reply(Failure(404), _speaks_anthropic(request))
        try:
            return parsed.render(behaviour.output or _OUTPUT, behaviour.usage or _METERS, self.stats.seq + 1)
        except ValueError as error:
            return failure_reply(Failure(400, message=str(error)), _speaks_anthropic(request))

    def _send(
        self,
        request: Request,
        operation: str,
        parsed: Parsed,
        reply: Reply,
        behaviour: Behaviour = _PLAIN,
        scenario: Scenario | None = None,
    ) -> tuple[Plan, Record | None]:
        plan = plan_for(reply, behaviour, (scenario or self._default).rng, request.keep_alive)
        if operation == "models":
            return plan, None
        record = self.stats.open(
            request.header(b"x-request-id"),
            parsed.model,
            operation,
            reply.status,
            reply.events is not None,
            reply.tokens.input,
            reply.tokens.output,
        )
        return plan, record

    def _parse(self, operation: str, request: Request) -> Parsed:
        match operation:
            case "chat":
                chat = self._decode(ChatRequest, request.body)
                return Parsed(chat.model, bool(chat.stream), lambda o, m, s: chat_reply(chat, o, m, s))
            case "messages":
                message = self._decode(MessagesRequest, request.body)
                return Parsed(message.model, bool(message.stream), lambda o, m, s: messages_reply(message, o, m, s))
            case "responses":
                asked = self._decode(ResponsesRequest, request.body)
                return Parsed(asked.model, bool(asked.stream), lambda o, m, s: responses_reply(asked, o, m, s))
            case "completions":
                legacy = self._decode(CompletionRequest, request.body)
                return Parsed(legacy.model, bool(legacy.stream), lambda o, m, s: completion_reply(legacy, o, m, s))
            case "embeddings":
                texts = self._decode(EmbeddingsRequest, request.body)
                return Parsed(texts.model, render=lambda _o, m, _s: embeddings_reply(texts, m))
            case "moderations":
                judged = self._decode(ModerationRequest, request.body)
                return Parsed(judged.model, render=lambda _o, _m, s: moderation_reply(judged, s))
            case "images":
                image = self._decode(ImageRequest, request.body)
                return Parsed(image.model, render=lambda _o, m, _s: image_reply(image, m))
            case "count_tokens":
                counted = self._decode(MessagesRequest, request.body)
                return Parsed(counted.model, render=lambda _o, m, _s: count_tokens_reply(counted, m))
            case _:
                return self._parse_other(operation, request)

    def _parse_other(self, operation: str, request: Request) -> Parsed:
        parts = [part for part in request.path.split("/") if part][2:]
        model = ""
        if request.body:
            request.sha256 = hashlib.sha256(request.body).hexdigest()
            body: Any = msgspec.json.decode(request.body)
            model = str(body.get("model", "")) if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        if operation == "files":
            return Parsed(model, render=lambda _o, _m, _s: files_reply(request, parts))
        if operation == "audio":
            return Parsed(model, render=lambda _o, _m, _s: audio_reply(request, parts))
        return Parsed(model, render=lambda _o, _m, _s: echo_reply(request))

    def _decode(self, kind: type[T], body: bytes) -> T:
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.json.Decoder(kind)
        return decoder.decode(body)

    # scenarios

    def _scenario(self, request: Request, model: str) -> Scenario:
        """By header `x-mock-scenario`, else by model suffix (`mock-slow`), else the default. Raises ScenarioError."""
        if asked := request.header(b"x-mock-scenario"):
            return self._load(asked)
        found = self._by_model.get(model)
        if found is None:
            found = self._default
            for name in self._names:
                if model.endswith("-" + name) or model == name:
                    found = self._load(name)
                    break
            self._by_model[model] = found
        return found

    def _load(self, name: str) -> Scenario:
        found = self._named.get(name)
        if found is None:
            if name not in bundled_names():
                raise ScenarioError(f"no scenario called {name!r}; bundled are: {', '.join(bundled_names())}")
            found = self._named[name] = load_scenario(name)
        return found

    # control endpoints

    def _control(self, request: Request) -> Reply:
        match (request.method, request.path):
            case ("GET", "/stats"):
                return Reply(body=_encode(self.stats.totals))
            case ("POST", "/stats/reset"):
                self.stats.reset()
                return Reply(body=_encode(self.stats.totals))
            case ("GET", "/stats/requests"):
                return self._requests(request)
            case ("GET", "/last"):
                return self._last()
            case ("GET", "/healthz" | "/"):
                return Reply(body=b'{"status":"ok"}')
            case _:
                return failure_reply(Failure(404), anthropic=False)

    def _requests(self, request: Request) -> Reply:
        text = (parse_qs(request.query).get("since") or ["0"])[0]
        if not text.isdigit():
            return failure_reply(Failure(400, message="`since` is a sequence number."), anthropic=False)
        return Reply(body=_encode({"next": self.stats.seq, "requests": self.stats.since(int(text))}))

    def _last(self) -> Reply:
        request = self.last
        if request is None:
            return failure_reply(Failure(404, message="No request yet."), anthropic=False)
        headers: list[tuple[str, str]] = []
        for name, value in request.headers:
            # Keys are for comparing, never for reading.
            secret = name in (b"authorization", b"x-api-key")
            shown = "sha256:" + hashlib.sha256(value).hexdigest() if secret else value.decode("latin-1")
            headers.append((name.decode("latin-1"), shown))
        body: Any = None
        try:
            body = msgspec.Raw(request.body) if request.body and msgspec.json.decode(request.body) is not None else None
        except msgspec.DecodeError:
            body = None
        seen: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(headers),
            "header_list": headers,
            "body": body,
            "bytes": request.size,
            "sha256": request.sha256 or hashlib.sha256(request.body).hexdigest(),
        }
        return Reply(body=_encode(seen))


def _first_part(path: str) -> str:
    part = path[4:].partition("/")[0]
    return part if part in ("files", "audio") else "other"


def _speaks_anthropic(request: Request) -> bool:
    return request.path.startswith("/v1/messages")
