"""Signatures, against the specification's own computation."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.webhooks.signing import Endpoint, parse_secret, signed_headers


def independent(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """As a receiver would, from the specification: HMAC-SHA256 over `id.timestamp.body`, by hand (RFC 2104)."""
    key = base64.b64decode(secret.removeprefix("whsec_")).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + f"{event_id}.{timestamp}.".encode() + body).digest()
    return base64.b64encode(hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()).decode()


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=200), st.integers(0, 2**33))
def test_the_signature_is_the_specifications(key: bytes, body: bytes, at: int) -> None:
    """«The content to sign is msg_id.timestamp.payload; the signature is v1, and the base64 of its HMAC-SHA256.»"""
    secret = "whsec_" + base64.b64encode(key).decode()
    assert parse_secret(secret) == key
    headers = signed_headers(key, "evt_1", at, body)
    assert headers["webhook-id"] == "evt_1"
    assert headers["webhook-timestamp"] == str(at)
    assert headers["webhook-signature"] == "v1," + independent(secret, "evt_1", str(at), body)


def test_the_specifications_example() -> None:
    """The known answer of the Standard Webhooks reference libraries."""
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    digest = hmac.new(key, b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}', hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    "secret",
    ["", "secret", "whsec_", "whsec_!!!!", "whsec_" + base64.b64encode(b"x" * 23).decode(),
     "whsec_" + base64.b64encode(b"x" * 65).decode(), base64.b64encode(b"x" * 32).decode()],
)  # fmt: skip
def test_a_wrong_secret_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and 24 to 64 random bytes in base64") as raised:
        parse_secret(secret)
    assert len(secret) < 8 or secret not in str(raised.value)


def test_an_endpoint_keeps_its_id_when_its_secret_changes() -> None:
    one = Endpoint("https://a.example/x?token=1", b"k" * 24, frozenset({"budget.soft"}))
    assert one.id == Endpoint(one.url, b"l" * 24, frozenset()).id
    assert one.id != Endpoint("https://a.example/y", one.key, one.events).id
    assert "token" not in one.id


def test_without_a_key_nothing_is_signed() -> None:
    """Alertmanager and PagerDuty ask for no signature; one made with an empty key would be a false one."""
    assert signed_headers(b"", "evt_1", 1, b"{}") == {"content-type": "application/json", "webhook-id": "evt_1"}


def test_a_routing_key_is_put_in_when_it_is_sent() -> None:
    endpoint = Endpoint("http://h/", b"", frozenset(), "R0UT1NG")
    assert endpoint.filled('{"routing_key":"__ROUTING_KEY__"}') == b'{"routing_key":"R0UT1NG"}'
    assert Endpoint("http://h/", b"", frozenset()).filled('"__ROUTING_KEY__"') == b'"__ROUTING_KEY__"'
    assert endpoint.id != Endpoint("http://h/", b"", frozenset(), "another").id
