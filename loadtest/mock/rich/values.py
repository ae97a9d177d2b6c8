"""Small values that the rich answers share. Deterministic."""

from collections.abc import Sequence
from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="  # 1x1 PNG
SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="  # an empty WAV
_PADDING = "aQ7fZ2mKx0RbTw9cLh5s"
_PAD_TO = 16


def cut(text: str, size: int) -> list[str]:
    """Pieces of `size` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def obfuscation(text: str) -> str:
    """Padding such that text and padding together are a whole number of 16 characters."""
    return _PADDING[: -len(text) % _PAD_TO]


def logprobs(pieces: Sequence[str], *, shown: bool = False) -> list[dict[str, Any]]:
    """Log-probabilities of tokens; with `shown`, as a Responses delta has them, without bytes."""
    found: list[dict[str, Any]] = []
    for number, piece in enumerate(pieces):
        one: dict[str, Any] = {"token": piece, "logprob": -0.125 - number / 64}
        if not shown:
            one["bytes"] = list(piece.encode())
        found.append({**one, "top_logprobs": [one]})
    return found
