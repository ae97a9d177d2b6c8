"""Answers for the `/v1/*` paths a gateway only passes through: uploads, downloads, speech, and an echo for the rest."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import msgspec

from loadtest.mock.openai_chat import CREATED
from loadtest.mock.reply import Reply, Request

_encode = msgspec.json.Encoder().encode
_BLOCK = bytes(range(256)) * 256  # 64 KiB
_DOWNLOAD = 1024 * 1024
_SPEECH = 32 * 1024


def binary_block(size: int) -> Iterator[bytes]:
    """`size` bytes of a fixed pattern (byte i is i mod 256), in blocks of at most 64 KiB."""
    while size > 0:
        yield _BLOCK[:size] if size < len(_BLOCK) else _BLOCK
        size -= len(_BLOCK)


def asked_bytes(request: Request, default: int) -> int:
    """`?bytes=N`, or the default. Raises ValueError for what is no size."""
    values = parse_qs(request.query).get("bytes")
    size = int(values[0]) if values else default
    if size < 0:
        raise ValueError("bytes is not negative")
    return size


def files_reply(request: Request, parts: list[str]) -> Reply:
    """Files: upload (POST), metadata (GET), content (GET .../content), deletion (DELETE)."""
    if request.method == "POST":
        return Reply(body=_encode({**_file(f"file-{request.sha256[:24]}", request.size), "sha256": request.sha256}))
    if not parts:
        return Reply(body=_encode({"object": "list", "data": [], "has_more": False}))
    if parts[-1] == "content":
        size = asked_bytes(request, _DOWNLOAD)
        return Reply(content_type=b"application/octet-stream", pieces=binary_block(size), length=size)
    if request.method == "DELETE":
        return Reply(body=_encode({"id": parts[0], "object": "file", "deleted": True}))
    return Reply(body=_encode(_file(parts[0], 0)))


def _file(file_id: str, size: int) -> dict[str, Any]:
    return {
        "id": file_id,
        "object": "file",
        "bytes": size,
        "created_at": CREATED,
        "filename": "upload.bin",
        "purpose": "user_data",
        "status": "processed",
    }


def audio_reply(request: Request, parts: list[str]) -> Reply:
    """Speech is binary in chunked framing; transcription and translation answer a text."""
    if parts and parts[0] == "speech":
        return Reply(content_type=b"audio/mpeg", pieces=binary_block(asked_bytes(request, _SPEECH)))
    return Reply(body=_encode({"text": "Lorem ipsum dolor sit amet.", "bytes": request.size, "sha256": request.sha256}))


def echo_reply(request: Request) -> Reply:
    """What arrived: method, path, query, size and SHA-256 of the body."""
    body = {
        "object": "echo",
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "content_type": request.header(b"content-type"),
        "bytes": request.size,
        "sha256": request.sha256,
    }
    return Reply(body=_encode(body))
