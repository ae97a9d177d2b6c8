"""Image tokens by size; sizes from headers; no URL is fetched."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.images import size_of
from pricing.tokens import TokenCounter

COUNTER = TokenCounter()


def data_url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"


def jpeg(width: int, height: int, before: int = 0) -> bytes:
    comment = b"\xff\xfe" + struct.pack(">H", before + 2) + b"\x00" * before if before else b""
    start = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + comment
    return start + b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x22\x00"


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return b"RIFF\x00\x00\x00\x00WEBPVP8L\x00\x00\x00\x00\x2f" + struct.pack("<I", bits) + b"\x00" * 8


def webp_lossy(width: int, height: int) -> bytes:
    return b"RIFF\x00\x00\x00\x00WEBPVP8 \x00\x00\x00\x00\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)


def webp_extended(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + sides


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x00\x00\x00"


@pytest.mark.parametrize("make", [png, jpeg, webp_lossless, webp_lossy, webp_extended, gif])
@pytest.mark.parametrize("size", [(1, 1), (640, 480), (1024, 3000), (9000, 16)])
def test_size_from_the_header(make: "type[object]", size: tuple[int, int]) -> None:
    assert size_of(data_url(make(*size))) == size  # type: ignore[call-arg,arg-type]


def test_jpeg_behind_a_large_profile() -> None:
    assert size_of(data_url(jpeg(800, 600, before=60_000))) == (800, 600)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://example.com/cat.png",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,é",
        "data:image/png," + base64.b64encode(png(3, 3)).decode(),
        data_url(b"\x89PNG\r\n\x1a\n"),
        data_url(b"BM" + b"\x00" * 60),
        data_url(png(0, 10)),
        data_url(png(2**31, 10)),
        data_url(b"\xff\xd8" + b"\xff" * 500),
        data_url(b"\xff\xd8\x00\x00" + b"\x00" * 50),
    ],
)
def test_what_cannot_be_told_is_none(url: str) -> None:
    assert size_of(url) is None


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF0000WEBP"]))
def test_any_header_is_read_or_refused(data: bytes, magic: bytes) -> None:
    size = size_of(data_url(magic + data))
    assert size is None or min(size) > 0
    assert COUNTER.count_image(data_url(magic + data), "gpt-4o") <= 1445


DOCUMENTED = [
    # platform.openai.com/docs/guides/images-vision, "calculating costs"
    ("gpt-4o", "high", (1024, 1024), 765),
    ("gpt-4o", "high", (2048, 4096), 1105),
    ("gpt-4o", "low", (4096, 8192), 85),
    ("gpt-4.1-mini", "auto", (1024, 1024), 1659),  # 1,024 patches times 1.62
    ("gpt-4.1-mini", "auto", (1800, 2400), 2353),  # 1,452 patches times 1.62
    ("gpt-4o-mini", "high", (512, 512), 2833 + 5667),
    ("gpt-4o-mini", "low", (512, 512), 2833),
    ("o1", "high", (512, 512), 225),
    ("o4-mini", "high", (1024, 1024), 1762),
    ("gpt-5", "high", (512, 512), 210),
    ("gpt-5-nano", "high", (1024, 1024), 2520),
    # docs.anthropic.com/en/docs/build-with-claude/vision: width times height over 750
    ("claude-sonnet-4-5", "auto", (200, 200), 54),
    ("claude-sonnet-4-5", "auto", (1000, 1000), 1334),
    # ai.google.dev/gemini-api/docs/tokens: 258 to a tile
    ("gemini-2.5-pro", "auto", (384, 384), 258),
    ("gemini-2.5-pro", "auto", (1536, 1536), 4 * 258),
]


@pytest.mark.parametrize(("model", "detail", "size", "tokens"), DOCUMENTED)
def test_documented_counts(model: str, detail: str, size: tuple[int, int], tokens: int) -> None:
    assert COUNTER.count_image(data_url(png(*size)), model, detail) == tokens


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("gpt-4o", 1445),
        ("gpt-4o-mini", 48169),
        ("gpt-4.1-nano", 3779),
        ("claude-sonnet-4-5", 1600),
        ("claude-opus-4-7", 4784),
        ("gemini-2.5-pro", 4128),
        ("grok-4", 1600),
    ],
)
@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_remote_image_counts_as_the_largest(model: str, most: int, width: int, height: int) -> None:
    assert COUNTER.count_image("https://example.com/cat.png", model) == most
    assert 1 <= COUNTER.count_image(data_url(png(width, height)), model) <= most


def test_images_in_messages() -> None:
    counter = TokenCounter()
    url = data_url(png(1024, 1024))
    empty = counter.count_chat([{"role": "user", "content": []}], "gpt-4o")
    chat = {"type": "image_url", "image_url": {"url": url, "detail": "high"}}
    responses = {"type": "input_image", "image_url": url, "detail": "low"}
    anthropic = {"type": "image", "source": {"type": "base64", "data": url.partition(",")[2]}}
    remote = {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}
    for part, tokens in ((chat, 765), (responses, 85), (anthropic, 765), (remote, 1445)):
        assert counter.count_chat([{"role": "user", "content": [part]}], "gpt-4o") == empty + tokens
