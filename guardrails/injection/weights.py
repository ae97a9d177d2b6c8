"""The file of trained weights: what is in it, and how it is read and written.

`WEIGHTS` bytes, then SHA-256 of what follows, then a zlib stream of MessagePack. Weights are small integers times one
scale for each head, so that scores are exact sums and the same on every machine.
"""

import hashlib
import struct
import zlib
from importlib import resources

import msgspec

MAGIC = b"TOLLWAY-INJECTION-2\n"
MOST = 64 << 20
"""Bytes a weights file may unpack to."""


class WeightsError(ValueError):
    """The file is not one of weights, or is damaged."""


class Grams(msgspec.Struct, frozen=True):
    """Weights of features of one kind."""

    keys: bytes
    """64-bit little-endian numbers."""
    weights: list[bytes]
    """For each head, one signed byte a key."""


class Hint(msgspec.Struct, frozen=True):
    """A head over single words, by which windows are chosen that are worth all heads."""

    words: bytes
    """One signed byte a word of the vocabulary."""
    edge: int
    """Sum from which a window is worth it."""


class Bag(msgspec.Struct, frozen=True):
    """A head over the set of a text's words: what it is about, however it is said."""

    words: bytes
    """One signed byte a word of the vocabulary."""
    rarity: bytes
    """One signed byte a word, never negative: its part of the text's length; 0: the word is not counted at all."""
    scale: float
    bias: float


class Weights(msgspec.Struct, frozen=True):
    words: list[str]
    """The vocabulary; the first one has number 1."""
    classes: bytes
    """Class of each word, 0 for none."""
    heads: list[str]
    scales: list[float]
    bias: list[float]
    grams: dict[str, Grams]
    """By kind: w words, b pairs, s pairs with a word between, t triples, c sequences of classes."""
    hints: dict[str, Hint] = {}
    """By name: attack and request; unsafe."""
    calibration: dict[str, list[float]] = {}
    """For each sort of role: attack, request, log2 of windows, constant, bag. For a category: slope, log2, constant."""
    note: str = ""
    bag: Bag | None = None


def pack(weights: Weights) -> bytes:
    body = zlib.compress(msgspec.msgpack.encode(weights), 9)
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> Weights:
    """Raises WeightsError."""
    start = len(MAGIC) + 32
    if data[: len(MAGIC)] != MAGIC or hashlib.sha256(data[start:]).digest() != data[len(MAGIC) : start]:
        raise WeightsError(
            "not a weights file, or damaged: install Tollway again, or train it with tools/train_injection.py"
        )
    unpacker = zlib.decompressobj()
    body = unpacker.decompress(data[start:], MOST)
    if not unpacker.eof:
        raise WeightsError("the weights file is too large")
    try:
        return msgspec.msgpack.decode(body, type=Weights)
    except msgspec.MsgspecError as error:
        raise WeightsError(f"not weights this version reads: {error}") from error


def packaged(name: str) -> Weights:
    """Weights shipped with the package: `injection` or `moderation`. Reads a file. Raises WeightsError."""
    return unpack((resources.files("guardrails.injection") / "data" / f"{name}.bin").read_bytes())


def numbers(data: bytes) -> tuple[int, ...]:
    """Keys as Python numbers."""
    return struct.unpack(f"<{len(data) // 8}q", data)
