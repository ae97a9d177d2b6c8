"""What stands in the place of a finding."""

import re

from hypothesis import given
from hypothesis import strategies as st

from guardrails.actions import Hasher, label, redacted, replacement
from guardrails.vault import LENGTH, Vault

ANY = st.text(st.characters(codec=None), max_size=40)


def test_what_each_action_writes() -> None:
    hasher, vault = Hasher(b"k"), Vault(bytes(16))
    assert replacement("mask", "EMAIL_ADDRESS", "a@b.co", hasher, vault) == "<EMAIL_ADDRESS>"
    assert replacement("redact", "CREDIT_CARD", "4111 1111-1111 1234", hasher, vault) == "**** ****-**** 1234"
    assert re.fullmatch("<NAME:[0-9a-f]{12}>", replacement("hash", "NAME", "Ann", hasher, vault))
    token = replacement("pseudonymize", "NAME", "Ann", hasher, vault)
    assert len(token) == LENGTH
    assert vault.restore(token) == "Ann"


def test_without_a_vault_a_pseudonym_is_a_mask() -> None:
    assert replacement("pseudonymize", "NAME", "Ann", Hasher(b"k"), None) == label("NAME")


@given(ANY)
def test_redaction_leaves_the_last_four_and_the_form(value: str) -> None:
    """ "Stars for everything but the last four letters or digits and what separates them"; of a short value none."""
    out = redacted(value)
    assert len(out) == len(value)
    shown = [c for c in out if c not in "* -./()@:"]
    enough = sum(map(str.isalnum, value)) >= 8
    assert shown == ([c for c in value if c.isalnum()][-4:] if enough else [])


@given(ANY)
def test_digests_are_keyed_and_blind_to_case(value: str) -> None:
    """ "16 hex digits, the same for values that differ in case only"."""
    digest = Hasher(b"one").digest(value)
    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert digest == Hasher(b"one").digest(value.casefold())
    assert digest != Hasher(b"two").digest(value)
    assert "one" not in repr(Hasher(b"one"))
