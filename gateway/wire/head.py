"""What a request's head tells the gateway itself, looked up once."""

from gateway.seams import Headers
from gateway.wire.headers import bearer, content_length, parse_tags, request_id


class Head:
    """The fields of one request head. What is rarely needed is only looked at when asked for."""

    __slots__ = ("content_type", "fields", "headers")

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.fields = dict(headers)
        self.content_type = self.fields.get(b"content-type", b"")

    @property
    def key(self) -> bytes | None:
        """The virtual key sent, if any."""
        sent = self.fields.get(b"authorization")
        if sent is not None and sent[:7] == b"Bearer ":
            return sent[7:].strip() or None
        return bearer(self.headers)

    @property
    def request_id(self) -> str | None:
        """The client's own request id, if it is a valid one."""
        return request_id(self.headers) if b"x-request-id" in self.fields else None

    @property
    def content_length(self) -> int | None:
        """The declared length of the body, bytes."""
        sent = self.fields.get(b"content-length")
        if sent is None:
            return None
        return int(sent) if sent.isdigit() and len(sent) < 19 else content_length(self.headers)

    def tags(self) -> dict[str, str] | None:
        """Tags of `x-tollway-tags`. Raises `BadRequest` when they are malformed."""
        sent = self.fields.get(b"x-tollway-tags")
        return parse_tags(sent) if sent else None
