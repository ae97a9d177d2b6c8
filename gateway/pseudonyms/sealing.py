"""What a conversation's pseudonyms are sealed with: keys derived from the server's secret, and AES-256-GCM.

HKDF-SHA256 (RFC 5869) turns the secret and the conversation (its team, virtual key and id) into three values that tell
nothing of each other: the name it is stored under, the key its values are sealed with, and the seed of its
placeholders. So who reads the store learns neither which conversations there are nor what was said in them, and a
value that is moved to another conversation or placeholder does not open there.
"""

import os
from importlib.util import find_spec

import msgspec

MISSING = "pseudonyms of conversations are encrypted: pip install 'tollway[conversations]'"
_PURPOSE = b"tollway conversation vault 1"
_NONCE = 12
"""Bytes; random. A key is one conversation's, which has far fewer than 2^32 values (NIST SP 800-38D, 8.3)."""
_PAD = 32
"""Values are padded to a multiple of this many bytes, so that their lengths say little."""


def missing() -> str:
    """Why nothing can be sealed on this machine, "" if it can."""
    return "" if find_spec("cryptography") is not None else MISSING


class Conversation(msgspec.Struct, frozen=True):
    """One conversation, derived. Never written down or shown."""

    name: str
    """What it is stored under: 64 hexadecimal digits."""
    key: bytes
    seed: bytes
    """Of `guardrails.vault.Vault`."""

    def __repr__(self) -> str:
        return "<Conversation>"


def derive(secret: bytes, team: str, key_id: str, conversation: str) -> Conversation:
    """The conversation that this virtual key of this team calls so."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    parts = [part.encode("utf-8", "surrogatepass") for part in (team, key_id, conversation)]
    info = b"".join((_PURPOSE, *(len(part).to_bytes(4, "big") + part for part in parts)))
    made = HKDF(SHA256(), 96, None, info).derive(secret)
    return Conversation(made[:32].hex(), made[32:64], made[64:])


class Sealer:
    """Seals and opens the values of one conversation."""

    def __init__(self, conversation: Conversation) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._cipher = AESGCM(conversation.key)
        self._invalid = InvalidTag

    def seal(self, token: str, value: str) -> bytes:
        """`value`, for nobody but who has the key and knows its placeholder."""
        data = value.encode("utf-8", "surrogatepass")
        padded = data + b"\x80" + bytes(-(len(data) + 1) % _PAD)
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, padded, token.encode())

    def open(self, token: str, sealed: bytes) -> str | None:
        """The value again; None: it was sealed by another key or for another placeholder, or was changed."""
        try:
            padded = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], token.encode())
            return padded[: padded.rindex(b"\x80")].decode("utf-8", "surrogatepass")
        except (self._invalid, ValueError):
            return None
