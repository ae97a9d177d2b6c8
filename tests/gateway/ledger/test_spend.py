import random
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from gateway.clock import ManualClock
from gateway.errors import LedgerError
from gateway.facts import Usage
from gateway.ledger.events import EndRecord
from gateway.ledger.export import as_json
from gateway.ledger.posting import DAY_NS, HOUR_NS, event_row, post, rollup_rows
from gateway.ledger.retention import prune_events
from gateway.ledger.spend import Filters, Report, iso, report, usd
from gateway.ledger.store import open_engine, writing
from gateway.ledger.tables import METERS, SUMS, events, metadata, rollups
from tests.gateway.ledger.helpers import T0, end, random_end
from tests.support.ledgers import ready_ledger

FAR = ManualClock(T0 + 10**16)
HOUR = T0 // HOUR_NS * HOUR_NS


def paid(costs: dict) -> dict:
    """Rows that cost something; whether a row of refusals alone is shown is not a matter of money."""
    return {names: cost for names, cost in costs.items() if cost}


def served(records) -> int:
    """What a report counts as requests: a refusal reached no provider."""
    return sum(record.outcome != "refused" for record in records)


def put(engine: Engine, *records: EndRecord) -> None:
    with writing(engine) as connection:
        post(connection, records, FAR.now_ns())


def ask(
    engine: Engine, by: str = "team", since: int = T0 - 10**13, until: int = T0 + 10**15, **filters: object
) -> Report:
    groups = by.split(",") if by else []
    return report(engine, groups, since, until, Filters(**filters), FAR)  # type: ignore[arg-type]


def costs(answer: Report) -> dict[tuple[str, ...], int]:
    return {tuple(row.names.values()): row.sums["cost_nanos"] for row in answer.rows}


def expected(records: list[EndRecord], name: Callable[[EndRecord], tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    totals: dict[tuple[str, ...], int] = defaultdict(int)
    for record in records:
        totals[name(record)] += record.cost_nanos or 0
    return dict(totals)


@pytest.fixture
def records(engine: Engine) -> list[EndRecord]:
    chance = random.Random(3)
    made = [random_end(chance) for _ in range(400)]
    put(engine, *made)
    return made


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("team", lambda r: (r.team,)),
        ("key,model", lambda r: (r.key, r.model)),
        ("provider,operation", lambda r: (r.provider, r.operation)),
        ("tag:app", lambda r: (r.tags.get("app", ""),)),
        ("team,tag:app,tag:env", lambda r: (r.team, r.tags.get("app", ""), r.tags.get("env", ""))),
        ("hour", lambda r: (iso(r.received_ns // HOUR_NS * HOUR_NS)[:-7] + ":00Z",)),
        ("day,team", lambda r: (iso(r.received_ns)[:10], r.team)),
        ("month", lambda r: (iso(r.received_ns)[:7],)),
        ("", lambda r: ()),
    ],
)
def test_groups(engine: Engine, records: list[EndRecord], by: str, name: Callable[[EndRecord], tuple[str, ...]]):
    assert paid(costs(ask(engine, by))) == paid(expected(records, name))


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"team": ("ads",)}, lambda r: r.team == "ads"),
        ({"team": ("ads", "search"), "key": ("k1",)}, lambda r: r.team in ("ads", "search") and r.key == "k1"),
        ({"model": ("claude-haiku",)}, lambda r: r.model == "claude-haiku"),
        (
            {"provider": ("openai",), "operation": ("messages",)},
            lambda r: (r.provider, r.operation) == ("openai", "messages"),
        ),
        ({"tags": (("app", "x"),)}, lambda r: r.tags.get("app") == "x"),
        ({"tags": (("app", "x"), ("env", "y"))}, lambda r: (r.tags.get("app"), r.tags.get("env")) == ("x", "y")),
        ({"team": ("nobody",)}, lambda r: False),
    ],
)
def test_filters(
    engine: Engine, records: list[EndRecord], filters: dict[str, object], wanted: Callable[[EndRecord], bool]
):
    chosen = [record for record in records if wanted(record)]
    whole = ask(engine, **filters)
    assert paid(costs(whole)) == paid(expected(chosen, lambda r: (r.team,)))
    assert whole.total["requests"] == served(chosen)
    edged = ask(engine, since=T0 + 10**12, until=T0 + 3 * HOUR_NS, **filters)
    assert edged.total["requests"] == served(r for r in chosen if T0 + 10**12 <= r.received_ns < T0 + 3 * HOUR_NS)


def range_case(engine: Engine, seeds: list[int], since: int, until: int) -> None:
    made = [random_end(random.Random(seed)) for seed in seeds]
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            if table.name in ("events", "rollups", "rollup_days", "tags"):
                connection.execute(delete(table))
    put(engine, *made)
    answer = ask(engine, "team,model", since, until)
    inside = [r for r in made if since <= r.received_ns < until]
    assert (answer.since_ns, answer.until_ns) == (since, until)
    assert paid(costs(answer)) == paid(expected(inside, lambda r: (r.team, r.model)))
    total = answer.total
    assert total["requests"] == served(inside)
    assert total["input_tokens"] == sum(r.usage.input_tokens for r in inside if r.usage)
    assert total["output_tokens"] == sum(r.usage.output_tokens for r in inside if r.usage)
    assert total["usage_millis"] == 500 * len(inside)
    assert total["unpriced_requests"] == sum(r.unpriced for r in inside)
    assert total["estimated_requests"] == sum(r.usage_estimated for r in inside)
    for outcome in ("ok", "refused", "client_left", "cut", "interrupted", "upstream_error"):
        assert total[f"outcome_{outcome}"] == sum(r.outcome == outcome for r in inside)
    assert answer.unpriced_models == sorted({r.model for r in inside if r.unpriced})


RANGES = given(
    seeds=st.lists(st.integers(0, 2**32), max_size=25, unique=True),
    bounds=st.lists(
        st.one_of(st.integers(-1, 6).map(lambda h: HOUR + h * HOUR_NS), st.integers(T0 - HOUR_NS, T0 + 6 * HOUR_NS)),
        min_size=2,
        max_size=2,
        unique=True,
    ),
)


@pytest.fixture(scope="module")
def shared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger')}/x.db"
    ready_ledger(url)
    return open_engine(url)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@RANGES
def test_totals_of_rollups_equal_totals_of_raw_events_on_sqlite(
    shared_sqlite: Engine, seeds: list[int], bounds: list[int]
):
    """A report over any range, whole hours or not, adds up to exactly the raw events in it."""
    range_case(shared_sqlite, seeds, *sorted(bounds))


@pytest.fixture(scope="module")
def shared_postgres(postgres) -> Engine:
    url = postgres.new_database()
    ready_ledger(url)
    return open_engine(url)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@RANGES
def test_totals_of_rollups_equal_totals_of_raw_events_on_postgresql(
    shared_postgres: Engine, seeds: list[int], bounds: list[int]
):
    """The same on PostgreSQL."""
    range_case(shared_postgres, seeds, *sorted(bounds))


DAYS = given(
    seeds=st.lists(st.integers(0, 2**32), max_size=25, unique=True),
    bounds=st.lists(
        st.one_of(
            st.integers(-1, 5).map(lambda day: (T0 // DAY_NS + day) * DAY_NS),
            st.integers(-1, 100).map(lambda hour: HOUR + hour * HOUR_NS),
            st.integers(T0 - DAY_NS, T0 + 5 * DAY_NS),
        ),
        min_size=2,
        max_size=2,
        unique=True,
    ),
)


def days_case(engine: Engine, seeds: list[int], since: int, until: int) -> None:
    made: list[EndRecord] = []
    for seed in seeds:
        chance = random.Random(seed)
        usage = Usage(**{name: chance.randrange(1000) for name in METERS}, seconds=chance.randrange(9) / 2)
        made.append(msgspec.structs.replace(random_end(chance, 4 * DAY_NS), usage=usage))
    with writing(engine) as connection:
        for table in metadata.sorted_tables:
            if table.name in ("events", "rollups", "rollup_days", "tags"):
                connection.execute(delete(table))
    put(engine, *made)
    of_days = ask(engine, "team,model", since, until)
    of_hours = ask(engine, "team,model,operation", since, until)
    assert of_days.total == of_hours.total
    assert of_days.unpriced_models == of_hours.unpriced_models
    assert paid(costs(of_days)) == paid(
        expected([r for r in made if since <= r.received_ns < until], lambda r: (r.team, r.model))
    )
    raw = rollup_rows(map(event_row, (r for r in made if since <= r.received_ns < until)))
    summed = {name: sum(int(row[name] or 0) for row in raw) for name in SUMS}
    assert of_days.total == {**summed, "requests": summed["requests"] - summed["outcome_refused"]}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@DAYS
def test_totals_of_days_hours_and_raw_events_are_the_same_on_sqlite(
    shared_sqlite: Engine, seeds: list[int], bounds: list[int]
):
    """A report over any range adds up to exactly the raw events in it, whether roll-ups of days, of hours,
    or raw events tell it, or all of them."""
    days_case(shared_sqlite, seeds, *sorted(bounds))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@DAYS
def test_totals_of_days_hours_and_raw_events_are_the_same_on_postgresql(
    shared_postgres: Engine, seeds: list[int], bounds: list[int]
):
    """The same on PostgreSQL."""
    days_case(shared_postgres, seeds, *sorted(bounds))


def test_whole_days_never_read_roll_ups_of_hours(engine: Engine):
    day = T0 // DAY_NS * DAY_NS
    put(engine, *(end(received_ns=day + n * HOUR_NS + 5) for n in range(48)))
    with writing(engine) as connection:
        connection.execute(delete(events))
        connection.execute(delete(rollups))
    for by in ("team", "key,model,provider", "day", "month,team", ""):
        assert ask(engine, by, day, day + 2 * DAY_NS).total["requests"] == 48
    assert ask(engine, "team", day, day + 2 * DAY_NS, model=("gpt-4o-mini",)).total["requests"] == 48
    for by in ("hour", "operation", "tag:app"):
        assert ask(engine, by, day, day + 2 * DAY_NS).total["requests"] == 0, "these only hours tell"


def test_whole_hours_never_read_raw_events(engine: Engine):
    put(engine, *(end(received_ns=HOUR + n * HOUR_NS + 5) for n in range(5)))
    with writing(engine) as connection:
        connection.execute(delete(events))
    assert ask(engine, since=HOUR, until=HOUR + 5 * HOUR_NS).total["requests"] == 5


def test_the_running_hour_needs_no_raw_events(engine: Engine):
    put(engine, end(received_ns=T0))
    with writing(engine) as connection:
        connection.execute(delete(events))
    answer = report(engine, ["team"], HOUR, T0 + 1, clock=ManualClock(T0 + 1))
    assert answer.total["requests"] == 1
    assert answer.until_ns == T0 + 1


def test_the_running_day_needs_no_roll_ups_of_hours(engine: Engine):
    day = T0 // DAY_NS * DAY_NS
    put(engine, end(received_ns=T0))
    with writing(engine) as connection:
        connection.execute(delete(events))
        connection.execute(delete(rollups))
    answer = report(engine, ["team"], day, T0 + 1, clock=ManualClock(T0 + 1))
    assert (answer.total["requests"], answer.until_ns) == (1, T0 + 1)
    assert report(engine, ["team"], day, T0 + 1, clock=FAR).total["requests"] == 0, "of a day that is over, no part"


def test_a_pruned_edge_is_widened_to_its_hour_and_says_so(engine: Engine):
    put(engine, end(received_ns=HOUR + 5), end(received_ns=HOUR + HOUR_NS + 5))
    prune_events(engine, HOUR + 2 * HOUR_NS)
    answer = ask(engine, since=HOUR + 10, until=HOUR + HOUR_NS + 3)
    assert (answer.since_ns, answer.until_ns) == (HOUR, HOUR + 2 * HOUR_NS)
    assert answer.total["requests"] == 2


def test_rows_are_ordered_by_time_then_cost(engine: Engine):
    day = 24 * HOUR_NS
    put(
        engine,
        end(received_ns=T0 + day, team="a", cost_nanos=9),
        end(received_ns=T0, team="a", cost_nanos=1),
        end(received_ns=T0, team="b", cost_nanos=5),
    )
    names = [tuple(row.names.values()) for row in ask(engine, "team,day").rows]
    assert names == [("b", "2025-10-09"), ("a", "2025-10-09"), ("a", "2025-10-10")]
    assert [row.names["team"] for row in ask(engine).rows] == ["a", "b"]


def test_sums_beyond_one_event_stay_exact(engine: Engine):
    put(engine, *(end(number, cost_nanos=10**16 - 1) for number in range(50)))
    assert ask(engine).rows[0].cost_usd == usd(50 * (10**16 - 1)) == "499999999.999999950"


@pytest.mark.parametrize("by", ["color", "tag:", "Team", "team;"])
def test_an_unknown_group_says_what_is_allowed(engine: Engine, by: str):
    with pytest.raises(
        LedgerError, match="allowed are team, key, model, provider, operation, hour, day, month and tag:NAME"
    ):
        report(engine, [by], 0, 1)


def test_an_empty_range_is_refused(engine: Engine):
    with pytest.raises(LedgerError, match="range is empty"):
        report(engine, ["team"], 5, 5)


def test_an_empty_ledger_reports_zero(engine: Engine):
    answer = ask(engine)
    assert answer.rows == []
    assert answer.loaded_until_ns is None
    assert as_json(answer)["total"] == {
        "requests": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": "0.000000000",
        "unpriced_requests": 0,
        "estimated_requests": 0,
        "retried_requests": 0,
        "wasted_usd": "0.000000000",
        "waste": [],
    }


@given(st.integers(-(10**20), 10**20))
def test_money_is_an_exact_decimal_string(nanos: int):
    assert Decimal(usd(nanos)).scaleb(9) == nanos
    assert "E" not in usd(nanos)
