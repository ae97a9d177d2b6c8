"""One detector with every rule and its gate, for all tests of secrets; compiled once."""

from collections.abc import Callable

import pytest

from guardrails.detector import Hit, Match
from guardrails.matching.gate import Gate, open_gate
from guardrails.secrets.detector import SecretDetector

Scan = Callable[[str], list[Match]]


@pytest.fixture(scope="session")
def secrets() -> SecretDetector:
    return SecretDetector()


@pytest.fixture(scope="session")
def secrets_gate(secrets: SecretDetector) -> Gate:
    return open_gate(secrets.expressions)


@pytest.fixture(scope="session")
def scan(secrets: SecretDetector, secrets_gate: Gate) -> Scan:
    """Gate and detector, as the engine runs them."""

    def run(text: str) -> list[Match]:
        hits = secrets_gate.scan(text.encode("utf-8", "surrogatepass"))
        return secrets.confirm(text, [Hit(*hit) for hit in hits])

    return run
