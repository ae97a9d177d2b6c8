"""Whether log-probabilities, which repeat a text token by token, repeat the text they are sent with.

Three ways to write them: `{"content": [{"token", "bytes"}], "refusal": …}` beside a choice, `{"tokens": […]}` beside a
completion's text, and a bare array beside a part of a response. Token ids are written as numbers, and say no text that
could be compared. Source: platform.openai.com/docs/api-reference/chat, …/completions, …/responses.
"""

import json
from typing import cast


def repeats(raw: bytes, text: str) -> bool:
    """Whether the JSON `raw` holds the tokens of `text` and no others. Raises nothing: what is written otherwise does
    not repeat it."""
    try:
        said = _tokens(json.loads(raw))
        return said is not None and b"".join(said) == text.encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return False


def _tokens(value: object) -> list[bytes] | None:
    """The bytes of each token; None: they are not to be found."""
    if isinstance(value, list):
        found = [_token(each) for each in cast(list[object], value)]
        return None if None in found else cast(list[bytes], found)
    if not isinstance(value, dict):
        return None
    members = cast(dict[str, object], value)
    if "tokens" in members:
        return _tokens(members["tokens"])
    if members.keys() - {"content", "refusal"}:
        return None
    told: list[bytes] = []
    for each in members.values():
        tokens = _tokens(each) if each is not None else []
        if tokens is None:
            return None
        told += tokens
    return told


def _token(value: object) -> bytes | None:
    """`bytes` say more than `token`, which cannot be a part of a character."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not isinstance(value, dict):
        return None
    members = cast(dict[str, object], value)
    written = members.get("bytes")
    if isinstance(written, list):
        return (
            bytes(cast(list[int], written))
            if all(isinstance(each, int) for each in cast(list[object], written))
            else None
        )
    return _token(members.get("token")) if isinstance(members.get("token"), str) else None
