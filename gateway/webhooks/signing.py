"""Where events go, and the signature they carry, as Standard Webhooks 1.0 has it (standardwebhooks.com).

Signed is `webhook-id.webhook-timestamp.body`, with HMAC-SHA-256; the key is what follows `whsec_` in the secret, in
base64. A receiver takes the libraries of that project, or twelve lines of its own.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec

PREFIX = "whsec_"
PLACEHOLDER = "__ROUTING_KEY__"
LEAST, MOST = 24, 64
"""Bytes of a key."""
SECRET_HINT = (
    f"allowed is {PREFIX} and {LEAST} to {MOST} random bytes in base64; make one: whsec_$(openssl rand -base64 32)"
)


class Endpoint(msgspec.Struct, frozen=True):
    """One receiver."""

    url: str
    """http or https. May hold a credential: never logged."""
    key: bytes
    events: frozenset[str]
    """Kinds of events it wants."""
    routing_key: str = ""
    """Put in place of `PLACEHOLDER` when a body is sent, so that the spool holds no secret."""

    def filled(self, body: str) -> bytes:
        """The bytes to send."""
        return body.replace(PLACEHOLDER, self.routing_key).encode() if self.routing_key else body.encode()

    @property
    def id(self) -> str:
        """Names it in the spool: 16 hex digits of the digest of its URL (and routing key), so that it survives a change
        of its secret."""
        named = f"{self.url}\0{self.routing_key}" if self.routing_key else self.url
        return hashlib.sha256(named.encode()).hexdigest()[:16]


def parse_secret(text: str) -> bytes:
    """The key of a secret. Raises `ValueError` saying what is allowed, without the text."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except binascii.Error:
        key = b""
    if not LEAST <= len(key) <= MOST:
        raise ValueError(f"this is not a webhook secret; {SECRET_HINT}")
    return key


def signed_headers(key: bytes, event_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """The headers of one delivery of `body` at `at_seconds` (Unix time); without a key, unsigned."""
    if not key:
        return {"content-type": "application/json", "webhook-id": event_id}
    signed = f"{event_id}.{at_seconds}.".encode() + body
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": f"v1,{digest}",
    }
