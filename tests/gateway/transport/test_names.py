"""Names of hosts: one that hangs holds up no other, and what is an address is no name."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tasks import TaskGroup
from gateway.transport import names as module
from gateway.transport.names import Names, literal

Found = list[tuple[int, int, int, str, tuple[str, int]]]


def found(*hosts: tuple[int, str]) -> Found:
    return [(family, socket.SOCK_STREAM, 0, "", (host, 80)) for family, host in hosts]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Have the loop's resolver answer with what a function says, perhaps after waiting for an event."""

    def say(answer: Callable[[str], object]) -> list[str]:
        seen: list[str] = []

        async def getaddrinfo(host: str, *_: object, **__: object) -> object:
            seen.append(host)
            told = answer(host)
            if isinstance(told, asyncio.Event):
                await told.wait()
                return found((socket.AF_INET, "late"))
            if isinstance(told, BaseException):
                raise told
            return told

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return seen

    return say


def names() -> Names:
    return Names(TaskGroup(lambda name, error: pytest.fail(f"{name}: {error}")))


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_is_never_looked_up(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    """What the system's own resolver makes of an address (RFC 3493 section 6.1, AI_NUMERICHOST)."""
    told = socket.getaddrinfo(str(address), port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    made = literal(str(address), port)
    assert made is not None
    assert made[:4] == told[0][:4]
    assert ipaddress.ip_address(made[4][0]) == ipaddress.ip_address(told[0][4][0])
    assert made[4][1:] == told[0][4][1:]


@given(st.text())
def test_what_is_no_address_is_a_name(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert literal(text, 1) is None


async def test_address_families_alternate(asked: Callable[..., list[str]]) -> None:
    """RFC 8305 section 4, with the resolver's first family first."""
    six, four = socket.AF_INET6, socket.AF_INET
    asked(
        lambda host: [] if host == "none.test" else found((six, "a"), (six, "b"), (six, "c"), (four, "d"), (four, "e"))
    )
    ordered = await names().addresses("x.test", 80)
    assert [address[4][0] for address in ordered] == ["a", "d", "b", "e", "c"]
    with pytest.raises(OSError, match="no addresses"):
        await names().addresses("none.test", 80)


async def test_a_name_is_asked_for_once_at_a_time(asked: Callable[..., list[str]]) -> None:
    """However many wait for it, and whoever of them leaves, it keeps one thread of the resolver."""
    answer = asyncio.Event()
    seen = asked(lambda host: answer)
    known = names()
    waiting = [asyncio.ensure_future(known.addresses("x.test", 80)) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    answer.set()
    assert [(await one)[0][4][0] for one in waiting[1:]] == ["late"] * 19
    assert seen == ["x.test"]
    await known.addresses("x.test", 80)
    assert seen == ["x.test"] * 2


async def test_what_was_known_stands_in(asked: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the resolver cannot tell; a name that is gone is gone."""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    known = names()
    told: list[object] = [found((socket.AF_INET, "first"))]
    asked(lambda host: told[0])
    first = await known.addresses("x.test", 80)
    never = asyncio.Event()
    told[0] = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert await known.addresses("x.test", 80) == first
    with pytest.raises(socket.gaierror):
        await known.addresses("unknown.test", 80)
    told[0] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(socket.gaierror):
        await known.addresses("x.test", 80)
    told[0] = never
    assert await known.addresses("x.test", 80) == first
    never.set()
    while (await known.addresses("x.test", 80))[0][4][0] != "late":
        pass
