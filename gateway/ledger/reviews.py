"""The findings log as people read it: values that wait for a judgement, what was said, and what shadow rules would do.

A value is never seen: it is a rule and the keyed digest of what it found. What is said of it stays when its findings
are deleted with age.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, case, delete, func, select, update

from gateway.errors import LedgerError
from gateway.ledger.audit import append
from gateway.ledger.store import inserting, reading, writing
from gateway.ledger.tables import findings, reviews
from guardrails.replay import Logged

Verdict = Literal["false_positive", "true_positive", "later"]
VERDICTS: tuple[Verdict, ...] = ("false_positive", "true_positive", "later")
UNDO = "open"
"""Takes a judgement back."""
STATES = ("open", "later", "false_positive", "true_positive", "all")
FILTERS = ("team", "rule", "type")
_BATCH = 2_000


class FoundValue(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one value by one rule. Times are nanoseconds since the epoch."""

    rule: str
    digest: str
    policy: str
    detector: str
    type: str
    pattern: str
    findings: int
    exchanges: int
    acted: int
    """Findings that something was done about."""
    teams: dict[str, int]
    """Findings by team, of those the filter leaves."""
    first_ns: int
    last_ns: int
    least_score: float
    most_score: float
    exchange: str
    """The newest; and of its finding:"""
    direction: str
    place: str
    role: str
    start: int
    end: int
    mode: str
    action: str
    verdict: str
    """Empty: nobody has judged it."""
    reviewed_by: str = ""
    reviewed_ns: int | None = None


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of one rule: values, and the findings of them that are still in the log."""

    rule: str
    true_values: int = 0
    false_values: int = 0
    later_values: int = 0
    true_findings: int = 0
    false_findings: int = 0


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule did in one mode, or would have."""

    policy: str
    rule: str
    mode: str
    action: str
    findings: int
    exchanges: int
    alone: int
    """Exchanges in which nothing was done by any rule: what enforcing this one would newly act on."""
    teams: int


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of one value."""

    rule: str
    digest: str
    verdict: str
    type: str
    at_ns: int
    actor: str


def queue(
    engine: Engine,
    since_ns: int,
    state: str = "open",
    filters: Mapping[str, str] | None = None,
    most: int = 50,
    skip: int = 0,
) -> list[FoundValue]:
    """Values found since a time, the most frequent first. `state`: of `STATES`; `filters`: by names of `FILTERS`.
    Blocks. Raises `LedgerError`."""
    narrowed = _narrowed(since_ns, filters or {})
    # Not the columns themselves: SQLite would walk the whole index of values to find them grouped already.
    of = (findings.c.rule + "", findings.c.digest + "")
    counted = (
        select(
            of[0].label("rule"),
            of[1].label("digest"),
            func.count().label("findings"),
            func.count(findings.c.event_id.distinct()).label("exchanges"),
            func.sum(case((_DONE, 1), else_=0)).label("acted"),
            func.min(findings.c.at_ns).label("first_ns"),
            func.max(findings.c.at_ns).label("last_ns"),
            func.min(findings.c.score).label("least_score"),
            func.max(findings.c.score).label("most_score"),
            func.max(findings.c.event_id).label("exchange"),
        )
        .where(*narrowed)
        .group_by(*of)
        .subquery()
    )
    verdict = func.coalesce(reviews.c.verdict, "")
    said = and_(reviews.c.rule == counted.c.rule, reviews.c.digest == counted.c.digest)
    grouped = (
        select(
            counted,
            verdict.label("verdict"),
            func.coalesce(reviews.c.actor, "").label("reviewed_by"),
            reviews.c.at_ns.label("reviewed_ns"),
        )
        .select_from(counted.outerjoin(reviews, said))
        .order_by(counted.c.findings.desc(), counted.c.last_ns.desc(), counted.c.rule, counted.c.digest)
        .limit(most)
        .offset(skip)
    )
    if state != "all":
        grouped = grouped.where(verdict == ("" if state == "open" else state))
    with reading(engine) as connection:
        groups = [{str(name): value for name, value in row.items()} for row in connection.execute(grouped).mappings()]
        if not groups:
            return []
        return _filled(connection, groups, narrowed)


def mark(engine: Engine, *, rule: str, digest: str, verdict: str, at_ns: int, actor: str) -> Review | None:
    """Say what a value is, or take that back (`UNDO`); None: it waits again. In the audit log. Raises `LedgerError` for
    another verdict, and when this rule has found nothing of this digest."""
    if verdict not in (*VERDICTS, UNDO):
        raise LedgerError(f"{verdict[:40]!r} is no judgement; allowed are {', '.join((*VERDICTS, UNDO))}")
    one = (reviews.c.rule == rule) & (reviews.c.digest == digest)
    with writing(engine) as connection:
        before = connection.execute(select(reviews.c.verdict, reviews.c.type).where(one)).first()
        known = select(findings.c.type).where(findings.c.rule == rule, findings.c.digest == digest).limit(1)
        type_ = before.type if before is not None else connection.execute(known).scalar()
        if type_ is None:
            raise LedgerError(f"the findings log has no value {digest[:16]!r} of rule {rule[:200]!r}")
        made = Review(rule=rule, digest=digest, verdict=verdict, type=type_, at_ns=at_ns, actor=actor)
        values = msgspec.structs.asdict(made)
        if verdict == UNDO:
            connection.execute(delete(reviews).where(one))
        elif before is not None:
            connection.execute(update(reviews).where(one).values(**values))
        else:
            statement = inserting(connection, reviews).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["rule", "digest"], set_=values))
        append(
            connection,
            at_ns=at_ns,
            actor=actor,
            action="guardrails.review",
            object=f"{rule} {digest}",
            before=None if before is None else {"verdict": str(before.verdict)},
            after={"verdict": verdict, "type": str(type_)},
        )
    return None if verdict == UNDO else made


def judged(engine: Engine, verdict: Verdict) -> list[Review]:
    """Every value of which this was said, by rule. Blocks. Raises `LedgerError`."""
    query = select(reviews).where(reviews.c.verdict == verdict).order_by(reviews.c.rule, reviews.c.digest)
    with reading(engine) as connection:
        rows = connection.execute(query).mappings()
        return [msgspec.convert({str(name): value for name, value in row.items()}, Review) for row in rows]


def precision(engine: Engine, since_ns: int) -> list[Precision]:
    """By rule, of everything that was ever judged; findings counted since a time. Blocks. Raises `LedgerError`."""
    values = select(reviews.c.rule, reviews.c.verdict, func.count()).group_by(reviews.c.rule, reviews.c.verdict)
    logged = (
        select(reviews.c.rule, reviews.c.verdict, func.count())
        .select_from(reviews.join(findings, _SAME))
        .where(findings.c.at_ns >= since_ns)
        .group_by(reviews.c.rule, reviews.c.verdict)
    )
    counts: dict[str, dict[str, int]] = {}
    with reading(engine) as connection:
        for rule, verdict, count in connection.execute(values):
            counts.setdefault(str(rule), {})[f"{str(verdict).partition('_')[0]}_values"] = int(count)
        for rule, verdict, count in connection.execute(logged):
            if verdict != "later":
                counts.setdefault(str(rule), {})[f"{str(verdict).partition('_')[0]}_findings"] = int(count)
    return [Precision(rule=rule, **counts[rule]) for rule in sorted(counts)]


def effects(engine: Engine, since_ns: int, team: str = "") -> list[Effect]:
    """What each rule did, or would have, by the mode it was in. Blocks. Raises `LedgerError`."""
    where = [findings.c.at_ns >= since_ns, *([findings.c.team == team] if team else [])]
    done = select(findings.c.event_id).where(*where, _DONE).distinct().subquery()
    of = (findings.c.policy, findings.c.rule, findings.c.mode)
    alone = case((done.c.event_id.is_(None), findings.c.event_id))
    query = (
        select(
            *of,
            func.max(findings.c.action).label("action"),
            func.count().label("findings"),
            func.count(findings.c.event_id.distinct()).label("exchanges"),
            func.count(alone.distinct()).label("alone"),
            func.count(findings.c.team.distinct()).label("teams"),
        )
        .select_from(findings.outerjoin(done, done.c.event_id == findings.c.event_id))
        .where(*where)
        .group_by(*of)
        .order_by(*of)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings()
        return [msgspec.convert({str(name): value for name, value in row.items()}, Effect) for row in rows]


def found_in(engine: Engine, exchange: str) -> list[dict[str, object]]:
    """What was logged of one exchange, in order: the log's columns by name. Blocks. Raises `LedgerError`."""
    with reading(engine) as connection:
        rows = connection.execute(select(findings).where(findings.c.event_id == exchange).order_by(findings.c.number))
        return [{str(name): value for name, value in row.items()} for row in rows.mappings()]


def replayed(engine: Engine, since_ns: int, until_ns: int, team: str = "") -> Iterator[list[Logged]]:
    """The log, the findings of one exchange at a time, oldest first; some thousand rows are in memory. Blocks. Raises
    `LedgerError`."""
    columns = {"exchange": "event_id", "key": "key_id", "start": "start_at", "end": "end_at"}
    names = Logged.__struct_fields__
    query: Select[tuple[object, ...]] = select(*(findings.c[columns.get(name, name)].label(name) for name in names))
    query = query.where(findings.c.at_ns >= since_ns, findings.c.at_ns < until_ns)
    if team:
        query = query.where(findings.c.team == team)
    query = query.order_by(findings.c.event_id, findings.c.number)
    together: list[Logged] = []
    with reading(engine) as connection:
        for row in connection.execute(query.execution_options(yield_per=_BATCH)).mappings():
            each = msgspec.convert({str(name): value for name, value in row.items()}, Logged)
            if together and together[0].exchange != each.exchange:
                yield together
                together = []
            together.append(each)
    if together:
        yield together


_DONE: ColumnElement[bool] = findings.c.enforced.not_in(("allow", "flag"))
_SAME: ColumnElement[bool] = and_(reviews.c.rule == findings.c.rule, reviews.c.digest == findings.c.digest)


def _narrowed(since_ns: int, filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [findings.c.at_ns >= since_ns, findings.c.digest != ""]
    return where + [findings.c[name] == value for name, value in filters.items()]


def _filled(
    connection: Connection, groups: Sequence[dict[str, object]], narrowed: Sequence[ColumnElement[bool]]
) -> list[FoundValue]:
    """With the teams and the newest finding of each."""
    digests = {group["digest"] for group in groups}
    counted = select(findings.c.rule, findings.c.digest, findings.c.team, func.count()).where(
        *narrowed, findings.c.digest.in_(digests), findings.c.rule.in_({group["rule"] for group in groups})
    )
    teams: dict[tuple[str, str], dict[str, int]] = {}
    for rule, digest, team, count in connection.execute(
        counted.group_by(findings.c.rule, findings.c.digest, findings.c.team).order_by(func.count().desc())
    ):
        teams.setdefault((rule, digest), {})[team] = count
    newest = select(findings).where(findings.c.event_id.in_({group["exchange"] for group in groups}))
    last = {(row["event_id"], row["rule"], row["digest"]): row for row in connection.execute(newest).mappings()}
    found: list[FoundValue] = []
    for group in groups:
        row = last[group["exchange"], group["rule"], group["digest"]]
        named = ("policy", "detector", "type", "pattern", "direction", "place", "role", "mode", "action")
        whole = {
            **group,
            "teams": teams[str(group["rule"]), str(group["digest"])],
            "start": row["start_at"],
            "end": row["end_at"],
            **{name: row[name] for name in named},
        }
        found.append(msgspec.convert(whole, FoundValue))
    return found
