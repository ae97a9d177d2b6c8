"""What an image costs in tokens, by its size alone. An image's URL is never fetched.

Sizes come from the first bytes of `data:` URLs (PNG, JPEG, GIF, WebP headers); what cannot be told that way (remote
URLs, file ids, other formats) counts as the largest image the model can be charged for.

Sources: platform.openai.com/docs/guides/images-vision ("calculating costs"), ai.google.dev/gemini-api/docs/tokens,
docs.anthropic.com/en/docs/build-with-claude/vision.
"""

import binascii
import re
import struct
from math import ceil, floor, sqrt

import msgspec

from pricing.families import Family

_HEAD = 96 * 1024
"""Base64 characters looked at: a JPEG's size may stand behind embedded profiles and thumbnails."""
_MOST_PATCHES = 1536


class Tiles(msgspec.Struct, frozen=True):
    """A base price, and a price for every 512-pixel tile."""

    base: int
    tile: int


class Patches(msgspec.Struct, frozen=True):
    """A price for every 32-pixel patch, times a factor."""

    factor: float


_OPENAI: tuple[tuple["re.Pattern[str]", Tiles | Patches], ...] = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"gpt-4o-mini", Tiles(2833, 5667)),
        (r"gpt-[4-9][.\d]*-mini|gpt-[5-9][.\d]*-codex-mini", Patches(1.62)),
        (r"gpt-[4-9][.\d]*-nano", Patches(2.46)),
        (r"o4-mini", Patches(1.72)),
        (r"gpt-[5-9]", Tiles(70, 140)),
        (r"(^|/)o[13]", Tiles(75, 150)),
        (r"computer-use", Tiles(65, 129)),
    )
)
_OPENAI_DEFAULT = Tiles(85, 170)
"""gpt-4o, gpt-4.1, gpt-4.5, gpt-4-turbo."""


def image_tokens(url: str, detail: str, model: str, family: Family) -> int:
    """Tokens of one image given by URL; `detail` is OpenAI's low, high or auto (taken as high)."""
    size = size_of(url)
    if family.images == "openai":
        return _openai(size, detail, model.lower())
    if family.images == "claude":
        return _claude(size, large=family.name != "claude-3")
    if family.images == "gemini":
        return _gemini(size)
    return 1600 if size is None else min(1600, max(1, ceil(size[0] * size[1] / 750)))


def size_of(url: str) -> tuple[int, int] | None:
    """Width and height in pixels of a `data:` URL's image; None when it is none, or its header cannot be read."""
    head, comma, encoded = url[: _HEAD + 128].partition(",")
    if not comma or not head.lower().startswith("data:") or not head.lower().endswith(";base64"):
        return None
    encoded = encoded[: _HEAD & ~3]
    try:
        data = binascii.a2b_base64(encoded[: len(encoded) & ~3])
    except (binascii.Error, ValueError):
        return None
    size = _header_size(data)
    return size if size is not None and 0 < size[0] <= 1 << 20 and 0 < size[1] <= 1 << 20 else None


def _header_size(data: bytes) -> tuple[int, int] | None:
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) >= 30:
        return _webp(data)
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: lossy (VP8), lossless (VP8L) and extended (VP8X) files."""
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header (ITU T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _openai(size: tuple[int, int] | None, detail: str, model: str) -> int:
    rule = next((rule for pattern, rule in _OPENAI if pattern.search(model)), _OPENAI_DEFAULT)
    if isinstance(rule, Patches):
        return ceil((_MOST_PATCHES if size is None else _patches(*size)) * rule.factor)
    if detail == "low":
        return rule.base
    return rule.base + rule.tile * (8 if size is None else _tiles(*size))


def _tiles(width: float, height: float) -> int:
    """512-pixel tiles once the image fits 2048 by 2048 and its shorter side is 768 at most."""
    shrink = min(1.0, 2048 / max(width, height))
    width, height = width * shrink, height * shrink
    shrink = min(1.0, 768 / min(width, height))
    return max(1, ceil(width * shrink / 512 - 1e-9)) * max(1, ceil(height * shrink / 512 - 1e-9))


def _patches(width: int, height: int) -> int:
    """32-pixel patches; larger images are shrunk to at most 1,536 of them, in whole patches."""
    count = ceil(width / 32) * ceil(height / 32)
    if count <= _MOST_PATCHES:
        return count
    shrink = sqrt(32 * 32 * _MOST_PATCHES / (width * height))
    across, down = width * shrink / 32, height * shrink / 32
    shrink *= min(max(1, floor(across)) / across, max(1, floor(down)) / down)
    return min(_MOST_PATCHES, ceil(width * shrink / 32 - 1e-9) * ceil(height * shrink / 32 - 1e-9))


def _claude(size: tuple[int, int] | None, *, large: bool) -> int:
    """A token to 750 pixels, once the longer side fits 1568 pixels (2576 from Opus 4.7 on)."""
    side, most = (2576, 4784) if large else (1568, 1600)
    if size is None:
        return most
    shrink = min(1.0, side / max(size))
    return max(1, min(most, ceil(size[0] * size[1] * shrink * shrink / 750)))


def _gemini(size: tuple[int, int] | None) -> int:
    """258 tokens to a tile of 768 pixels; both sides up to 384 pixels are one tile. Unknown sizes: 16 tiles."""
    if size is None:
        return 16 * 258
    if max(size) <= 384:
        return 258
    return min(16, ceil(size[0] / 768) * ceil(size[1] / 768)) * 258
