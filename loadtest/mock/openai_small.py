"""The OpenAI operations that do not generate text: embeddings, moderations, models, images."""

import base64
import hashlib
import math
import struct
from functools import lru_cache
from typing import Any

import msgspec

from loadtest.mock.answer import prompt_text, prompt_tokens
from loadtest.mock.openai_chat import CREATED
from loadtest.mock.reply import Reply, Tokens
from loadtest.mock.scenario import Meters

_encode = msgspec.json.Encoder().encode
DIMENSIONS = 64
MODELS = (
    "bench-json",
    "bench-sse",
    "claude-haiku-mock",
    "gpt-4o-mini",
    "mock",
    "mock-slow",
    "text-embedding-3-small",
)
_TEXT_AND_IMAGE = ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic")
_TEXT_ONLY = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "sexual/minors",
)
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # 1x1 PNG


class EmbeddingsRequest(msgspec.Struct):
    """The fields of an embeddings request that change the answer."""

    model: str = ""
    input: str | list[Any] = ""  # a text, texts, token ids, or lists of token ids
    dimensions: int | None = None
    encoding_format: str | None = None


class ModerationRequest(msgspec.Struct):
    """The fields of a moderation request that change the answer."""

    model: str = "omni-moderation-latest"
    input: str | list[Any] = ""  # a text, texts, or content parts


class ImageRequest(msgspec.Struct):
    """The fields of an image request that change the answer."""

    model: str = ""
    prompt: str = ""
    n: int | None = 1


@lru_cache(maxsize=1024)
def vector_of(text: str, dimensions: int) -> tuple[float, ...]:
    """A unit vector that depends on the text only, in float32 precision."""
    raw = bytearray()
    counter = 0
    while len(raw) < dimensions * 4:
        raw += hashlib.sha256(f"{counter}:{text}".encode("utf-8", "surrogatepass")).digest()
        counter += 1
    numbers = [n / 2**31 for n in struct.unpack(f"<{dimensions}i", bytes(raw[: dimensions * 4]))]
    size = math.sqrt(sum(n * n for n in numbers)) or 1.0
    return struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / size for n in numbers)))


def embeddings_reply(request: EmbeddingsRequest, meters: Meters) -> Reply:
    """One vector per input; `base64` is little-endian float32."""
    given = request.input
    alone = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
    inputs: list[Any] = [given] if alone else list(given)
    dimensions = min(request.dimensions or DIMENSIONS, 4096)
    data: list[dict[str, Any]] = []
    for index, item in enumerate(inputs):
        vector = vector_of(item if isinstance(item, str) else repr(item), dimensions)
        shown: object = vector
        if request.encoding_format == "base64":
            shown = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": shown})
    # One count per input, each rounded up: batching does not change what is billed.
    tokens = sum(prompt_tokens(item) for item in inputs) if meters.input is None else meters.input
    body: dict[str, Any] = {"object": "list", "data": data, "model": request.model}
    if not meters.omit:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Reply(body=_encode(body), tokens=Tokens(tokens, 0))


def moderation_reply(request: ModerationRequest, seq: int) -> Reply:
    """Flags `violence` for an input that contains the word VIOLENT, nothing else. Unmetered, as the real one."""
    given = request.input
    if isinstance(given, str):
        texts = [given]
    else:
        # Texts are judged one by one, the content parts of one message together.
        plain = [item for item in given if isinstance(item, str)]
        texts = plain if len(plain) == len(given) else [prompt_text(given)]
    results: list[dict[str, Any]] = []
    for text in texts:
        flagged = "VIOLENT" in text
        names = (*_TEXT_ONLY, *_TEXT_AND_IMAGE)
        results.append(
            {
                "flagged": flagged,
                "categories": {name: flagged and name == "violence" for name in names},
                "category_scores": {name: 0.98 if flagged and name == "violence" else 0.0001 for name in names},
                "category_applied_input_types": {name: ["text"] for name in names},
            }
        )
    return Reply(body=_encode({"id": f"modr-mock{seq:08d}", "model": request.model, "results": results}))


def models_reply(model_id: str | None) -> Reply:
    """`GET /v1/models` and `/v1/models/{id}`; every id exists."""
    if model_id is not None:
        return Reply(body=_encode(_model(model_id)))
    return Reply(
        body=_encode(
            {
                "object": "list",
                "data": [_model(name) for name in MODELS],
                "has_more": False,
                "first_id": MODELS[0],
                "last_id": MODELS[-1],
            }
        )
    )


def _model(name: str) -> dict[str, Any]:
    # One object that both SDKs accept: OpenAI's fields and Anthropic's side by side.
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": "mock",
        "type": "model",
        "display_name": name,
        "created_at": "2024-06-01T00:00:00Z",
    }


def image_reply(request: ImageRequest, meters: Meters) -> Reply:
    """A 1x1 PNG per image, with the token usage of gpt-image models."""
    count = max(1, min(request.n or 1, 10))
    given = prompt_tokens(request.prompt) if meters.input is None else meters.input
    tokens = Tokens(given, 16 * count)
    body = {
        "created": CREATED,
        "data": [{"b64_json": _PIXEL} for _ in range(count)],
        "usage": {
            "input_tokens": tokens.input,
            "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
            "output_tokens": tokens.output,
            "total_tokens": tokens.input + tokens.output,
        },
    }
    return Reply(body=_encode(body), tokens=tokens)
