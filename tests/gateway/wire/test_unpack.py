"""Compressed request bodies: what comes out is what went in, and never more than may."""

import gzip
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import BadRequest, BodyTooLarge, UnsupportedEncoding
from gateway.wire import unpack
from gateway.wire.unpack import MEMBERS, QUICK, coding_of, inflate, unpacked

LIMIT = 1 << 20


@given(st.binary(max_size=3000), st.sampled_from([b"gzip", b"x-gzip", b"deflate"]), st.integers(0, 9))
def test_what_comes_out_is_what_went_in_or_none_of_it(plain: bytes, coding: bytes, level: int) -> None:
    """RFC 9110 section 8.4.1: gzip is RFC 1952's format, deflate is zlib's (RFC 1950)."""
    packed = zlib.compress(plain, level) if coding == b"deflate" else gzip.compress(plain, level)
    assert inflate(packed, coding, len(plain)) == plain
    if plain:
        assert inflate(packed, coding, len(plain) - 1) is None


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate"]))
@example(gzip.compress(b"{}")[:-1], b"gzip")
@example(zlib.compress(b"{}") + b"x", b"deflate")
@example(gzip.compress(b"{}") + b"x", b"gzip")
@example(b"", b"gzip")
def test_anything_else_is_refused_in_words(body: bytes, coding: bytes) -> None:
    with pytest.raises(BadRequest, match=f"not valid {coding.decode()}"):
        inflate(body, coding, LIMIT)


def test_a_gzip_body_may_have_parts_and_not_any_number() -> None:
    """RFC 1952 section 2.2: members follow one another."""
    part = gzip.compress(b"ab")
    assert inflate(part * MEMBERS, b"gzip", LIMIT) == b"ab" * MEMBERS
    with pytest.raises(BadRequest):
        inflate(part * (MEMBERS + 1), b"gzip", LIMIT)


@pytest.mark.parametrize("size", [QUICK - 1, QUICK + 1, LIMIT])
async def test_short_and_long_ones_are_decoded_alike(size: int) -> None:
    assert await unpacked(gzip.compress(b"x" * size), b"gzip", LIMIT) == b"x" * size


@pytest.mark.parametrize(("size", "bounds"), [(QUICK, [QUICK]), (QUICK + 1, [LIMIT])])
async def test_no_body_that_says_its_size_is_decoded_twice(
    size: int, bounds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def counted(body: bytes, coding: bytes, most: int) -> bytes | None:
        asked.append(most)
        return inflate(body, coding, most)

    monkeypatch.setattr(unpack, "inflate", counted)
    assert await unpacked(gzip.compress(bytes(size)), b"gzip", LIMIT) == bytes(size)
    assert asked == bounds


@pytest.mark.parametrize("size", [LIMIT + 1, 200 * LIMIT])
async def test_a_bomb_is_413(size: int) -> None:
    with pytest.raises(BodyTooLarge, match="once decoded"):
        await unpacked(gzip.compress(b" " * size), b"gzip", LIMIT)


@pytest.mark.parametrize(
    ("sent", "coding"), [(b"", b""), (b"identity", b""), (b" GZip ", b"gzip"), (b"x-gzip", b"x-gzip")]
)
def test_codings_that_are_read(sent: bytes, coding: bytes) -> None:
    assert coding_of([(b"content-encoding", sent)]) == coding


@pytest.mark.parametrize("sent", [b"br", b"zstd", b"gzip, gzip", b"compress", b"x"])
def test_other_codings_are_refused_and_told_what_is_allowed(sent: bytes) -> None:
    """RFC 9110 section 15.5.16: a 415 for a coding tells the ones that are taken in `accept-encoding`."""
    with pytest.raises(UnsupportedEncoding, match="allowed are gzip, deflate") as refused:
        coding_of([(b"content-encoding", sent)])
    assert refused.value.headers == ((b"accept-encoding", b"gzip, deflate"),)


def test_two_fields_are_one_list() -> None:
    """RFC 9110 section 5.3: what a provider would read as gzip must not pass here as identity."""
    with pytest.raises(UnsupportedEncoding):
        coding_of([(b"content-encoding", b"gzip"), (b"host", b"x"), (b"content-encoding", b"identity")])


async def test_nothing_is_done_to_a_body_that_has_no_coding() -> None:
    body = b"\x1f\x8b"
    assert await unpacked(body, coding_of([]), 1) is body
