"""Watches of the ledger look in turn, again and again."""

import asyncio

from gateway.settings.looking import INTERVAL, keep_looking


class Counted:
    def __init__(self, name: str, looked: list[str]) -> None:
        self.name = name
        self.looked = looked

    def look(self) -> None:
        self.looked.append(self.name)


async def test_every_watch_looks_in_every_round():
    looked: list[str] = []
    looking = asyncio.ensure_future(keep_looking([Counted("keys", looked), Counted("switches", looked)], 0.001))
    async with asyncio.timeout(60):
        while len(looked) < 6:
            await asyncio.sleep(0.001)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert looked[:6] == ["keys", "switches"] * 3


def test_two_rounds_are_made_within_a_second():
    """ "effective everywhere within 1 s" """
    assert INTERVAL * 2 < 1
