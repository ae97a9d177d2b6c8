"""Budgets without HTTP: names, adjustments of rules that are gone, and what the journal has beyond the ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.admin.budgeting import Budgeting
from gateway.clock import ManualClock
from gateway.errors import BadRequest, NotFound
from gateway.ledger.events import record_line
from gateway.ledger.store import open_engine
from gateway.limits.program import Clause, LimitProgram, Roster
from gateway.quota import Calendar, Rolling, Rule, Scope
from tests.gateway.ledger.helpers import T0, end, write_segment
from tests.support.ledgers import ready_ledger

RULE = Rule(
    id="teams.search.budget", measure="usd", amount=10**11, window=Calendar("month"), scope=Scope(team=("search",))
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path}/x.db"
    ready_ledger(url)
    engine = open_engine(url)
    yield engine
    engine.dispose()


def budgeting(engine: Engine, *rules: Rule, journal: Path | None = None) -> Budgeting:
    program = LimitProgram([Clause(rule=rule) for rule in rules], Roster(teams=("search",)))
    return Budgeting(engine, program, ManualClock(T0), "cli:anna", journal)


def test_the_journal_counts_too(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    write_segment(tmp_path / "journal", record_line(end(1, cost_nanos=5)))
    with_journal = budgeting(engine, RULE, journal=tmp_path / "journal")
    assert with_journal.used(with_journal.bounds()) == [5]
    without = budgeting(engine, RULE)
    assert without.used(without.bounds()) == [0]


def test_an_adjustment_of_a_rule_that_is_gone(engine: Engine) -> None:
    made = budgeting(engine, RULE).raise_limit("teams.search.budget", "+5 USD", None, "1h", "x")
    assert made.extra == "5.000000000"
    gone = budgeting(engine)
    (shown,) = gone.adjustments()
    assert (shown.counter, shown.extra, shown.until) == ("teams.search.budget", 5 * 10**9, "2025-10-09T09:53:20Z")
    with pytest.raises(NotFound, match="has no limits"):
        gone.find("teams.search.budget")
    assert gone.end(made.id, "gone").state == "ended"


def test_a_rule_that_only_traffic_counts_apart_is_known_by_its_name(engine: Engine) -> None:
    each = Rule(
        id="limits.rules.per-customer", measure="requests", amount=30, window=Rolling(10), each=("tag:customer",)
    )
    tagged = budgeting(engine, RULE, each)
    with pytest.raises(
        BadRequest, match=r"apart by tag:customer; say which, as limits\.rules\.per-customer:CUSTOMER\."
    ):
        tagged.raise_limit("limits.rules.per-customer", "5", None, "1h", "x")
    assert tagged.raise_limit("limits.rules.per-customer:acme", "5", None, "1h", "x").extra == 5


def test_raises_add_up(engine: Engine) -> None:
    several = budgeting(engine, RULE)
    for _ in range(2):
        several.raise_limit("teams.search.budget", "5 USD", None, "1h", "x")
    (bound,) = several.bounds()
    assert bound.rule.amount == 110 * 10**9
    (view,) = several.views([bound], [None])
    assert (view.limit, view.extra, view.state, view.remaining) == ("110.000000000", "10.000000000", "unknown", None)
