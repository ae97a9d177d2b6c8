"""The bytes of the requests, made before the clock runs: heads per key, bodies per model and prompt size."""

import random
from typing import Any
from urllib.parse import SplitResult

import msgspec

from loadtest.generator.scenario import RequestMix

_PATHS = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "responses": "/responses",
    "messages": "/messages",
    "embeddings": "/embeddings",
}
_SENTENCE = "Please summarise the following customer conversation and list the action items. "
_VARIANTS = 64


class Payloads:
    """Draws ready requests. `base` is the base URL (`…/v1`); `keys` may be empty."""

    def __init__(self, mix: RequestMix, base: SplitResult, keys: list[str], rng: random.Random) -> None:
        self._rng = rng
        self._bodies = [_body(mix, rng) for _ in range(_VARIANTS)]
        weights = mix.key_weights or [1.0] * len(keys)
        if len(weights) != len(keys):
            raise ValueError(f"`key_weights` has {len(weights)} entries for {len(keys)} keys")
        self._heads = [_head(mix, base, key) for key in keys] or [_head(mix, base, None)]
        self._weights = weights or [1.0]

    def draw(self, request_id: bytes) -> bytes:
        """One request with its id."""
        heads = self._heads
        head = heads[0] if len(heads) == 1 else self._rng.choices(heads, self._weights)[0]
        body = self._bodies[int(self._rng.random() * _VARIANTS)]
        return b"%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (head, request_id, len(body), body)


def _head(mix: RequestMix, base: SplitResult, key: str | None) -> bytes:
    lines = [f"POST {base.path.rstrip('/')}{_PATHS[mix.operation]} HTTP/1.1", f"host: {base.netloc}"]
    lines.append("content-type: application/json")
    if key is not None and mix.operation == "messages":
        lines += [f"x-api-key: {key}", "anthropic-version: 2023-06-01"]
    elif key is not None:
        lines.append(f"authorization: Bearer {key}")
    lines += [f"{name}: {value}" for name, value in mix.headers.items()]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def _body(mix: RequestMix, rng: random.Random) -> bytes:
    model = mix.model
    if mix.models:
        model = rng.choices(list(mix.models), list(mix.models.values()))[0]
    size = rng.randint(*mix.prompt_bytes)
    prompt = (_SENTENCE * (size // len(_SENTENCE) + 1))[:size]
    return msgspec.json.encode(_fields(mix, model, prompt))


def _fields(mix: RequestMix, model: str, prompt: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": model}
    messages = [{"role": "user", "content": prompt}]
    match mix.operation:
        case "chat":
            fields |= {"messages": messages, "max_tokens": mix.max_tokens}
        case "messages":
            fields |= {"messages": messages, "max_tokens": mix.max_tokens}
        case "completions":
            fields |= {"prompt": prompt, "max_tokens": mix.max_tokens}
        case "responses":
            fields |= {"input": prompt, "max_output_tokens": mix.max_tokens}
        case "embeddings":
            fields |= {"input": prompt}
    if mix.stream:
        fields["stream"] = True
        if mix.operation in ("chat", "completions"):
            fields["stream_options"] = {"include_usage": True}
    return fields
