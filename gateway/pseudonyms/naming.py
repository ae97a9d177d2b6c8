"""Which conversation a request belongs to, as its client says.

    x-tollway-conversation: ID             any operation
    {"conversation": ID | {"id": ID}}      Responses
    {"metadata": {"conversation_id": ID}}  Chat Completions, Responses

The header wins over the body, and `conversation` over `metadata`. `previous_response_id` names an answer, not a
conversation: its first request would have none.
"""

import re

import msgspec

from gateway.errors import BadRequest

HEADER = b"x-tollway-conversation"
_ID = re.compile(r"[\x21-\x7e]{1,256}")


class _Conversation(msgspec.Struct):
    id: str = ""


class _Metadata(msgspec.Struct):
    conversation_id: str | int = ""


class _Named(msgspec.Struct):
    conversation: str | _Conversation | None = None
    metadata: _Metadata | None = None


_named = msgspec.json.Decoder(_Named).decode


def conversation_of(header: bytes | None, body: bytes) -> str:
    """The id the client gives the conversation; empty: none. Raises `BadRequest` for a header that is no id; what a
    body has in its place is the provider's business."""
    if header:
        name = header.decode("latin-1").strip()
        if _ID.fullmatch(name) is None:
            raise BadRequest(
                "Header x-tollway-conversation is not 1 to 256 visible ASCII characters.",
                param="x-tollway-conversation",
                code="invalid_conversation",
            )
        return name
    try:
        named = _named(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    said = named.conversation
    name = said if isinstance(said, str) else said.id if said is not None else ""
    if not name and named.metadata is not None:
        name = str(named.metadata.conversation_id)
    return name if _ID.fullmatch(name) is not None else ""
