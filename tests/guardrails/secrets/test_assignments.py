"""Assigned values: every way of giving a name a value, passwords in prose and in URLs."""

import random

import pytest

from tests.guardrails.secrets.conftest import Scan


def value(length: int, seed: int = 1) -> str:
    chance = random.Random(seed)
    return "k3" + "".join(chance.choices("bcdfgjmpqrvwyzBCDFGJMPQRVWYZ2456789", k=length - 2))


@pytest.mark.parametrize(
    "template",
    [
        'api_key = "{}"',
        "API_KEY={}",
        "api-key: {}",
        "'apiKey': '{}'",
        '{{"api_key": "{}"}}',
        '{{\\"api_key\\": \\"{}\\"}}',
        "apiKey := `{}`",
        "secret => '{}'",
        "--api-key {}",
        "--api-key={}",
        "my api key is {}.",
        "token: str = '{}'",
        "Authorization: Bearer {}",
        "X-Api-Key: {}",
        'config["client_secret"] = "{}"',
        "<secret>{}</secret>",
        "signing.secret = {}",
        "?access_token={}",
        "the token was: {}",
    ],
)
def test_assignments_are_seen_in_every_dress(template: str, scan: Scan) -> None:
    """What is masked is the value, not the name."""
    secret = value(32)
    text = template.format(secret)
    assert [(text[m.start : m.end], m.rule) for m in scan(text)] == [(secret, "secret.generic.key")]


@pytest.mark.parametrize(
    ("text", "masked"),
    [("password: Hunter2!x", "Hunter2!x"), ("my password is Tr0ub4dor&3.", "Tr0ub4dor&3"),
     ("Server=db;Uid=u;Pwd=p4ssw0rT;", "p4ssw0rT"),
     ("DB_PASSWORD='c0rrect-horse'", "c0rrect-horse"), ("postgres" + "://app:s3cr3tpw@db:5432/x", "s3cr3tpw"),
     ("https" + "://bot:tk%40n9@host/", "tk%40n9"), ("redis" + "://:longpass1@cache", "longpass1"),
     ("amqp" + "://é:longpass1@mq", "longpass1")],
)  # fmt: skip
def test_passwords(text: str, masked: str, scan: Scan) -> None:
    assert [text[m.start : m.end] for m in scan(text)] == [masked]


@pytest.mark.parametrize(
    "text",
    [
        "password is important",
        "passwords: many",
        "the token is valid",
        "api_key = load_key('x1y2z3')",
        "http://host:8080/a@b",
        "https" + "://u:{password}@host/",
        "https" + "://user:pass@host/",
        "Bearer of bad news",
        "credentials = client._get_credentials()",
        "private_key = Ed25519PrivateKey.generate()",
        "key = random_ed25519_key_pair()",
        'if key == "BisectBatchOnFunctionError4":',
        "Pass = ASLLexer.PASS",
        "token = base64_bytes.decode('utf8')",
        "passwd = rows[0]",
        '"arn:aws:secretsmanager:*:*:secret:A4BNetworkProfile*"',
    ],
)
def test_words_are_no_values(text: str, scan: Scan) -> None:
    assert scan(text) == []


def test_longer_values_are_data(scan: Scan) -> None:
    assert scan(f"api_key = {value(512)}") != []
    assert scan(f"api_key = {value(513)}") == []
