"""Writes made together: order kept, nothing left behind, nothing into what is closing."""

import asyncio

import pytest

from gateway import outbox
from gateway.outbox import Outbox


class Wire:
    """A transport that remembers what was written, and when, by the count of writes made on all."""

    def __init__(self, order: list[tuple[str, bytes]], name: str) -> None:
        self.order = order
        self.name = name
        self.closing = False

    def write(self, data: bytes) -> None:
        self.order.append((self.name, data))

    def is_closing(self) -> bool:
        return self.closing


@pytest.fixture
def order() -> list[tuple[str, bytes]]:
    return []


async def test_a_write_after_a_pause_is_made_at_once(order, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "DENSE", 0.0)
    box = Outbox(asyncio.get_running_loop())
    box.write(Wire(order, "a"), b"1")
    assert order == [("a", b"1")]


async def test_writes_in_a_row_leave_together_before_the_loop_waits_again(order, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "DENSE", 1e9)
    box = Outbox(asyncio.get_running_loop())
    a, b = Wire(order, "a"), Wire(order, "b")
    box.write(a, b"1")
    box.write(b, b"2")
    box.write(a, b"3")
    assert order == []
    await asyncio.sleep(0)
    assert order == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    box.write(b, b"4")
    await asyncio.sleep(0)
    assert order[-1] == ("b", b"4")


async def test_what_comes_while_others_wait_waits_too_so_that_order_is_kept(order, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "DENSE", 1e9)
    box = Outbox(asyncio.get_running_loop())
    wire = Wire(order, "a")
    box.write(wire, b"1")
    monkeypatch.setattr(outbox, "DENSE", 0.0)
    box.write(wire, b"2")
    assert order == []
    await asyncio.sleep(0)
    assert order == [("a", b"1"), ("a", b"2")]


async def test_flush_writes_now_and_a_closing_transport_gets_nothing(order, monkeypatch) -> None:
    monkeypatch.setattr(outbox, "DENSE", 1e9)
    box = Outbox(asyncio.get_running_loop())
    a, b = Wire(order, "a"), Wire(order, "b")
    box.write(a, b"1")
    box.write(b, b"2")
    b.closing = True
    box.flush()
    assert order == [("a", b"1")]
    await asyncio.sleep(0)
    assert order == [("a", b"1")]
