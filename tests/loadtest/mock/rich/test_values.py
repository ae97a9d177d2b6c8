"""Values that rich answers share."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from loadtest.mock.rich.values import PIXEL, SOUND, cut, logprobs, obfuscation


@given(st.text(max_size=100), st.integers(1, 20))
def test_pieces_are_of_one_size_and_add_up(text: str, size: int) -> None:
    """ "Pieces of `size` characters"."""
    pieces = cut(text, size)
    assert "".join(pieces) == text
    assert all(len(piece) == size for piece in pieces[:-1])


@given(st.text(max_size=100))
def test_padding_hides_the_length(text: str) -> None:
    """ "text and padding together are a whole number of 16 characters"."""
    assert len(text + obfuscation(text)) % 16 == 0


def test_payloads_are_what_they_say() -> None:
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
    assert base64.b64decode(SOUND)[8:12] == b"WAVE"


def test_logprobs_repeat_the_tokens() -> None:
    found = logprobs(["a", "\u00e9"])
    assert [one["token"] for one in found] == ["a", "\u00e9"]
    assert found[1]["bytes"] == [0xC3, 0xA9]
    assert "bytes" not in logprobs(["a"], shown=True)[0]
