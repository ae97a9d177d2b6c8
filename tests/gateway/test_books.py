"""Exchanges are booked in a row when a turn of the loop is over."""

import asyncio

from gateway.books import Books
from gateway.facts import Exchange


class Noted:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def record(self, exchange: Exchange) -> None:
        self.ids.append(exchange.id)


def ended(number: int, holds: bool = False) -> Exchange:
    x = Exchange(f"id-{number}", f"id-{number}", number, 0.0)
    if holds:
        x.holds = (f"hold-{number}",)
    return x


def test_what_ends_in_one_turn_is_booked_when_it_is_over_in_order_and_once():
    sink = Noted()
    settled: list[str] = []
    books = Books(None, [sink], lambda x: settled.append(x.id), lambda x, error: None)

    async def turn() -> None:
        books.record(ended(1, holds=True))
        books.record(ended(2))
        assert sink.ids == []
        await asyncio.sleep(0)
        assert sink.ids == ["id-1", "id-2"]
        books.record(ended(3, holds=True))
        books.close()
        assert sink.ids == ["id-1", "id-2", "id-3"]
        await asyncio.sleep(0)
        assert sink.ids == ["id-1", "id-2", "id-3"], "what was booked before its turn is not booked again"

    asyncio.run(turn())
    assert settled == ["id-1", "id-3"]


def test_what_fails_for_one_keeps_no_other_from_being_booked():
    sink = Noted()
    defects: list[tuple[str, str]] = []

    def settle(x: Exchange) -> None:
        if x.id == "id-1":
            raise KeyError("lost")

    books = Books(None, [sink], settle, lambda x, error: defects.append((x.id, type(error).__name__)))

    async def turn() -> None:
        for number in range(3):
            books.record(ended(number, holds=True))
        books.close()

    asyncio.run(turn())
    assert sink.ids == ["id-0", "id-1", "id-2"]
    assert defects == [("id-1", "KeyError")]
