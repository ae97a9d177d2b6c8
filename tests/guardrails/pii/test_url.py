"""URLs."""

import pytest

from guardrails.pii.suffixes import Suffixes
from guardrails.pii.url import HOST, PATH, USUAL, Url


@pytest.fixture(scope="module")
def ours() -> Url:
    return Url(Suffixes().top, extra=True)


@pytest.fixture(scope="module")
def presidios() -> Url:
    return Url(Suffixes().top, extra=False)


def found(url: Url, text: str) -> list[str]:
    return [text[one.start : one.end] for one in url.scan(text, 0, len(text))]


@pytest.mark.parametrize(
    "address", ["example.com", "https://www.example.co.uk/a?b=c#d", "HTTP://X.DE", "a-b.museum/x", "xn--mller-kva.de"]
)
def test_addresses(ours: Url, address: str) -> None:
    for frame in ("{}", "({})", "see {} there", "é{}"):
        assert found(ours, frame.format(address)) == [address]


@pytest.mark.parametrize("size", [USUAL - 1, USUAL, USUAL + 1, HOST])
def test_a_host_begins_as_far_back_as_it_is_long(ours: Url, size: int) -> None:
    host = "a" * size + ".org"
    assert found(ours, f"see {host} there") == [host]


def test_quotes_belong_to_it_as_in_presidio(ours: Url) -> None:
    assert found(ours, 'at "http://a.org/b"') == ["http://a.org/b", '"http://a.org/b"']


def test_a_sentence_ends_outside(ours: Url) -> None:
    assert found(ours, "see a.org/b. Then") == ["a.org/b"]
    assert found(ours, "see a.org. Then") == ["a.org"]


def test_no_addresses(ours: Url) -> None:
    for text in ("index.html", "e.g. this", "a@b.org", "3.14", "...", ".com", "x." * 400 + "com"):
        assert found(ours, text) == []


def test_presidios_first_domain(presidios: Url) -> None:
    assert found(presidios, "example.community/x index.html") == ["example.com", "index.ht"]
    assert found(presidios, "'example.community/x'") == ["example.com", "'example.community/x'"]


def test_caps(ours: Url) -> None:
    text = "http://a.org/" + "x" * 3000
    assert found(ours, text) == [text[: len("http://a.org") + PATH]]
    assert found(ours, "a" * (HOST + 1) + ".org") == []
