"""Whether a request gives its input as numbers of tokens: a text that only who has the vocabulary can read.

Embeddings take `input`, and legacy completions `prompt`, as a string, an array of strings, an array of token numbers,
or an array of such arrays. Source: platform.openai.com/docs/api-reference/embeddings and …/completions.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

import msgspec

INPUTS: Mapping[str, str] = MappingProxyType({"embeddings": "input", "completions": "prompt"})
"""By operation, the member that may hold such numbers."""
_MAYBE = re.compile(rb"[\[,][ \t\r\n]*+-?[0-9]")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def holds_tokens(operation: str, body: bytes) -> bool:
    """Whether any part of the input is a number of a token. What is no JSON object holds none: who reads it says so."""
    name = INPUTS.get(operation)
    if name is None:
        return False
    try:
        value = bytes(_members(body).get(name, b""))
        return value[:1] == b"[" and _MAYBE.search(value) is not None and _numbers(msgspec.json.decode(value))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False


def _numbers(value: object) -> bool:
    """Whether an array holds numbers, or arrays that do. Numbers inside of objects are something else."""
    if isinstance(value, list):
        return any(_numbers(item) for item in cast("list[object]", value))
    return isinstance(value, int | float) and not isinstance(value, bool)
