"""AWS Signature Version 4 against AWS's published vectors (aws-sig-v4-test-suite and the IAM User Guide)."""

from datetime import UTC, datetime

import msgspec
import pytest

from gateway.inspection.external.sigv4 import Credentials, signed, signing_key

NOW_NS = int(datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()) * 1_000_000_000
SUITE = Credentials("AKID" + "EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY" + "EXAMPLEKEY", "us-east-1", "service")


def authorization(credentials: Credentials, method: str, host: str, target: str, *headers: tuple[str, str]) -> str:
    return dict(signed(credentials, method, host, target, headers, b"", NOW_NS))["authorization"]


@pytest.mark.parametrize(("name", "method", "target", "signature"), [
    ("get-vanilla", "GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
])  # fmt: skip
def test_the_published_suite(name: str, method: str, target: str, signature: str) -> None:
    assert authorization(SUITE, method, "example.amazonaws.com", target) == (
        f"AWS4-HMAC-SHA256 Credential={SUITE.key_id}/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    ), name


def test_the_user_guides_example() -> None:
    """List users: a signed content type, and the key that is derived on the way."""
    iam = msgspec.structs.replace(SUITE, service="iam")
    content = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    value = authorization(iam, "GET", "iam.amazonaws.com", "/?Action=ListUsers&Version=2010-05-08", content)
    assert value.endswith("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
    assert "SignedHeaders=content-type;host;x-amz-date" in value
    assert signing_key(iam, "20150830").hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_temporary_credentials_send_and_sign_their_token() -> None:
    token = msgspec.structs.replace(SUITE, session_token="token")
    added = dict(signed(token, "POST", "h", "/", [], b"{}", NOW_NS))
    assert added["x-amz-security-token"] == "token"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token" in added["authorization"]


def test_an_encoded_path_is_encoded_once_more_to_be_signed() -> None:
    """An ARN in the path: another signature than for the same path unencoded."""
    once = authorization(SUITE, "POST", "h", "/guardrail/arn%3Aaws%2Fx/apply")
    assert once != authorization(SUITE, "POST", "h", "/guardrail/arn:aws/x/apply")


def test_the_secret_is_not_shown() -> None:
    assert SUITE.secret not in repr(SUITE)
