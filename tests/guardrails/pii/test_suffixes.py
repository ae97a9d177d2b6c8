"""Public suffixes."""

import pytest

from guardrails.pii.suffixes import Suffixes


@pytest.fixture(scope="module")
def suffixes() -> Suffixes:
    return Suffixes()


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "EXAMPLE.Co.UK",
        "a.b.example.org",
        "www.ck",
        "a.b.ck",
        "пример.рф",
        "xn--e1afmkfd.xn--p1ai",
        "city.kawasaki.jp",
    ],
)
def test_names_that_someone_can_register(suffixes: Suffixes, host: str) -> None:
    assert suffixes.registrable(host)


@pytest.mark.parametrize(
    "host", ["com", "co.uk", "b.ck", "example.invalid", "", ".com", "localhost", "10.0.0.1", "xn--\ud800.com"[:4]]
)
def test_bare_suffixes_and_unknown_ones(suffixes: Suffixes, host: str) -> None:
    """*`*.ck` makes each name below `ck` a suffix; `!www.ck` excepts one*: publicsuffix.org's format."""
    assert not suffixes.registrable(host)
