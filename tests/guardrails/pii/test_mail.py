"""E-mail addresses."""

import pytest

from guardrails.pii.mail import LOCAL, Mail
from guardrails.pii.suffixes import Suffixes


@pytest.fixture(scope="module")
def suffixes() -> Suffixes:
    return Suffixes()


def found(mail: Mail, text: str) -> list[str]:
    return [text[one.start : one.end] for one in mail.scan(text, 0, len(text))]


@pytest.mark.parametrize(
    "address",
    [
        "a@b.org",
        "john.o'neil+tag@mail.example.co.uk",
        "jürgen@müller.de",
        "x@xn--mller-kva.de",
        "to=a@b.org",
        "_a@b.org",
    ],
)
def test_addresses(suffixes: Suffixes, address: str) -> None:
    for frame in ("{}", "<{}>", "({}),", "é {}."):
        assert found(Mail(suffixes, extra=False), frame.format(address)) == [address]


@pytest.mark.parametrize("text", ["a@b", "a@b.nosuchtld", "@b.org", "a.@b.org", "a@.org", "a@co.uk", "a@10.0.0.1"])
def test_no_addresses(suffixes: Suffixes, text: str) -> None:
    assert found(Mail(suffixes, extra=True), text) == []


def test_behind_a_separator_only_ours(suffixes: Suffixes) -> None:
    text = "see /u?x#a@b.org"
    assert found(Mail(suffixes, extra=False), text) == []
    assert found(Mail(suffixes, extra=True), text) == ["a@b.org"]


def test_a_long_local_part_is_cut(suffixes: Suffixes) -> None:
    text = "a." * 80 + "z@b.org"
    assert found(Mail(suffixes, extra=False), text) == [text[-LOCAL - 6 :].lstrip(".")]
