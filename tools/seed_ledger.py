"""Fill a ledger with made-up events and their exact roll-ups, to measure what is read from it.

    .venv/bin/python tools/seed_ledger.py sqlite:////tmp/seed.db --events 10000000 --days 60
    .venv/bin/python tools/seed_ledger.py own:/tmp/seed-pg        # a PostgreSQL that it starts there itself

Every event is a row of `events`, made inside the database from its number (so that two runs give the same rows), and
the roll-ups are the sums of those rows, as the loader would have made them. Twelve teams with three keys each, nine
models of three providers, two operations, three applications as tags; a fifth of the requests untagged, one model
without a price, outcomes as in a bad week. Ten million take some minutes. The database must be new.
"""

# ruff: noqa: S608, T201 - all names are ours; this is a command

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gateway.ledger.posting import tags_hash
from gateway.ledger.store import ensure_schema, open_engine, reading, writing
from gateway.ledger.tables import METERS, OUTCOMES, SUMS, WASTED, days, events, rollups, segments, tags
from tools.own_postgres import postgres

TEAMS = ("search", "support", "checkout", "research", "growth", "legal", "data", "mobile", "ops", "sales", "hr", "labs")
MODELS = (
    ("gpt-4o", "openai", 2500, 10000),
    ("gpt-4o-mini", "openai", 150, 600),
    ("gpt-4.1-nano", "openai", 100, 400),
    ("o4-mini", "openai", 1100, 4400),
    ("claude-haiku-4-5", "anthropic", 1000, 5000),
    ("claude-sonnet-4-5", "anthropic", 3000, 15000),
    ("claude-opus-4-1", "anthropic", 15000, 75000),
    ("llama-3.1-8b", "local", 20, 60),
    ("in-house-7b", "local", 0, 0),
)
"""Name, provider, and nano-dollars of an input and an output token; the last has no price."""
APPS = ("web", "batch", "agent")
BATCH = 250_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--end", type=float, default=time.time(), help="seconds since the epoch; default: now")
    given = parser.parse_args()
    with opened(given.url) as url:
        fill(parser, given, url)


def fill(parser: argparse.ArgumentParser, given: argparse.Namespace, url: str) -> None:
    ensure_schema(url)
    engine = open_engine(url)
    with reading(engine) as connection:
        if connection.execute(select(events.c.id).limit(1)).first() is not None:
            parser.error("this ledger is not empty")
    began = time.monotonic()
    seed(engine, given.events, given.days, int(given.end * 1e9))
    print(f"{given.events:,} events over {given.days} days in {time.monotonic() - began:,.0f} s")


@contextmanager
def opened(url: str) -> Iterator[str]:
    """The URL itself; of `own:DIRECTORY`, that of a PostgreSQL which runs there meanwhile."""
    if not url.startswith("own:"):
        yield url
        return
    with postgres(Path(url.removeprefix("own:"))) as served:
        yield served


def seed(engine: Engine, count: int, days: int, end_ns: int) -> None:
    """Write `count` events, evenly over the `days` before `end_ns`, with tags, roll-ups and a loaded segment."""
    step_ns = days * 86_400 * 10**9 // count
    (index,) = events.indexes
    with writing(engine) as connection:
        index.drop(connection)  # it is made faster at the end
    for first in range(1, count + 1, BATCH):
        last = min(first + BATCH - 1, count)
        with writing(engine) as connection:
            connection.execute(text(_events_of(connection, first, last, end_ns - days * 86_400 * 10**9, step_ns)))
        if sys.stderr.isatty():
            print(f"\r{last:,}", end="", file=sys.stderr, flush=True)
    with writing(engine) as connection:
        index.create(connection)
        for app in APPS:
            pairs = {"app": app, "env": "prod"}
            rows = [{"hash": tags_hash(pairs), "name": name, "value": value} for name, value in pairs.items()]
            connection.execute(insert(tags), rows)
        connection.execute(text(_rollups_of()))
        connection.execute(text(_days_of()))
        connection.execute(insert(segments).values(name="seed", loaded_bytes=0, rejected=0, updated_ns=end_ns))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum would have done in the days that these rows stand for.
        connection.execute(text("VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"))


def _choice(of: str, values: tuple[object, ...]) -> str:
    """SQL that picks the value of this number; later values are rarer (1/2, 1/3, …)."""
    weights = [1 / (at + 1) for at in range(len(values))]
    total, reached, arms = sum(weights), 0.0, []
    for value, weight in zip(values, weights, strict=True):
        reached += weight / total * 1000
        arms.append(f"WHEN ({of}) % 1000 < {round(reached)} THEN {_literal(value)}")
    return f"CASE {' '.join(arms)} ELSE {_literal(values[-1])} END"


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"


def _events_of(connection: Connection, first: int, last: int, start_ns: int, step_ns: int) -> str:
    """INSERT … SELECT of the events `first` to `last`. Three hashes of the number stand in for chance."""
    if connection.dialect.name == "postgresql":
        numbers, source = "", f"generate_series({first}::bigint, {last}::bigint) AS c(n)"
    else:
        numbers = f"WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n < {last}) "
        source = "c"
    mixed = (
        f"SELECT n, (n * 2654435761) % 4294967291 / 7 AS a, (n * 2246822519) % 4294967279 / 5 AS b, "
        f"(n * 3266489917) % 4294967231 / 3 AS d FROM {source}"
    )
    name, provider, p_in, p_out = (_choice("b", values) for values in zip(*MODELS, strict=True))
    inner = (
        f"SELECT n, a, b, d, {_choice('a', TEAMS)} AS team, {name} AS model, {provider} AS provider, "
        f"{p_in} AS p_in, {p_out} AS p_out, 200 + d % 4000 AS tin, 20 + (d / 11) % 700 AS tout, "
        f"(d / 17) % 1000 AS luck FROM ({mixed}) AS m"
    )
    outcome = (
        "CASE WHEN luck < 12 THEN 'client_left' WHEN luck < 20 THEN 'blocked' WHEN luck < 26 THEN 'upstream_status' "
        "WHEN luck < 29 THEN 'upstream_timeout' WHEN luck < 40 THEN 'refused' ELSE 'ok' END"
    )
    used = "(CASE WHEN luck < 12 OR luck >= 40 THEN 1 ELSE 0 END)"
    cached = f"((tin / 3) * (CASE WHEN d % 5 = 0 THEN 1 ELSE 0 END) * {used})"
    values: dict[str, str] = {
        "id": "'seed-' || n",
        "request_id": "'req-' || n",
        "received_ns": f"{start_ns} + n * {step_ns}",
        "first_byte_ns": f"{start_ns} + n * {step_ns} + 180000000",
        "finished_ns": f"{start_ns} + n * {step_ns} + 900000000 + (d % 4000) * 1000000",
        "team": "team",
        "key_id": "team || '-' || ((a / 1000) % 3)",
        "tags_hash": f"CASE WHEN (b / 1000) % 5 = 0 THEN '' ELSE {_choice('b / 5000', _hashes())} END",
        "operation": "CASE WHEN d % 10 = 0 THEN 'messages' ELSE 'chat.completions' END",
        "asked": "model",
        "provider": "provider",
        "model": "model",
        "stream": "d % 3 = 0",
        "outcome": outcome,
        "status": "CASE WHEN luck < 12 THEN 499 WHEN luck < 20 THEN 400 WHEN luck < 29 THEN 502 WHEN luck < 40 "
        "THEN 429 ELSE 200 END",
        **dict.fromkeys(METERS, "0"),
        "input_tokens": f"tin * {used}",
        "output_tokens": f"tout * {used}",
        "cache_read_tokens": cached,
        "usage_millis": "0",
        "estimated": "luck < 12",
        "cost_nanos": f"CASE WHEN model = '{MODELS[-1][0]}' THEN NULL ELSE "
        f"{used} * ((tin - {cached}) * p_in + {cached} * p_in / 4 + tout * p_out) END",
        "unpriced": f"model = '{MODELS[-1][0]}' AND {used} = 1",
        "price_version": "'seed'",
        "service_tier": "''",
        "attempts": "'[]'",
        "guardrails": "'[]'",
        "stages": "'{}'",
        "trace_id": "''",
    }
    # Integer division and remainders mean the same in both databases; both know `||` of text and number.
    # What a column says by default is left to it.
    names = [column.name for column in events.columns if column.name in values or column.server_default is None]
    chosen = ", ".join(f"{values[name]} AS {name}" for name in names)
    return f"INSERT INTO events ({', '.join(names)}) {numbers}SELECT {chosen} FROM ({inner}) AS x"


def _hashes() -> tuple[object, ...]:
    return tuple(tags_hash({"app": app, "env": "prod"}) for app in APPS)


def _rollups_of() -> str:
    """INSERT … SELECT of the sums of all events, as posting makes them."""
    whole = {
        "requests": "COUNT(*)",
        **{name: f"SUM({name})" for name in (*METERS, "usage_millis")},
        "cost_nanos": "SUM(COALESCE(cost_nanos, 0))",
        "unpriced_requests": "SUM(CASE WHEN unpriced THEN 1 ELSE 0 END)",
        "estimated_requests": "SUM(CASE WHEN estimated THEN 1 ELSE 0 END)",
        **{f"outcome_{name}": f"SUM(CASE WHEN outcome = '{name}' THEN 1 ELSE 0 END)" for name in OUTCOMES},
        **{
            f"cost_{name}": f"SUM(CASE WHEN outcome = '{name}' THEN COALESCE(cost_nanos, 0) ELSE 0 END)"
            for name in WASTED
        },
        "unpriced_tokens": "SUM(CASE WHEN unpriced THEN input_tokens + output_tokens ELSE 0 END)",
        "retried_requests": "SUM(CASE WHEN attempts LIKE '%},{%' THEN 1 ELSE 0 END)",
    }
    by = ("team", "key_id", "model", "provider", "operation", "tags_hash")
    hour = f"received_ns / {3600 * 10**9} * 3600"
    names = ", ".join(column.name for column in rollups.columns)
    chosen = ", ".join([f"{hour} AS hour", *by, *(whole[c.name] for c in rollups.columns if c.name in whole)])
    return f"INSERT INTO rollups ({names}) SELECT {chosen} FROM events GROUP BY {hour}, {', '.join(by)}"


def _days_of() -> str:
    """INSERT … SELECT of the sums of all roll-ups per day."""
    key = "hour / 86400 * 86400, team, key_id, model, provider, CASE WHEN tags_hash <> '' THEN 1 ELSE 0 END"
    names = ", ".join(column.name for column in days.columns)
    sums = ", ".join(f"SUM({name})" for name in SUMS)
    return f"INSERT INTO rollup_days ({names}) SELECT {key}, {sums} FROM rollups GROUP BY {key}"


if __name__ == "__main__":
    main()
