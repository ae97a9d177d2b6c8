"""Requests that tests send on a raw socket."""

import json
from collections.abc import Callable
from typing import Any

from loadtest.mock import MockProvider

CHAT = "/v1/chat/completions"


def chat_body(stream: bool, tokens: int, model: str = "m") -> bytes:
    """A chat of 40 characters whose answer has so many tokens."""
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "x" * 40}],
            "max_tokens": tokens,
            "stream": stream,
            "stream_options": {"include_usage": True},
        }
    ).encode()


async def told(connect: Callable[..., Any], mock: MockProvider, path: str, method: str = "GET") -> Any:
    """The JSON that the mock answers at a path."""
    raw = await connect(mock)
    raw.send(method, path)
    return json.loads(await raw.body((await raw.head())[1]))
