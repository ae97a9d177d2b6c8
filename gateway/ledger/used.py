"""What was used since a time, of one measure, by whom a rule counts: the ledger's answer to what a counter holds.

It answers as the counters do: by the time of receipt, by the model's name as the client asked for it, or by the name
of the one it was downgraded to, and on the counters that sent it there; tokens and cost as booked (also of exchanges
that were interrupted, at what was reserved for them), and as requests all but those that were refused: these were not
let in. What a guardrail's model cost counts where the request does that it judged.

Whole hours come from roll-ups and the edges from raw events, as in `spend.py`. Roll-ups do not hold the name that was
asked for, so a scope of models is summed from raw events alone; where these are pruned, from roll-ups by the
provider's name of the model. Nor do they know which operation was judged: for a scope of operations, judgements are
summed from raw events; those that are pruned count to none. Exact but for that, and for edge hours whose raw events are
pruned, taken whole.

The journal may be ahead of the database. `answers` adds what the journal holds and the database does not; with
`marks`, the sums are as of the moment these were taken, whatever the loader does meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, FromClause, Text, case, func, literal_column, select

from gateway.errors import LedgerError
from gateway.facts import Downgraded
from gateway.ledger.events import START_MARK, EndRecord, decode_line
from gateway.ledger.posting import HOUR_NS, event_row
from gateway.ledger.segments import Segment, listing
from gateway.ledger.store import counter, reading
from gateway.ledger.tables import events, rollups, segments, tags
from gateway.operations import JUDGEMENT
from gateway.quota import Measure, Scope

Marks = Mapping[str, int]
"""Bytes of each journal segment, by its name."""
Range = tuple[int, int, int]
"""Received from and up to, and finished before (0: whenever), nanoseconds since the epoch."""
_Identity = tuple[str, str, str, str, str, str, tuple[tuple[str, str], ...], tuple[str, ...]]

COUNTED: frozenset[Measure] = frozenset({"requests", "input_tokens", "output_tokens", "tokens", "usd"})
"""Measures that the ledger can answer for."""
_OF_REQUESTS = COUNTED - {"usd"}
_BATCH = 500
_LONGEST_NS = 24 * HOUR_NS
"""No exchange lasts longer."""


class Group(msgspec.Struct, frozen=True):
    """What those used who have all of this in common."""

    team: str
    key: str
    model: str
    """As the client asked for it, or what it was downgraded to; of pruned events, the provider's name; "": not told
    apart."""
    provider: str
    operation: str
    tags: Mapping[str, str]
    requests: int
    input_tokens: int
    output_tokens: int
    nanos: int
    downgraded_by: tuple[str, ...] = ()
    """Counters that sent them to `model`, in place of what was asked for."""
    judged: str = ""
    """Of a guardrail's judgements, the operation of what they judged."""

    def of(self, measure: Measure) -> int:
        if self.operation == JUDGEMENT and measure in _OF_REQUESTS:
            return 0  # money of the request that was judged, and none of the requests and tokens that are rationed
        match measure:
            case "requests":
                return self.requests
            case "input_tokens":
                return self.input_tokens
            case "output_tokens":
                return self.output_tokens
            case "tokens":
                return self.input_tokens + self.output_tokens
            case "usd":
                return self.nanos
            case "concurrent" | "streams":
                raise LedgerError(f"what is under way ({measure}) is not in the ledger")


class Question(msgspec.Struct, frozen=True):
    """How much was used of `measure` by `scope`, of what was received from `since_ns` on and before `until_ns`; with
    what the counter of that name sent to another model. `finished_ns`: only of what was finished before; 0: of all."""

    scope: Scope
    measure: Measure
    since_ns: int
    until_ns: int
    counter: str = ""
    finished_ns: int = 0


def used(engine: Engine, scope: Scope, measure: Measure, since_ns: int, until_ns: int) -> int:
    """The answer to one question from the database alone. Raises `LedgerError`."""
    return answers(engine, [Question(scope, measure, since_ns, until_ns)])[0]


def answers(
    engine: Engine, questions: Sequence[Question], directory: Path | None = None, marks: Marks | None = None
) -> list[int]:
    """The answers to all questions, from one state of the database, in their order; with what only the journal in
    `directory` holds, up to `marks` (default: all of it). Reads each range once, however many ask for it.

    Raises `LedgerError` when the database is away, or holds no ledger.
    """
    ranges: dict[Range, list[int]] = {}
    for at, question in enumerate(questions):
        ranges.setdefault((question.since_ns, question.until_ns, question.finished_ns), []).append(at)
    found = [0] * len(questions)
    with reading(engine) as connection:
        ahead: dict[Range, list[Group]] = {} if directory is None else _ahead(connection, directory, marks, ranges)
        for wanted, asked in ranges.items():
            by_model = any(questions[at].scope.model for at in asked)
            by_operation = any(questions[at].scope.operation for at in asked)
            index = _Index([*_groups(connection, wanted, by_model, by_operation), *ahead.get(wanted, ())])
            for at in asked:
                scope, measure, name = questions[at].scope, questions[at].measure, questions[at].counter
                found[at] = sum(group.of(measure) for group in index.near(scope) if matches(scope, group, name))
    return found


class _Index:
    """Groups by key and by team: a thousand budgets need not look at those of everybody."""

    def __init__(self, groups: list[Group]) -> None:
        self._all = groups
        self._by_team: dict[str, list[Group]] = {}
        self._by_key: dict[str, list[Group]] = {}
        for group in groups:
            self._by_team.setdefault(group.team, []).append(group)
            self._by_key.setdefault(group.key, []).append(group)

    def near(self, scope: Scope) -> Iterator[Group]:
        """All that a scope may match, each once."""
        if not scope.key and not scope.team:
            return iter(self._all)
        found, names = (self._by_key, scope.key) if scope.key else (self._by_team, scope.team)
        return chain.from_iterable(found.get(name, ()) for name in dict.fromkeys(names))


def marks_of(directory: Path) -> dict[str, int]:
    """How long every segment of the journal is now. Synchronous and quick, so that nothing is written meanwhile by
    whoever calls it on the loop that writes the journal."""
    found: dict[str, int] = {}
    for segment in listing(directory):
        if (size := _size(directory, segment)) is not None:
            found[segment.name] = size
    return found


def matches(scope: Scope, group: Group, counter: str = "") -> bool:
    """Whether a rule of this scope counts this group on `counter`, as `gateway.limits` decides it for a request."""
    return (
        (not scope.team or group.team in scope.team)
        and (not scope.key or group.key in scope.key)
        and (not scope.provider or group.provider in scope.provider)
        and (not scope.operation or (group.judged or group.operation) in scope.operation)
        and (
            not scope.model or any(_covers(each, group.model) for each in scope.model) or counter in group.downgraded_by
        )
        and all(group.tags.get(name, "") in values for name, values in scope.tags)
    )


def _covers(pattern: str, model: str) -> bool:
    return model.startswith(pattern[:-1]) and model != "" if pattern.endswith("*") else pattern == model


def _groups(connection: Connection, wanted: Range, by_model: bool, by_operation: bool) -> Iterator[Group]:
    since_ns, until_ns, finished_ns = wanted
    pruned_before = counter(connection, "pruned_before_ns")
    names: dict[str, dict[str, str]] = {"": {}}
    sources = [(source, 1) for source in _sources(since_ns, until_ns, pruned_before, by_model, by_operation)]
    if finished_ns and (recent_ns := max(since_ns, finished_ns - _LONGEST_NS)) < until_ns:
        # Roll-ups do not know when a request was finished: those that were later are taken off again.
        sources.append((_raw(recent_ns, until_ns, by_model, finished_ns), -1))
    for source, sign in sources:
        names_of = ("team", "key_id", "asked", "provider", "operation", "judged", "tags_hash", "downgraded")
        by = [source.c[name] for name in names_of]
        sums = [func.sum(source.c[name]) for name in ("counted", "input_tokens", "output_tokens", "nanos")]
        for row in connection.execute(select(*by, *sums).group_by(*by)):
            found = cast("tuple[object, ...]", tuple(row))
            team, key, asked, provider, operation, judged, tags_hash, written, *amounts = found
            model, senders = _counted_as(str(asked), str(written))
            kept = _tags(connection, str(tags_hash), names)
            # PostgreSQL sums to Decimal.
            requests, inputs, outputs, nanos = (sign * int(str(amount or 0)) for amount in amounts)
            yield Group(
                str(team),
                str(key),
                model,
                str(provider),
                str(operation),
                kept,
                requests,
                inputs,
                outputs,
                nanos,
                senders,
                str(judged),
            )


def _counted_as(asked: str, written: str) -> tuple[str, tuple[str, ...]]:
    """By which model's name it counted, and which counters had sent it there: `events.downgraded` read."""
    if not written:
        return asked, ()
    try:
        found = msgspec.json.decode(written, type=Downgraded)
    except msgspec.DecodeError:
        return asked, ()
    return found.model, found.by


def _tags(connection: Connection, tags_hash: str, names: dict[str, dict[str, str]]) -> dict[str, str]:
    """What a hash stands for; all of them are read at once, when the first is asked for."""
    if tags_hash and len(names) == 1:
        for row in connection.execute(select(tags.c.hash, tags.c.name, tags.c.value)):
            names.setdefault(row.hash, {})[row.name] = row.value
    return names.get(tags_hash, {})


def _sources(since_ns: int, until_ns: int, pruned_before: int, by_model: bool, by_operation: bool) -> list[FromClause]:
    """Tables of the same shape that together hold the range, each event once."""
    if by_model:
        # Roll-ups do not tell models apart by the name that was asked for: used only where nothing else is left.
        start, end = since_ns // HOUR_NS * HOUR_NS, min(pruned_before, -(-until_ns // HOUR_NS) * HOUR_NS)
        kept = [_summed(start, end, by_model)] if start < end else []
        since_ns = max(since_ns, pruned_before)
        return [*kept, _raw(since_ns, until_ns, by_model)] if since_ns < until_ns else kept
    if since_ns < pruned_before:
        since_ns = since_ns // HOUR_NS * HOUR_NS
    if until_ns < pruned_before:
        until_ns = -(-until_ns // HOUR_NS) * HOUR_NS
    first, last = -(-since_ns // HOUR_NS) * HOUR_NS, until_ns // HOUR_NS * HOUR_NS
    if first >= last:
        return [_raw(since_ns, until_ns, by_model)]
    edges = [_raw(start, end, by_model) for start, end in ((since_ns, first), (last, until_ns)) if start < end]
    known = max(first, min(last, -(-pruned_before // HOUR_NS) * HOUR_NS))
    if not by_operation or known == last:
        return [_summed(first, last, by_model), *edges]
    kept = [_summed(first, known, by_model)] if first < known else []
    return [*kept, _summed(known, last, by_model, judgements=False), _raw_judgements(known, last), *edges]


def _raw_judgements(since_ns: int, until_ns: int) -> FromClause:
    return _raw(since_ns, until_ns, False, operation=JUDGEMENT)


def _raw(since_ns: int, until_ns: int, by_model: bool, finished_ns: int = 0, operation: str = "") -> FromClause:
    """`finished_ns`: only what was finished then or later."""
    asked: ColumnElement[str] = events.c.asked if by_model else literal_column("''", Text)
    downgraded: ColumnElement[str] = events.c.downgraded if by_model else literal_column("''", Text)
    return (
        select(
            *(events.c[name] for name in ("team", "key_id", "provider", "operation", "judged", "tags_hash")),
            asked.label("asked"),
            downgraded.label("downgraded"),
            case((events.c.outcome == "refused", 0), else_=1).label("counted"),
            events.c.input_tokens,
            events.c.output_tokens,
            func.coalesce(events.c.cost_nanos, 0).label("nanos"),
        )
        .where(events.c.received_ns >= since_ns, events.c.received_ns < until_ns)
        .where(*([events.c.finished_ns >= finished_ns] if finished_ns else []))
        .where(*([events.c.operation == operation] if operation else []))
        .subquery()
    )


def _summed(since_ns: int, until_ns: int, by_model: bool, judgements: bool = True) -> FromClause:
    asked: ColumnElement[str] = rollups.c.model if by_model else literal_column("''", Text)
    return (
        select(
            *(rollups.c[name] for name in ("team", "key_id", "provider", "operation", "tags_hash")),
            literal_column("''", Text).label("judged"),
            asked.label("asked"),
            literal_column("''", Text).label("downgraded"),
            (rollups.c.requests - rollups.c.outcome_refused).label("counted"),
            rollups.c.input_tokens,
            rollups.c.output_tokens,
            rollups.c.cost_nanos.label("nanos"),
        )
        .where(rollups.c.hour >= since_ns // 10**9, rollups.c.hour < until_ns // 10**9)
        .where(*([] if judgements else [rollups.c.operation != JUDGEMENT]))
        .subquery()
    )


def _ahead(
    connection: Connection, directory: Path, marks: Marks | None, ranges: Iterable[Range]
) -> dict[Range, list[Group]]:
    """What lies between what is loaded and the marks, summed up in each range. What was loaded since the marks counts
    negative: the database has it already."""
    totals: dict[Range, dict[_Identity, list[int]]] = {wanted: {} for wanted in ranges}
    listed = listing(directory)
    rows = connection.execute(select(segments.c.name, segments.c.loaded_bytes))
    loaded = {str(row.name): int(row.loaded_bytes) for row in rows}
    for segment in listed:
        size = _size(directory, segment)
        if size is None:
            continue  # Put away since it was listed, because all of it is loaded.
        mark = size if marks is None else marks.get(segment.name, 0)
        done = min(loaded.get(segment.name, 0), size)
        if mark > done:
            records = _not_there(connection, _records(directory, segment, done, mark))
            _sum_up(records, 1, totals)
        elif mark < done:
            _sum_up(_records(directory, segment, mark, done), -1, totals)
    return {wanted: [_group(identity, sums) for identity, sums in found.items()] for wanted, found in totals.items()}


def _group(identity: _Identity, sums: Sequence[int]) -> Group:
    team, key, model, provider, operation, judged, tagged, senders = identity
    return Group(team, key, model, provider, operation, dict(tagged), *sums, downgraded_by=senders, judged=judged)


def _sum_up(records: Iterable[EndRecord], sign: int, totals: dict[Range, dict[_Identity, list[int]]]) -> None:
    for record in records:
        row = event_row(record)
        team, key, asked, provider, operation, judged, written = (
            str(row[name]) for name in ("team", "key_id", "asked", "provider", "operation", "judged", "downgraded")
        )
        model, senders = _counted_as(asked, written)
        identity = (team, key, model, provider, operation, judged, tuple(sorted(record.tags.items())), senders)
        amounts = (int(row["outcome"] != "refused"), row["input_tokens"], row["output_tokens"], row["cost_nanos"])
        for (since_ns, until_ns, finished_ns), found in totals.items():
            late = finished_ns and record.finished_ns >= finished_ns
            if since_ns <= record.received_ns < until_ns and not late:
                sums = found.setdefault(identity, [0, 0, 0, 0])
                for at, amount in enumerate(amounts):
                    sums[at] += sign * int(amount or 0)


def _not_there(connection: Connection, records: Iterable[EndRecord]) -> Iterator[EndRecord]:
    """Those that are not in the database for all that: after one the database refuses, the others of its batch are
    posted before the offset is."""
    records = iter(records)
    while batch := {record.id: record for record in islice(records, _BATCH)}:
        for found in connection.execute(select(events.c.id).where(events.c.id.in_(list(batch)))):
            batch.pop(str(found.id), None)
        yield from batch.values()


def _records(directory: Path, segment: Segment, start: int, end: int) -> Iterator[EndRecord]:
    for path in (segment.path(directory), segment.closed().path(directory)):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # Closed since it was listed, or put away because all of it is loaded.
        with file:
            file.seek(start)
            for line in file:
                start += len(line)
                if start > end:
                    return
                if not line.startswith(START_MARK):
                    try:
                        record = decode_line(line)
                    except LedgerError:
                        continue  # The loader counts it and keeps the segment for a person.
                    if isinstance(record, EndRecord):
                        yield record
        return


def _size(directory: Path, segment: Segment) -> int | None:
    for path in (segment.path(directory), segment.closed().path(directory)):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return None
