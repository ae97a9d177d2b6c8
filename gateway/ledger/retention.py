"""What is thrown away and when: loaded segments after a while, raw events after a longer one. Roll-ups are kept."""

from pathlib import Path

from sqlalchemy import Engine, delete, select, update

from gateway.ledger.posting import HOUR_NS
from gateway.ledger.segments import Segment
from gateway.ledger.store import writing
from gateway.ledger.tables import counters, events, findings, segments

REJECTED = "rejected"
"""Sub-directory for segments with lines that could not be loaded; a person decides about them."""
ARCHIVE = "archive"


def prune_events(engine: Engine, before_ns: int, batch: int = 500) -> int:
    """Delete raw events received before the hour of `before_ns`, a batch per transaction; returns how many.

    The horizon is moved first: from then on reports read those hours from roll-ups only, and the loader refuses events
    from before it, because nobody could tell any more whether they are in the roll-ups already.
    """
    before_ns = before_ns // HOUR_NS * HOUR_NS
    with writing(engine) as connection:
        connection.execute(
            update(counters)
            .where(counters.c.name == "pruned_before_ns", counters.c.value < before_ns)
            .values(value=before_ns)
        )
    deleted = 0
    while True:
        with writing(engine) as connection:
            some = select(events.c.id).where(events.c.received_ns < before_ns).limit(batch).scalar_subquery()
            count = connection.execute(delete(events).where(events.c.id.in_(some))).rowcount
        deleted += count
        if count < batch:
            return deleted


def prune_findings(engine: Engine, before_ns: int, batch: int = 500) -> int:
    """Delete entries of the findings log from before a time, a batch per transaction; returns how many."""
    deleted = 0
    while True:
        with writing(engine) as connection:
            old = select(findings.c.event_id).where(findings.c.at_ns < before_ns).limit(batch).scalar_subquery()
            count = connection.execute(delete(findings).where(findings.c.event_id.in_(old))).rowcount
        deleted += count
        if not count:
            return deleted


def put_away(directory: Path, segment: Segment, *, rejected: bool, archive: bool) -> None:
    """Delete a loaded segment's file, or move it where it is kept. Its offset must still be in the database."""
    path = segment.path(directory)
    if not rejected and not archive:
        path.unlink(missing_ok=True)
        return
    target = directory / (REJECTED if rejected else ARCHIVE)
    target.mkdir(exist_ok=True)
    path.rename(target / path.name)


def forget_segment(engine: Engine, name: str) -> None:
    """Drop the offset of a segment whose file is gone."""
    with writing(engine) as connection:
        connection.execute(delete(segments).where(segments.c.name == name))
