"""Virtual keys: how a key is made, how it is stored as a hash, and how a request's key finds its caller.

Two hash schemes. `sha256:` is the plain digest of the key, for keys written in YAML (128 random bits or more need no
salt). `hmac:` is HMAC-SHA-256 with the server's secret, for keys that `tollway keys create` puts into the ledger
database: a stolen database alone cannot even confirm a guessed key.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.errors import Unauthenticated
from gateway.facts import Caller

Scheme = Literal["sha256", "hmac"]

MADE_PREFIX = "sk-tw-"
"""Keys we make start so; it also tells which hash to try first."""
_MADE_PREFIX = MADE_PREFIX.encode()


class KeyEntry(msgspec.Struct, frozen=True):
    """One stored key: its digest (32 bytes) and whom it stands for."""

    scheme: Scheme
    digest: bytes
    caller: Caller


class NewKey(msgspec.Struct, frozen=True):
    """A key just made. `secret` is shown once and never stored."""

    secret: str
    prefix: str
    last4: str


def make_key() -> NewKey:
    """A new key with 192 random bits."""
    secret = MADE_PREFIX + secrets.token_urlsafe(24)
    return NewKey(secret, secret[: len(MADE_PREFIX) + 4], secret[-4:])


def digest_of(key: bytes, scheme: Scheme, server_secret: bytes = b"") -> bytes:
    """The 32 bytes stored for `key`. The server secret is needed for `hmac` only."""
    if scheme == "sha256":
        return hashlib.sha256(key).digest()
    return hmac.digest(server_secret, key, "sha256")


def parse_hash(text: str) -> tuple[Scheme, bytes]:
    """Read `sha256:<64 hex digits>`, `hmac:<64 hex digits>`, or 64 bare hex digits (a plain SHA-256, as another
    gateway's key table holds it). Raises `ValueError` saying what is allowed."""
    scheme, _, digits = text.rpartition(":")
    if scheme not in ("", "sha256", "hmac"):
        raise ValueError("unknown hash scheme; allowed are sha256:HEX and hmac:HEX")
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        raise ValueError("the hash is not hexadecimal; allowed are 64 hex digits after sha256: or hmac:") from None
    if len(digest) != 32:
        raise ValueError(f"the hash has {len(digits)} hex digits; allowed are exactly 64")
    return ("hmac" if scheme == "hmac" else "sha256"), digest


class KeyIndex:
    """All keys of a snapshot. A look-up is one hash and one dict access: keys that look like ours are tried as HMAC
    first, all others as plain digests first; the other scheme is only tried on a miss."""

    def __init__(self, entries: Iterable[KeyEntry], server_secret: bytes | None = None) -> None:
        self._plain: dict[bytes, Caller] = {}
        self._keyed: dict[bytes, Caller] = {}
        for entry in entries:
            (self._keyed if entry.scheme == "hmac" else self._plain)[entry.digest] = entry.caller
        self._secret = server_secret

    def __len__(self) -> int:
        return len(self._plain) + len(self._keyed)

    def find(self, key: bytes) -> Caller | None:
        """The caller of `key`, expired or not; None when it is unknown."""
        if key.startswith(_MADE_PREFIX):
            return self._find_keyed(key) or self._plain.get(hashlib.sha256(key).digest())
        return self._plain.get(hashlib.sha256(key).digest()) or self._find_keyed(key)

    def _find_keyed(self, key: bytes) -> Caller | None:
        if self._secret is None or not self._keyed:
            return None
        return self._keyed.get(hmac.digest(self._secret, key, "sha256"))


def authenticate(index: KeyIndex, key: bytes | None, now_ns: int) -> Caller:
    """Whose key is this? Raises `Unauthenticated`; the message never repeats the key."""
    if not key:
        raise Unauthenticated(
            "No API key was sent. Send a Tollway virtual key as 'authorization: Bearer KEY' or 'x-api-key: KEY'."
        )
    caller = index.find(key)
    if caller is None:
        raise Unauthenticated("Incorrect API key: this gateway knows no such key, or it was revoked.")
    if caller.expires_ns is not None and now_ns >= caller.expires_ns:
        raise Unauthenticated(f"The API key '{caller.key_id}' has expired.", code="expired_api_key")
    return caller
