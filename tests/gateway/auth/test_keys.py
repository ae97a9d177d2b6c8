"""Keys: made, hashed, found by one hash, and never repeated."""

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import keys as room
from gateway.auth.keys import MADE_PREFIX, KeyEntry, KeyIndex, authenticate, digest_of, make_key, parse_hash
from gateway.errors import Unauthenticated
from gateway.facts import Caller, ModelScope

SECRET = b"server-secret-0123456789"
KEYS = st.binary(min_size=1, max_size=60)


def entry(key: bytes, scheme: room.Scheme = "sha256", name: str = "k", expires_ns: int | None = None) -> KeyEntry:
    return KeyEntry(scheme, digest_of(key, scheme, SECRET), Caller(key_id=name, team="t", expires_ns=expires_ns))


class Counted:
    """Stands for `hashlib` and `hmac` and counts what is asked of them."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def sha256(self, data: bytes) -> "hashlib._Hash":
        self.hashes.append("sha256")
        return hashlib.sha256(data)

    def digest(self, key: bytes, data: bytes, name: str) -> bytes:
        self.hashes.append("hmac")
        return hmac.digest(key, data, name)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(room, "hashlib", counted)
    monkeypatch.setattr(room, "hmac", counted)
    return counted


# Making and hashing -------------------------------------------------------------------------------------------------


def test_a_made_key_is_long_random_and_recognisable() -> None:
    made = [make_key() for _ in range(100)]
    assert len({key.secret for key in made}) == 100
    for key in made:
        assert re.fullmatch(r"sk-tw-[A-Za-z0-9_-]{32}", key.secret)
        assert key.secret.startswith(key.prefix)
        assert key.prefix.startswith(MADE_PREFIX)
        assert key.secret.endswith(key.last4)
        assert len(key.prefix) + len(key.last4) < len(key.secret) / 2


def test_digests_are_the_standard_ones() -> None:
    """RFC 6234 and RFC 4231 (test case 2)."""
    assert digest_of(b"abc", "sha256").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert (
        digest_of(b"what do ya want for nothing?", "hmac", b"Jefe").hex()
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@given(st.binary(min_size=32, max_size=32), st.sampled_from(["sha256", "hmac"]), st.booleans())
def test_a_written_hash_is_read_back(digest: bytes, scheme: str, upper: bool) -> None:
    digits = digest.hex().upper() if upper else digest.hex()
    assert parse_hash(f"{scheme}:{digits}") == (scheme, digest)
    assert parse_hash(digits) == ("sha256", digest)


@given(st.text(max_size=80))
def test_any_other_text_is_refused_and_not_repeated(text: str) -> None:
    try:
        scheme, digest = parse_hash(text)
    except ValueError:
        with pytest.raises(ValueError, match="allowed are") as caught:
            parse_hash("CANARY" + text)
        assert "CANARY" not in str(caught.value)
    else:
        assert scheme in ("sha256", "hmac")
        assert len(digest) == 32


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("md5:" + "00" * 32, "unknown hash scheme"),
        ("SHA256:" + "00" * 32, "unknown hash scheme"),
        ("sha256:", "has 0 hex digits"),
        ("sha256:" + "00" * 31, "has 62 hex digits"),
        ("sha256:" + "00" * 33, "has 66 hex digits"),
        ("sha256:" + "zz" * 32, "not hexadecimal"),
        ("sha256:" + "0" * 63, "not hexadecimal"),
    ],
)
def test_what_is_wrong_with_a_hash(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_hash(text)


# Looking up ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "scheme", "hashes"),
    [
        (b"sk-any", "sha256", ["sha256"]),
        (b"sk-tw-made", "hmac", ["hmac"]),
    ],
)
def test_the_usual_look_up_is_one_hash(counted: Counted, key: bytes, scheme: room.Scheme, hashes: list[str]) -> None:
    """Lookup is one hash and one dict access on the hot path, however many keys of either scheme there are."""
    entries = [entry(f"{number}".encode(), scheme) for number in range(50) for scheme in ("sha256", "hmac")]
    index = KeyIndex([*entries, entry(key, scheme)], SECRET)
    counted.hashes.clear()
    assert index.find(key) is not None
    assert counted.hashes == hashes


def test_the_other_scheme_is_only_tried_on_a_miss(counted: Counted) -> None:
    index = KeyIndex([entry(b"sk-tw-plain", "sha256"), entry(b"sk-keyed", "hmac")], SECRET)
    for key, hashes in ((b"sk-tw-plain", ["hmac", "sha256"]), (b"sk-keyed", ["sha256", "hmac"])):
        counted.hashes.clear()
        assert index.find(key) is not None
        assert counted.hashes == hashes


def test_a_miss_costs_one_hash_where_there_are_no_keyed_ones(counted: Counted) -> None:
    index = KeyIndex([entry(b"a")], SECRET)
    counted.hashes.clear()
    assert index.find(b"unknown") is None
    assert index.find(MADE_PREFIX.encode() + b"unknown") is None
    assert counted.hashes == ["sha256", "sha256"]


@given(st.dictionaries(KEYS, st.sampled_from(["sha256", "hmac"]), max_size=8), KEYS)
def test_every_key_finds_its_own_caller_and_no_other_key_finds_one(
    keys: dict[bytes, room.Scheme], other: bytes
) -> None:
    index = KeyIndex([entry(key, scheme, name=key.hex()) for key, scheme in keys.items()], SECRET)
    assert len(index) == len(keys)
    for key in keys:
        caller = index.find(key)
        assert caller is not None
        assert caller.key_id == key.hex()
    assert (index.find(other) is not None) == (other in keys)


def test_without_the_server_secret_no_keyed_hash_matches() -> None:
    assert KeyIndex([entry(b"k", "hmac")], None).find(b"k") is None
    assert KeyIndex([entry(b"k", "hmac")], b"another").find(b"k") is None


def test_the_stored_digest_is_not_a_key() -> None:
    """A stolen key table must not let anyone in."""
    stored = entry(b"k").digest
    index = KeyIndex([entry(b"k")], SECRET)
    for guess in (stored, stored.hex().encode(), b"sha256:" + stored.hex().encode()):
        assert index.find(guess) is None


# Authentication -----------------------------------------------------------------------------------------------------


def test_a_known_key_gives_its_caller() -> None:
    assert authenticate(KeyIndex([entry(b"k", name="mine")]), b"k", 0).key_id == "mine"


@pytest.mark.parametrize("key", [None, b""])
def test_no_key_says_how_to_send_one(key: bytes | None) -> None:
    with pytest.raises(Unauthenticated, match="authorization: Bearer KEY"):
        authenticate(KeyIndex([]), key, 0)


@given(KEYS)
def test_an_unknown_key_is_refused_and_never_repeated(key: bytes) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(KeyIndex([entry(b"another-key-altogether")]), b"CANARY" + key, 0)
    assert caught.value.status == 401
    assert caught.value.code == "invalid_api_key"
    assert "CANARY" not in caught.value.message


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_a_key_works_up_to_its_expiry_and_not_at_it(expires_ns: int, now_ns: int) -> None:
    index = KeyIndex([entry(b"k", name="mine", expires_ns=expires_ns)])
    if now_ns < expires_ns:
        assert authenticate(index, b"k", now_ns).key_id == "mine"
        return
    with pytest.raises(Unauthenticated, match="'mine' has expired") as caught:
        authenticate(index, b"k", now_ns)
    assert caught.value.code == "expired_api_key"


# Scope --------------------------------------------------------------------------------------------------------------

MODELS = st.text("ab/", max_size=5)


def test_no_scope_allows_everything_and_an_empty_one_nothing() -> None:
    assert ModelScope().allows("anything")
    assert not ModelScope(frozenset()).allows("anything")


@given(st.frozensets(MODELS), st.lists(MODELS.filter(bool), max_size=3).map(tuple), MODELS)
def test_a_scope_allows_its_names_and_its_prefixes(
    exact: frozenset[str], prefixes: tuple[str, ...], model: str
) -> None:
    expected = model in exact or any(model.startswith(prefix) for prefix in prefixes)
    assert ModelScope(exact, prefixes).allows(model) == expected
