"""What `/stats`, `/stats/requests` and `/last` say is exactly what was served."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from loadtest.mock import MockProvider
from tests.loadtest.mock.asking import CHAT, chat_body, told

Fixture = Callable[..., Any]


async def test_stats_has_exactly_the_fields_of_the_contract(mock: MockProvider, connect: Fixture) -> None:
    raw = await connect(mock)
    raw.send("POST", CHAT, chat_body(True, 4))
    await raw.body((await raw.head())[1])
    counters = {"requests": 1, "completed": 1, "aborted": 0, "streams": 1, "input_tokens": 10, "output_tokens": 4}
    assert await told(connect, mock, "/stats") == {**counters, "by_model": {"m": counters}}
    zero = dict.fromkeys(counters, 0)
    assert await told(connect, mock, "/stats/reset", "POST") == {**zero, "by_model": {}}


async def test_counters_are_exact_under_concurrency_and_aborts(
    start_mock: Fixture, connect: Fixture, settled: Fixture
) -> None:
    """Clients that read all see `completed`; clients that leave half-way see `aborted`; nothing is lost between."""
    mock = await start_mock("defaults: {gap: 1ms}\n")
    dice = random.Random(4)
    seen = {"completed": 0, "aborted": 0, "tokens": 0}

    async def one(index: int) -> None:
        raw = await connect(mock)
        stream, leaves = dice.random() < 0.7, dice.random() < 0.4
        # Who leaves asks for more than can be sent before that is noticed.
        tokens = 5000 if stream and leaves else dice.randint(5, 20)
        raw.send("POST", CHAT, chat_body(stream, tokens, f"m{index % 3}"), {"x-request-id": f"r{index}"})
        if stream and leaves:
            await raw.until(b"\n\n")
            raw.writer.transport.abort()
            seen["aborted"] += 1
            return
        await raw.body((await raw.head())[1])
        seen["completed"] += 1
        seen["tokens"] += tokens

    await asyncio.gather(*[one(index) for index in range(150)])
    await settled(mock)
    totals = mock.stats.totals
    assert (totals.requests, totals.completed, totals.aborted) == (150, seen["completed"], seen["aborted"])
    assert (totals.output_tokens, totals.input_tokens) == (seen["tokens"], 10 * seen["completed"])
    assert sum(c.requests for c in totals.by_model.values()) == 150
    assert {record.id for record in mock.requests} == {f"r{index}" for index in range(150)}
