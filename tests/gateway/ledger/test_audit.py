"""The audit log's chain: appended by many at once, and broken by every change that is made to it."""

import json
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.exc import DBAPIError

from gateway.errors import LedgerError
from gateway.ledger.audit import (
    START,
    Entry,
    Head,
    append,
    entries,
    head,
    parse_head,
    read_anchor,
    remember,
    verify,
)
from gateway.ledger.store import open_engine, translated, writing
from gateway.ledger.tables import audit, audit_head
from tests.gateway.ledger.helpers import T0
from tests.support.ledgers import ready_ledger

COLUMNS = ("at_ns", "actor", "action", "object", "before", "after", "reason", "previous", "hash")


def add(engine: Engine, number: int, **changes: object) -> Head:
    fields: dict[str, object] = {
        "at_ns": T0 + number,
        "actor": "cli:anna",
        "action": "budgets.raise",
        "object": "teams.search.budget",
        "before": {"limit": number},
        "after": {"limit": number + 1},
        "reason": "launch",
    }
    with writing(engine) as connection:
        return append(connection, **{**fields, **changes})  # type: ignore[arg-type]


def unguard(engine: Engine) -> None:
    """What somebody with the owner's rights can do: take the guards off."""
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_no_update"))
            connection.execute(text("DROP TRIGGER audit_no_delete"))
        else:
            connection.execute(text("DROP TRIGGER audit_no_change ON audit"))


def test_a_chain_of_entries_is_right(engine: Engine) -> None:
    assert verify(engine).entries == 0
    heads = [add(engine, number) for number in range(3)]
    found = verify(engine, [heads[0], heads[2], Head(0, START)])
    assert (found.entries, found.head, found.broken) == (3, heads[2], None)
    assert head(engine) == heads[2]
    listed = entries(engine)
    assert [entry.seq for entry in listed] == [1, 2, 3]
    assert listed[0].previous == START
    assert json.loads(listed[1].after) == {"limit": 2}
    assert [entry.seq for entry in entries(engine, since_ns=T0 + 1)] == [2, 3]
    assert [entry.seq for entry in entries(engine, limit=2)] == [2, 3]


def test_one_chain_though_many_write_at_once(engine: Engine) -> None:
    """Safe with concurrent writers: numbers without gaps, each entry following the one before."""
    failed: list[BaseException] = []

    def work(writer: int) -> None:
        mine = open_engine(engine.url.render_as_string(hide_password=False))
        try:
            for number in range(10):
                add(mine, number, actor=f"cli:{writer}")
        except BaseException as error:
            failed.append(error)
        finally:
            mine.dispose()

    threads = [threading.Thread(target=work, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert verify(engine).entries == 40
    assert verify(engine).broken is None
    assert {entry.actor for entry in entries(engine)} == {f"cli:{writer}" for writer in range(4)}


def test_a_change_that_fails_leaves_no_entry(engine: Engine) -> None:
    add(engine, 0)

    def change() -> None:
        with writing(engine) as connection:
            append(connection, at_ns=1, actor="a", action="b", object="c")
            raise LedgerError("after all not")

    with pytest.raises(LedgerError, match="after all"):
        change()
    assert verify(engine).entries == 1


def test_rows_cannot_be_changed_or_deleted_in_passing(engine: Engine) -> None:
    add(engine, 0)
    statements = [update(audit).values(reason="x"), delete(audit)]
    if engine.dialect.name == "postgresql":
        statements.append(text("TRUNCATE audit"))  # type: ignore[arg-type]
    for statement in statements:
        with pytest.raises((LedgerError, DBAPIError)), writing(engine) as connection:
            connection.execute(statement)
    assert verify(engine).broken is None


@pytest.mark.parametrize("column", COLUMNS)
def test_every_change_of_an_entry_is_found_where_it_is(engine: Engine, column: str) -> None:
    for number in range(4):
        add(engine, number)
    unguard(engine)
    value = 7 if column == "at_ns" else "0" * 64
    with writing(engine) as connection:
        connection.execute(update(audit).where(audit.c.seq == 2).values({column: value}))
    broken = verify(engine).broken
    assert broken is not None
    assert broken.seq == 2
    assert "2" in broken.problem


@pytest.mark.parametrize("seq", [1, 2, 4])
def test_a_deleted_entry_is_missed(engine: Engine, seq: int) -> None:
    for number in range(4):
        add(engine, number)
    unguard(engine)
    with writing(engine) as connection:
        connection.execute(delete(audit).where(audit.c.seq == seq))
    broken = verify(engine).broken
    assert broken is not None
    assert broken.seq == seq


def cut_off(engine: Engine, keep: int, kept: Head) -> None:
    """Shorten the chain and its head: what is left is right in itself."""
    unguard(engine)
    with writing(engine) as connection:
        connection.execute(delete(audit).where(audit.c.seq > keep))
        connection.execute(update(audit_head).values(seq=kept.seq, hash=kept.hash))


def test_a_head_that_is_remembered_proves_a_cut(engine: Engine, tmp_path: Path) -> None:
    heads = [add(engine, number) for number in range(4)]
    assert remember(tmp_path, heads[3])
    cut_off(engine, 2, heads[1])
    assert verify(engine).broken is None, "nothing in the database tells"
    anchor = read_anchor(tmp_path)
    assert anchor is not None
    broken = verify(engine, [anchor]).broken
    assert broken is not None
    assert "entry 4 is remembered" in broken.problem
    # The chain goes on, and grows past what is remembered: still another one.
    for number in range(10, 14):
        add(engine, number)
    broken = verify(engine, [anchor]).broken
    assert broken is not None
    assert broken.seq == 4
    assert not remember(tmp_path, heads[1])


def test_a_head_somebody_kept_stands_beside_a_forged_anchor_of_the_same_entry(engine: Engine) -> None:
    """`--head`: a head somebody kept elsewhere, against whoever may write the database and the file."""
    kept = [add(engine, number) for number in range(3)][-1]
    unguard(engine)
    with writing(engine) as connection:
        connection.execute(delete(audit).where(audit.c.seq == 3))
        second = connection.execute(select(audit.c.hash).where(audit.c.seq == 2)).scalar_one()
        connection.execute(update(audit_head).values(seq=2, hash=second))
    forged = add(engine, 7)
    assert forged.seq == kept.seq
    assert verify(engine, [forged]).broken is None, "the database and the file agree"
    for remembered in ([kept, forged], [forged, kept]):
        broken = verify(engine, remembered).broken
        assert broken is not None
        assert broken.seq == 3


def test_the_anchor_keeps_the_newest(tmp_path: Path) -> None:
    assert read_anchor(tmp_path / "nowhere") is None
    assert remember(tmp_path / "made", Head(5, "a" * 64))
    assert not remember(tmp_path / "made", Head(4, "b" * 64))
    assert not remember(tmp_path / "made", Head(5, "c" * 64))
    assert remember(tmp_path / "made", Head(5, "a" * 64))
    assert remember(tmp_path / "made", Head(6, "d" * 64))
    assert read_anchor(tmp_path / "made") == Head(6, "d" * 64)
    (tmp_path / "made" / "audit-head.json").write_text("{")
    assert read_anchor(tmp_path / "made") is None


def test_text_no_database_takes_is_kept_as_near_as_possible(engine: Engine) -> None:
    add(engine, 0, reason="a\0b\ud800", before={"name": "x\0"}, object="ü" * 3)
    add(engine, 1, reason="r" * 5000)
    assert verify(engine).broken is None
    first, second = entries(engine)
    assert first.reason == "a\ufffdb?"
    assert len(second.reason) == 1000


def test_heads_as_text() -> None:
    kept = Head(12, "ab" * 32)
    assert parse_head(str(kept)) == kept
    for wrong in ("", "12", "x:" + "a" * 64, "12:abc", "-1:" + "a" * 64, "٣:" + "a" * 64):
        with pytest.raises(LedgerError, match="NUMBER:HASH"):
            parse_head(wrong)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    url = f"sqlite:///{tmp_path_factory.mktemp('audit')}/x.db"
    ready_ledger(url)
    engine = open_engine(url)
    unguard(engine)
    return engine


WORDS = st.text(max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(WORDS, WORDS, st.dictionaries(WORDS, WORDS | st.integers(0, 2**60), max_size=3)), max_size=6
    ),
    data=st.data(),
)
def test_any_single_change_breaks_the_chain(shared: Engine, rows: list, data: st.DataObject) -> None:
    """«No entry can be changed, removed or put in between without every later hash being wrong.»"""
    with writing(shared) as connection:
        connection.execute(delete(audit))
        connection.execute(update(audit_head).values(seq=0, hash=START))
    for reason, name, values in rows:
        add(shared, 1, reason=reason, object=name, after=values)
    found = verify(shared)
    assert (found.entries, found.broken) == (len(rows), None)
    if not rows:
        return
    seq = data.draw(st.integers(1, len(rows)))
    column = data.draw(st.sampled_from(COLUMNS))
    (before,) = [entry for entry in entries(shared) if entry.seq == seq]
    value: object = data.draw(st.integers(0, 2**60) if column == "at_ns" else WORDS.map(lambda t: t.replace("\0", "")))
    if value == getattr(before, column) or (isinstance(value, str) and "\ud800" <= max(value, default="") <= "\udfff"):
        return
    with translated(), writing(shared) as connection:
        connection.execute(update(audit).where(audit.c.seq == seq).values({column: value}))
    broken = verify(shared).broken
    assert broken is not None
    assert broken.seq == seq


def test_the_hash_is_the_documented_one() -> None:
    """Over the JSON array of all fields but `hash`, in their order: recomputed with the standard library."""
    import hashlib

    entry = Entry(
        seq=1, at_ns=2, actor="cli:ü", action="a", object="o", before="{}", after='{"x":1}', reason="", previous=START,
        hash="",
    )  # fmt: skip
    content = [1, 2, "cli:ü", "a", "o", "{}", '{"x":1}', "", START]
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    assert entry.expected() == hashlib.sha256(written).hexdigest()
