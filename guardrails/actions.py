"""What stands in the place of a finding: mask, redaction, keyed hash, pseudonym."""

from collections.abc import Collection
from hashlib import blake2b

from guardrails.interface import Action
from guardrails.vault import Vault

KEPT = 4
"""Letters and digits that `redact` leaves at the end,"""
SHORTEST = 8
"""if the value has at least this many: four of six digits would be most of them."""
_FORM = frozenset(" -./()@:")
"""What separates the parts of a value and says nothing about them."""


class Hasher:
    """Keyed hashes of values. `key`: a secret of the installation, at most 64 bytes; without it, whoever sees a hash
    can try values until one fits. `previous`: what it was before, which `fits` still knows; empty: nothing."""

    __slots__ = ("_key", "_previous")

    def __init__(self, key: bytes, previous: bytes = b"") -> None:
        self._key = key[:64]
        self._previous = previous[:64]

    def __repr__(self) -> str:
        return "<Hasher>"

    def digest(self, value: str) -> str:
        """16 hex digits, the same for values that differ in case only."""
        return _digest(value, self._key)

    def fits(self, value: str, digests: Collection[str]) -> bool:
        """Whether the digest of a value is among these, or was when the key was another."""
        if self.digest(value) in digests:
            return True
        return bool(self._previous) and _digest(value, self._previous) in digests


def _digest(value: str, key: bytes) -> str:
    return blake2b(value.casefold().encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()


def label(type: str) -> str:
    """What `mask` writes, and every other action where it sees only a part of a value."""
    return f"<{type}>"


def replacement(action: Action, type: str, value: str, hasher: Hasher, vault: Vault | None) -> str:
    """What is written for a whole value. Pseudonyms need a vault with room; without one the value is masked."""
    if action == "redact":
        return redacted(value)
    if action == "hash":
        return f"<{type}:{hasher.digest(value)[:12]}>"
    if action == "pseudonymize" and vault is not None:
        return vault.placeholder(value) or label(type)
    return label(type)


def redacted(value: str) -> str:
    """Stars for everything but the last four letters or digits and what separates them, so that the form is seen."""
    kept = KEPT if sum(map(str.isalnum, value)) >= SHORTEST else 0
    out: list[str] = []
    for char in reversed(value):
        if char in _FORM:
            out.append(char)
        elif kept and char.isalnum():
            out.append(char)
            kept -= 1
        else:
            out.append("*")
    return "".join(reversed(out))
