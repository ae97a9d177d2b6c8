"""Exchanges and records as the ledger's tests need them."""

import json
import random
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlalchemy import func, select

from gateway.clock import Ids
from gateway.facts import Attempt, Caller, Cost, Exchange, Operation, Reading, Usage
from gateway.ledger.events import VERSION, EndRecord
from gateway.ledger.segments import Segment
from gateway.ledger.store import ensure_schema, open_engine, reading
from gateway.ledger.tables import events, rollups

T0 = 1_760_000_000_000_000_000
"""Some moment in October 2025, 53 minutes and 20 seconds past an hour."""

CHAT = Operation(name="chat.completions", wire="openai", path="/chat/completions")

_ids = Ids()


def exchange(number: int = 0, **changes: object) -> Exchange:
    """A finished, priced chat exchange."""
    received_ns = T0 + number * 1_000_000
    fields: dict[str, object] = {
        "id": _ids.uuid7(received_ns),
        "request_id": f"req-{number}",
        "received_ns": received_ns,
        "received_at": 100.0,
        "operation": CHAT,
        "caller": Caller(key_id="search-dev", team="search", tags={"app": "shop"}),
        "reading": Reading(model="gpt-4o-mini", stream=True),
        "input_estimate": 100,
        "output_estimate": 50,
        "reserved_nanos": 45_000,
        "attempts": [Attempt(provider="openai", model="gpt-4o-mini-2024", status=200, seconds=0.25)],
        "provider": "openai",
        "model": "gpt-4o-mini-2024",
        "status": 200,
        "outcome": "ok",
        "usage": Usage(input_tokens=80, output_tokens=20, cache_read_tokens=30),
        "cost": Cost(nanos=24_000, price_version="test/1"),
        "read_at": 100.001,
        "forwarded_at": 100.002,
        "headers_at": 100.25,
        "first_byte_at": 100.251,
        "finished_at": 101.0,
    }
    return Exchange(**{**fields, **changes})  # type: ignore[arg-type]


def end(number: int = 0, **changes: object) -> EndRecord:
    """A finished, priced event."""
    received_ns = int(str(changes.pop("received_ns", T0 + number * 1_000_000)))
    fields: dict[str, object] = {
        "v": VERSION,
        "id": _ids.uuid7(received_ns),
        "request_id": f"req-{number}",
        "received_ns": received_ns,
        "finished_ns": received_ns + 10**9,
        "team": "search",
        "key": "search-dev",
        "operation": "chat.completions",
        "asked": "gpt-4o-mini",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "outcome": "ok",
        "status": 200,
        "usage": Usage(input_tokens=80, output_tokens=20),
        "cost_nanos": 24_000,
    }
    return EndRecord(**{**fields, **changes})  # type: ignore[arg-type]


def random_end(chance: random.Random, span_ns: int = 5 * 3_600 * 10**9) -> EndRecord:
    """An event that may differ from others in everything a report groups or sums."""
    priced = chance.random() < 0.8
    estimated = chance.random() < 0.2
    tags = {name: chance.choice("xyz") for name in ("app", "env") if chance.random() < 0.5}
    return end(
        received_ns=T0 + chance.randrange(span_ns),
        team=chance.choice(["search", "ads", ""]),
        key=chance.choice(["k1", "k2"]),
        model=chance.choice(["gpt-4o-mini", "claude-haiku", ""]),
        provider=chance.choice(["openai", "anthropic"]),
        operation=chance.choice(["chat.completions", "messages"]),
        tags=tags,
        outcome=chance.choice(["ok", "refused", "client_left", "cut", "interrupted", "upstream_error"]),
        usage=Usage(input_tokens=chance.randrange(10**6), output_tokens=chance.randrange(10**5), seconds=0.5),
        usage_estimated=estimated,
        cost_nanos=chance.randrange(10**12) if priced else None,
        unpriced=not priced,
    )


def journal_lines(directory: Path) -> list[dict[str, object]]:
    """Every line of every segment, in order; fails if one is not whole JSON."""
    return [
        json.loads(line)
        for path in sorted([*directory.glob("*.open"), *directory.glob("*.done")], key=lambda path: path.name)
        for line in path.read_bytes().splitlines()
    ]


def ensure_schema_together(barrier: Barrier, url: str) -> None:
    """In a process of its own: make the schema at the same moment as others do."""
    barrier.wait(120)
    ensure_schema(url)


def count(url: str) -> tuple[int, int]:
    """Raw events, and requests in the roll-ups."""
    engine = open_engine(url)
    try:
        with reading(engine) as connection:
            raw = connection.execute(select(func.count()).select_from(events)).scalar() or 0
            summed = connection.execute(select(func.sum(rollups.c.requests))).scalar() or 0
            return raw, int(summed)
    finally:
        engine.dispose()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def write_segment(directory: Path, *lines: bytes, sequence: int = 1, done: bool = True) -> Path:
    """A segment of a dead writer."""
    path = Segment("w", sequence, done).path(directory)
    path.write_bytes(b"".join(lines))
    return path
