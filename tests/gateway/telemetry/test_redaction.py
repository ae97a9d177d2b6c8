"""Canaries: secrets and texts that must not get through, and plain words that must."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway
from gateway.telemetry import redaction
from gateway.telemetry.redaction import MAX_TEXT, REDACTED, redact, redact_fields, redact_text

SECRETS = [
    "sk-proj-abcDEF123456",
    "sk-ant-api03-abc_DEF-123456",
    "sk-tw-AbCdEfGh12345678",
    "ghp_0123456789abcdef0123456789abcdef0123",
    "xoxb-123456789012-abcdefghijkl",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA-0123456789abcdefghijklmnopqrstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "hf_abcdefghijklmnop",
]
AROUND = [
    "{}",
    "failed with {}.",
    'x-api-key: "{}"',
    "Bearer {}",
    "https://user:{}@host/path",
    "a={},b",
    "[{}]",
    "({})",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", AROUND)
def test_secrets_are_found_wherever_they_stand(secret: str, around: str) -> None:
    found = redact_text(around.format(secret))
    assert secret not in found
    assert REDACTED in found


@pytest.mark.parametrize(
    "text",
    [
        "authorization: Bearer some.opaque_value",
        "Basic dXNlcjpwYXNzd29yZA==",
        "password=hunter2hunter2",
        '{"api_key": "0123456789"}',
        "postgresql://tollway:p4ssword@db/ledger",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQ and the end is missing",
    ],
)
def test_shapes_that_are_not_tokens(text: str) -> None:
    found = redact_text(text)
    for word in ("opaque_value", "dXNlcjpwYXNzd29yZA", "hunter2", "0123456789", "p4ssword", "MIIE"):
        assert word not in found


@pytest.mark.parametrize(
    "text",
    [
        "draining",
        "the provider 'openai' refused the credential with 401",
        "config/gateway.yaml:12:3: unknown key 'modells'",
        "https://api.openai.com/v1/chat/completions",
        "http://[::1]:8080/v1",
        "key-0123456789 of team search was revoked",
        "3 tokens of 5; task-runner; risk-based; asking",
        "0192f0c1-7d3e-7abc-8def-0123456789ab",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "name",
    ["api_key", "key", "x-api-key", "authorization", "Cookie", "password", "client_secret", "token", "prompt",
     "messages", "content", "text", "request_body", "answer", "output", "arguments"],
)  # fmt: skip
def test_fields_of_these_names_are_never_shown(name: str) -> None:
    assert redact_fields({name: "canary"}) == {name: REDACTED}
    assert redact({"deep": [{name: "canary"}]}) == {"deep": [{name: REDACTED}]}


@pytest.mark.parametrize(
    "name", ["key_id", "tokens", "input_tokens", "prompt_tokens", "team", "error", "path", "seconds"]
)
def test_fields_of_these_names_are_shown(name: str) -> None:
    assert redact_fields({name: 5}) == {name: 5}


def test_objects_are_named_by_class() -> None:
    assert redact_fields({"error": ValueError("canary")}) == {"error": "<ValueError>"}
    assert redact(b"canary") == "<bytes>"


def test_depth_and_length_are_bounded() -> None:
    nested: object = "canary"
    for _ in range(50):
        nested = [nested]
    assert "canary" not in str(redact(nested))
    assert len(redact_text("a" * 100_000)) < MAX_TEXT + 50


@given(st.sampled_from(SECRETS), st.text(alphabet=" .,:;!?()[]{}<>\n\t'\"|=", max_size=20), st.text(max_size=20))
def test_no_secret_between_any_punctuation(secret: str, before: str, after: str) -> None:
    assert secret not in redact_text(f"{before}{secret} {after}")


def test_a_secret_at_the_cut() -> None:
    for length in range(MAX_TEXT - 30, MAX_TEXT + 1):
        assert "sk-" not in redact_text("a " * (length // 2) + "sk-canary-0123456789" * 2)


def test_of_a_hostile_text_patterns_see_a_bounded_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "Cut to `MAX_TEXT` characters first": what a pattern does with them may take their square, never the text's."""
    seen: list[int] = []

    class Watched:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self._pattern = pattern

        def sub(self, new: str, text: str) -> str:
            seen.append(len(text))
            return self._pattern.sub(new, text)

    for name in ("_SHAPES", "_LAST_WORD"):
        monkeypatch.setattr(redaction, name, Watched(getattr(redaction, name)))
    for text in (
        "sk-" * 50_000,
        "eyJ" * 50_000,
        "a:b:" * 50_000,
        "://" + "a:" * 50_000,
        "bearer " * 30_000,
        "-----BEGIN " * 20_000,
    ):
        assert len(redact_text(text)) < MAX_TEXT + 100
    assert len(seen) == 12
    assert max(seen) <= MAX_TEXT


def test_no_line_of_ours_has_a_field_that_is_always_redacted():
    """A field's name says secret, or it says something: who set a kill switch was `[redacted]` in every log."""
    sources = Path(gateway.__file__).parent.rglob("*.py")
    said = [
        (source.name, call.lineno, word.arg)
        for source in sources
        for call in ast.walk(ast.parse(source.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("info", "alert")
        for word in call.keywords
        if word.arg is not None
    ]
    assert len(said) > 50, "the log's own functions are called something else now"
    assert [each for each in said if redact_fields({each[2]: "plain"}) != {each[2]: "plain"}] == []
