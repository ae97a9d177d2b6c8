"""Log-probabilities beside the text they should repeat."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.logprobs import repeats

TEXTS = st.lists(st.text(alphabet='ab ☃"\\\ud83d', min_size=1, max_size=3), max_size=4)


def ways(tokens: list[str]) -> list[Any]:
    full = [{"token": each, "bytes": list(each.encode("utf-8", "surrogatepass"))} for each in tokens]
    bare = [{"token": each, "bytes": None} for each in tokens]
    return [{"content": full, "refusal": None}, {"content": None, "refusal": bare}, {"tokens": tokens}, full, bare]


@given(TEXTS, TEXTS)
def test_tokens_are_put_together_and_compared(tokens: list[str], other: list[str]):
    """ "Whether the JSON `raw` holds the tokens of `text` and no others.\""""
    for way in ways(tokens):
        raw = json.dumps(way).encode()
        assert repeats(raw, "".join(tokens))
        assert repeats(raw, "".join(other)) is ("".join(tokens) == "".join(other))


def test_bytes_say_more_than_the_token():
    halves = [{"token": "\\xe2\\x98", "bytes": [0xE2, 0x98]}, {"token": "\\x83", "bytes": [0x83]}]
    assert repeats(json.dumps({"content": halves}).encode(), "☃")


@pytest.mark.parametrize(
    "raw",
    [b"[1,2]", b'{"ids":[]}', b'{"content":[{"logprob":1}]}', b'{"content":"a"}', b'[{"token":"a","bytes":[256]}]',
     b'[{"token":"a","bytes":["a"]}]', b"[" * 9999 + b"]" * 9999, b"{", b'[{"bytes":null,"token":{}}]', b"1"],
)  # fmt: skip
def test_what_is_written_otherwise_repeats_nothing(raw: bytes):
    assert not repeats(raw, "a")
