"""URLs of the shared store: every form, every mistake, and no password in any of the answers."""

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits.shared.address import Address, AddressError, Encryption, Login, parse_address

names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)
hosts = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
ports = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", Address("server", (("localhost", 6379),))),
        ("redis://localhost:7000/3", Address("server", (("localhost", 7000),), db=3)),
        ("redis://[::1]:7000", Address("server", (("::1", 7000),))),
        ("redis://a,b:7000", Address("server", (("a", 6379), ("b", 7000)))),
        ("redis://:pw@a", Address("server", (("a", 6379),), Login(None, "pw"))),
        ("redis://u%40x:p%3Aw@a", Address("server", (("a", 6379),), Login("u@x", "p:w"))),
        ("rediss://a", Address("server", (("a", 6379),), encryption=Encryption())),
        ("redis://a?ca=/x.pem", Address("server", (("a", 6379),), encryption=Encryption(ca="/x.pem"))),
        ("redis+cluster://a,b?tls=1", Address("cluster", (("a", 6379), ("b", 6379)), encryption=Encryption())),
        ("redis+sentinel://a,b/main/2", Address("sentinel", (("a", 26379), ("b", 26379)), db=2, master="main")),
        (
            "redis+sentinel://u:p@a/main?sentinel_password=q&prefix=t1",
            Address("sentinel", (("a", 26379),), Login("u", "p"), 0, "main", Login(None, "q"), prefix="t1"),
        ),
    ],
)
def test_forms(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://a", "'http' is not known; allowed are redis, rediss, redis+cluster, redis+sentinel"),
        ("redis://", "a host is missing"),
        ("redis://a,,b", "a host is missing"),
        ("redis://a:0", "port 0 is not between 1 and 65535"),
        ("redis://a:99999", "port 99999"),
        ("redis://a b", "'a b' is no host"),
        ("redis://[::1", "not a URL"),
        ("redis://user@a", "before @ stands user:password"),
        ("redis://a/x", "database 'x' is no number"),
        ("redis://a/1/2", "database '1/2' is no number"),
        ("redis+cluster://a/1", "only database 0"),
        ("redis+sentinel://a", "after the sentinels stands /NAME"),
        ("redis://a?tsl=1", "option 'tsl' is not known; allowed are tls, ca,"),
        ("redis://a?tls=maybe", "tls=maybe is neither 1 nor 0"),
        ("rediss://a?tls=0", "tls=0 contradicts"),
        ("redis://a?tls=1&tls=1", "given twice"),
        ("redis://a?ca=", "option 'ca' is empty"),
        ("redis://a?key=k", "key needs a cert"),
        ("redis://a?x", "not name=value"),
        ("redis://a?sentinel_password=x", "redis+sentinel:// only"),
        ("redis+sentinel://a/m?sentinel_user=x", "needs a sentinel_password"),
        ("redis://a?prefix={x}", "prefix '{x}'"),
        ("redis://a#b", "%23"),
    ],
)
def test_mistakes_are_named(url: str, says: str) -> None:
    with pytest.raises(AddressError) as raised:
        parse_address(url)
    assert says in str(raised.value)


@given(names, names, st.lists(st.tuples(hosts, ports), min_size=1, max_size=3), st.integers(0, 99))
def test_credentials_and_hosts_come_back_as_they_were_given(
    user: str, password: str, places: list[tuple[str, int]], db: int
) -> None:
    """ "User, password and names are percent-encoded." """
    where = ",".join(f"{host}:{port}" for host, port in places)
    address = parse_address(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@{where}/{db}")
    assert address.login == Login(user, password)
    assert address.places == tuple(places)
    assert address.db == db


@given(st.text(max_size=40))
def test_anything_is_read_or_refused(text: str) -> None:
    """`AddressError` is the only error, whatever the text is."""
    for url in (text, f"redis://{text}", f"redis+sentinel://a/m?{text}"):
        with contextlib.suppress(AddressError):
            parse_address(url)


def test_no_password_is_shown() -> None:
    address = parse_address("redis+sentinel://u:hidden@a/main?sentinel_password=hidden")
    assert "hidden" not in str(address)
    assert "hidden" not in repr(address)
    with pytest.raises(AddressError) as raised:
        parse_address("redis://u:hidden@a:0")
    assert "hidden" not in str(raised.value)
