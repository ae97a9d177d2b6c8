"""Posting: end records into raw events and roll-ups, exactly once each.

An event is posted by id and only if it is not there yet; the roll-ups grow in the same transaction and only by the rows
that were truly inserted, and so does the offset of the segment the events came from.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, Table, text

from gateway.facts import Usage
from gateway.ledger.events import MAX_NAME, EndRecord
from gateway.ledger.store import counter, inserting
from gateway.ledger.tables import (
    DIMENSIONS,
    METERS,
    OUTCOMES,
    SUMS,
    WASTED,
    days,
    events,
    findings,
    rollups,
    segments,
    tags,
)

Value = str | int | float | bool | None
Row = dict[str, Value]

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
MAX_TOKENS = 10**12
MAX_NANOS = 10**16
"""Beyond these a figure is a provider's nonsense; without a bound one answer could overflow a roll-up (64 bits)."""
MORE_TRIES = "},{"
"""Stands in `events.attempts`, a JSON array of objects, where there was more than one try."""

_NO_USAGE = Usage(requests=0)
_json = msgspec.json.Encoder().encode
_known_outcomes = frozenset(OUTCOMES)
_NAMED = ("policy", "rule", "detector", "type", "pattern", "place", "role", "evidence", "mode", "action")
"""Texts of a finding that are stored as they are."""
_wasted = frozenset(WASTED)
_DAY_KEY = ("day", "team", "key_id", "model", "provider", "tagged")
_columns = ", ".join(column.name for column in events.columns)
_POSTGRESQL_INSERT = text(
    f"INSERT INTO events ({_columns}) SELECT {_columns}"  # noqa: S608 (our own column names)
    " FROM json_populate_recordset(NULL::events, CAST(:rows AS json)) ON CONFLICT (id) DO NOTHING RETURNING id"
)


def _driver_insert(table: Table, keys: Sequence[str] = (), sums: Sequence[str] = ()) -> str:
    """SQLite's own words for rows as tuples, in the order of the columns; where `keys` are there already, `sums` grow.

    What SQLAlchemy does for every row and statement takes longer than SQLite does, while the write lock is held.
    """
    columns = table.columns.keys()
    sql = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
    if not keys:
        return sql
    grown = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
    return f"{sql} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {grown}"


_SQLITE_EVENTS = _driver_insert(events)
_SQLITE_ROLLUPS = _driver_insert(rollups, ("hour", *DIMENSIONS), SUMS)
_SQLITE_DAYS = _driver_insert(days, _DAY_KEY, SUMS)
_SQLITE_THERE = text("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(:ids))")


class Posted(msgspec.Struct, frozen=True):
    """What one posting did."""

    inserted: int = 0
    duplicates: int = 0
    pruned: int = 0
    """Events older than the raw events kept: whether they are already in the roll-ups cannot be known."""


def post(connection: Connection, records: Iterable[EndRecord], now_ns: int) -> Posted:
    """Post a batch inside the caller's `store.writing` transaction."""
    horizon = counter(connection, "pruned_before_ns")
    if horizon > now_ns:
        # Pruned while the machine's clock was ahead: such a horizon must not keep today's events out.
        horizon = 0
    rows: dict[str, Row] = {}
    tag_rows: dict[tuple[str, str], Row] = {}
    found: dict[str, EndRecord] = {}
    duplicates = pruned = 0
    for record in records:
        if record.received_ns < horizon:
            pruned += 1
        elif (event_id := _text(record.id)[:64]) in rows:
            duplicates += 1
        else:
            row = rows[event_id] = event_row(record)
            if record.findings:
                found[event_id] = record
            for name, value in record.tags.items():
                tag = (str(row["tags_hash"]), _text(name))
                tag_rows[tag] = {"hash": tag[0], "name": tag[1], "value": _text(value)}
    if not rows:
        return Posted(0, duplicates, pruned)
    inserted = _insert_events(connection, rows)
    _insert_tags(connection, tag_rows)
    if found:
        _insert_findings(connection, [finding for row in inserted for finding in finding_rows(row, found)])
    hours = rollup_rows(inserted)
    _add_rollups(connection, hours)
    _add_days(connection, day_rows(hours))
    return Posted(len(inserted), duplicates + len(rows) - len(inserted), pruned)


def save_offset(connection: Connection, segment: str, loaded_bytes: int, rejected: int, now_ns: int) -> None:
    """Remember that `segment` is loaded up to `loaded_bytes`; `rejected` lines of it could not be."""
    statement = inserting(connection, segments).values(
        name=segment, loaded_bytes=loaded_bytes, rejected=rejected, updated_ns=now_ns
    )
    changed = {name: statement.excluded[name] for name in ("loaded_bytes", "rejected", "updated_ns")}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def event_row(record: EndRecord) -> Row:
    """The `events` row of a record, with every value one the database can hold."""
    usage = record.usage or _NO_USAGE
    row: Row = {
        "id": _text(record.id)[:64],
        "request_id": _text(record.request_id or record.id),
        "trace_id": _text(record.trace),
        "received_ns": record.received_ns,
        "first_byte_ns": record.first_byte_ns or None,
        "finished_ns": record.finished_ns,
        "team": _text(record.team),
        "key_id": _text(record.key),
        "tags_hash": tags_hash(record.tags),
        "operation": _text(record.operation),
        "asked": _text(record.asked),
        "provider": _text(record.provider),
        "model": _text(record.model),
        "stream": record.stream,
        "outcome": record.outcome if record.outcome in _known_outcomes else "error",
        "status": record.status,
        "usage_millis": _bounded(round(usage.seconds * 1000), MAX_TOKENS),
        "estimated": record.usage_estimated,
        "cost_nanos": None if record.cost_nanos is None else _bounded(record.cost_nanos, MAX_NANOS),
        "unpriced": record.unpriced,
        "price_version": _text(record.price_version),
        "service_tier": _text(record.service_tier),
        "attempts": _text(_json(record.attempts).decode(), 4000),
        "guardrails": _text(_json(record.guardrails).decode(), 4000),
        "stages": _json(record.stages).decode(),
        "judged": _text(record.judged),
        "downgraded": "" if record.downgraded is None else _text(_json(record.downgraded).decode(), 4000),
    }
    for meter in METERS:
        amount: int = getattr(usage, meter)
        row[meter] = _bounded(amount, MAX_TOKENS) if amount else 0
    return row


def finding_rows(event: Row, found: Mapping[str, EndRecord]) -> Iterator[Row]:
    """The rows of the findings log that belong to an `events` row; `found`: records with findings, by id."""
    record = found.get(str(event["id"]))
    for number, note in enumerate(record.findings if record is not None else ()):
        yield {
            "event_id": event["id"],
            "number": number,
            "at_ns": event["received_ns"],
            **{name: event[name] for name in ("team", "key_id", "operation")},
            "direction": _text(note.on),
            **{name: _text(str(getattr(note, name))) for name in _NAMED},
            "start_at": note.start,
            "end_at": note.end,
            "score": note.score,
            "enforced": _text(note.action) if note.mode == "enforce" else "allow",
            "digest": _text(note.digest, 16),
        }


def rollup_rows(rows: Iterable[Row]) -> list[Row]:
    """Sum event rows by hour and dimension; in key order, so that two loaders cannot lock each other out."""
    totals: dict[tuple[Value, ...], dict[str, int]] = {}
    for row in rows:
        received = row["received_ns"]
        assert isinstance(received, int)
        key = (received // HOUR_NS * 3600, *(row[name] for name in DIMENSIONS))
        total = totals.get(key)
        if total is None:
            total = totals[key] = dict.fromkeys(SUMS, 0)
        total["requests"] += 1
        total["cost_nanos"] += _number(row["cost_nanos"])
        total["usage_millis"] += _number(row["usage_millis"])
        total["estimated_requests"] += _number(row["estimated"])
        total[f"outcome_{row['outcome']}"] += 1
        if row["outcome"] in _wasted:
            total[f"cost_{row['outcome']}"] += _number(row["cost_nanos"])
        if row["unpriced"]:
            total["unpriced_requests"] += 1
            total["unpriced_tokens"] += _number(row["input_tokens"]) + _number(row["output_tokens"])
        if MORE_TRIES in str(row["attempts"]):
            total["retried_requests"] += 1
        for meter in METERS:
            if row[meter]:
                total[meter] += _number(row[meter])
    return [
        {"hour": key[0], **dict(zip(DIMENSIONS, key[1:], strict=True)), **total}
        for key, total in sorted(totals.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def day_rows(hours: Iterable[Row]) -> list[Row]:
    """Sum roll-up rows of hours by day; in key order too."""
    totals: dict[tuple[Value, ...], dict[str, int]] = {}
    for row in hours:
        key = (
            _number(row["hour"]) // 86_400 * 86_400,
            row["team"],
            row["key_id"],
            row["model"],
            row["provider"],
            int(row["tags_hash"] != ""),
        )
        total = totals.setdefault(key, dict.fromkeys(SUMS, 0))
        for name in SUMS:
            total[name] += _number(row[name])
    return [
        {**dict(zip(_DAY_KEY, key, strict=True)), **total}
        for key, total in sorted(totals.items(), key=lambda item: tuple(map(str, item[0])))
    ]


def tags_hash(pairs: dict[str, str]) -> str:
    """The name of a set of tags: 128 bits of SHA-256 over its sorted pairs; empty for no tags."""
    if not pairs:
        return ""
    return hashlib.sha256(_json(sorted(pairs.items()))).hexdigest()[:32]


def _insert_events(connection: Connection, rows: dict[str, Row]) -> list[Row]:
    """Insert the rows that are not there yet, and return those."""
    if connection.dialect.name == "postgresql":
        # The batch as one JSON parameter: 38,000 parameters cost the driver a quarter of a second.
        parameter = {"rows": _json(list(rows.values())).decode()}
        return [rows[str(name)] for name in connection.execute(_POSTGRESQL_INSERT, parameter).scalars()]
    # On SQLite a write transaction is alone, so nobody can insert between the question and the answer.
    there = set(connection.execute(_SQLITE_THERE, {"ids": _json(list(rows)).decode()}).scalars())
    fresh = [row for name, row in rows.items() if name not in there]
    _driver_execute(connection, _SQLITE_EVENTS, events, fresh)
    return fresh


def _insert_tags(connection: Connection, rows: dict[tuple[str, str], Row]) -> None:
    if rows:
        statement = inserting(connection, tags).on_conflict_do_nothing(index_elements=["hash", "name"])
        connection.execute(statement, [rows[key] for key in sorted(rows)])


def _insert_findings(connection: Connection, rows: list[Row]) -> None:
    if rows:
        statement = inserting(connection, findings).on_conflict_do_nothing(index_elements=["event_id", "number"])
        connection.execute(statement, rows)


def _add_rollups(connection: Connection, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        _driver_execute(connection, _SQLITE_ROLLUPS, rollups, rows)
    elif rows:
        _grow(connection, rollups, ("hour", *DIMENSIONS), SUMS, rows)


def _add_days(connection: Connection, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        _driver_execute(connection, _SQLITE_DAYS, days, rows)
    elif rows:
        _grow(connection, days, _DAY_KEY, SUMS, rows)


def _grow(connection: Connection, table: Table, keys: Sequence[str], sums: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows, and where `keys` are there already add `sums` to them. All rows go in one statement."""
    statement = inserting(connection, table)
    grown = {name: table.c[name] + statement.excluded[name] for name in sums}
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=grown), list(rows))


def _driver_execute(connection: Connection, sql: str, table: Table, rows: Sequence[Row]) -> None:
    if rows:
        columns = table.columns.keys()
        connection.exec_driver_sql(sql, [tuple([row[name] for name in columns]) for row in rows])


def _text(value: str, limit: int = MAX_NAME) -> str:
    """Text both databases take: PostgreSQL has no NUL, and an index entry there is at most 2,704 bytes."""
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    return value[:limit]


def _bounded(value: int, most: int) -> int:
    return max(0, min(value, most))


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0
