"""What was used: the ledger's sums against a naive sum over the very events."""

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from gateway.errors import LedgerError
from gateway.facts import Downgraded
from gateway.ledger.events import EndRecord, record_line
from gateway.ledger.loader import Loader
from gateway.ledger.posting import HOUR_NS, post, save_offset
from gateway.ledger.retention import prune_events
from gateway.ledger.store import open_engine, writing
from gateway.ledger.tables import events, rollups, tags
from gateway.ledger.used import Question, answers, marks_of, used
from gateway.operations import JUDGEMENT
from gateway.quota import EVERYTHING, Measure, Scope
from tests.gateway.ledger.helpers import T0, end, random_end, write_segment
from tests.support.ledgers import ready_ledger

HOUR = T0 // HOUR_NS * HOUR_NS
MEASURES: tuple[Measure, ...] = ("requests", "input_tokens", "output_tokens", "tokens", "usd")
EVER = (0, T0 + 10**16)


def put(engine: Engine, *records: EndRecord) -> None:
    with writing(engine) as connection:
        post(connection, records, T0 + 10**16)


def asked(chance: random.Random) -> EndRecord:
    """An event whose model was asked for by another name than it has with its provider; some reached none."""
    record = random_end(chance)
    record = msgspec.structs.replace(record, asked=chance.choice(["fast", "fast-mini", "smart", ""]))
    if chance.random() < 0.3:
        sent = Downgraded(chance.choice(["fast", "cheap"]), chance.choice([("a.budget",), ("a.budget", "b.budget")]))
        record = msgspec.structs.replace(record, downgraded=sent)
    if chance.random() < 0.3:
        return msgspec.structs.replace(
            record, operation=JUDGEMENT, judged=chance.choice(["messages", "embeddings", ""])
        )
    if record.outcome in ("refused", "interrupted") or chance.random() < 0.1:
        record = msgspec.structs.replace(record, provider="", cost_nanos=None if record.outcome == "refused" else 7)
    return record


def naive(records: list[EndRecord], question: Question) -> int:
    """As a counter would have counted them, one by one."""
    scope, total = question.scope, 0
    for record in records:
        model, senders = record.asked, ()
        if record.downgraded is not None:
            model, senders = record.downgraded.model, record.downgraded.by
        inside = question.since_ns <= record.received_ns < question.until_ns
        inside = inside and (not question.finished_ns or record.finished_ns < question.finished_ns)
        holds = [
            not scope.team or record.team in scope.team,
            not scope.key or record.key in scope.key,
            not scope.provider or record.provider in scope.provider,
            not scope.operation or (record.judged or record.operation) in scope.operation,
            not scope.model
            or question.counter in senders
            or any(
                model == each or (each[-1] == "*" and model != "" and model.startswith(each[:-1]))
                for each in scope.model
            ),
            *(record.tags.get(name, "") in values for name, values in scope.tags),
        ]
        if not inside or not all(holds):
            continue
        assert record.usage is not None
        tokens = record.usage.input_tokens, record.usage.output_tokens
        if record.operation == JUDGEMENT and question.measure != "usd":
            continue
        total += {
            "requests": int(record.outcome != "refused"),
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "tokens": sum(tokens),
            "usd": record.cost_nanos or 0,
        }[question.measure]
    return total


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


SCOPES = st.builds(
    Scope,
    team=some("search", "ads", ""),
    key=some("k1", "k2"),
    model=some("fast", "fast*", "smart", "*"),
    provider=some("openai", "anthropic"),
    operation=some("chat.completions", "messages"),
    tags=st.lists(st.tuples(st.sampled_from(["app", "env"]), some("x", "y", "")), max_size=2).map(tuple),
)
MOMENTS = st.one_of(
    st.integers(-1, 6).map(lambda hour: HOUR + hour * HOUR_NS), st.integers(T0 - HOUR_NS, T0 + 6 * HOUR_NS)
)
QUESTIONS = st.builds(
    lambda scope, measure, moments, counter, finished: Question(
        scope, measure, min(moments), max(moments), counter, finished
    ),
    SCOPES,
    st.sampled_from(MEASURES),
    st.tuples(MOMENTS, MOMENTS),
    st.sampled_from(["", "a.budget", "b.budget"]),
    st.one_of(st.just(0), MOMENTS),
)
SEEDS = st.lists(st.integers(0, 2**32), max_size=20, unique=True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    url = f"sqlite:///{tmp_path_factory.mktemp('used')}/x.db"
    ready_ledger(url)
    return open_engine(url)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds=SEEDS, questions=st.lists(QUESTIONS, min_size=1, max_size=4))
def test_sums_are_exact(shared: Engine, seeds: list[int], questions: list[Question]) -> None:
    """«It answers as the counters do: by the time of receipt, by the model's name as the client asked for it, or by the
    name of the one it was downgraded to, and on the counters that sent it there; tokens and cost as booked, as requests
    all but those that were refused. What a guardrail's model cost counts where the request does that it judged.»"""
    records = [asked(random.Random(seed)) for seed in seeds]
    with writing(shared) as connection:
        for table in (events, rollups, tags):
            connection.execute(delete(table))
    put(shared, *records)
    assert answers(shared, questions) == [naive(records, question) for question in questions]


def test_on_both_databases(engine: Engine) -> None:
    chance = random.Random(5)
    records = [asked(chance) for _ in range(300)]
    put(engine, *records)
    scopes = [
        EVERYTHING,
        Scope(team=("search",)),
        Scope(team=("search",), key=("k1",)),
        Scope(model=("fast*",), tags=(("app", ("x", "")),)),
        Scope(provider=("openai",), operation=("messages",)),
    ]
    for scope in scopes:
        for measure in MEASURES:
            for since, until in (EVER, (T0 + 10**12, HOUR + 3 * HOUR_NS), (T0 + 10**11, T0 + 10**12)):
                question = Question(scope, measure, since, until)
                assert used(engine, scope, measure, since, until) == naive(records, question), question


def test_pruned_hours_come_from_roll_ups(engine: Engine) -> None:
    chance = random.Random(6)
    records = [asked(chance) for _ in range(100)]
    put(engine, *records)
    prune_events(engine, HOUR + 3 * HOUR_NS)
    for scope in (EVERYTHING, Scope(team=("ads",))):
        question = Question(scope, "usd", HOUR, HOUR + 10 * HOUR_NS)
        assert answers(engine, [question]) == [naive(records, question)]
    for since, until in ((HOUR, HOUR + 10 * HOUR_NS), (HOUR, HOUR + 2 * HOUR_NS), (HOUR + 2 * HOUR_NS, T0 + 10**14)):
        # Nobody knows any more what a judgement that was pruned had judged: it counts to no operation.
        question = Question(Scope(operation=("messages",)), "usd", since, until)
        kept = [r for r in records if not r.judged or r.received_ns >= HOUR + 3 * HOUR_NS]
        assert answers(engine, [question]) == [naive(kept, question)]
    by_served = sum(
        (r.cost_nanos or 0)
        for r in records
        if (r.model if r.received_ns < HOUR + 3 * HOUR_NS else r.asked) == "gpt-4o-mini"
    )
    assert used(engine, Scope(model=("gpt-4o-mini",)), "usd", HOUR, HOUR + 10 * HOUR_NS) == by_served


def test_what_is_under_way_is_not_in_the_ledger(shared: Engine) -> None:
    with writing(shared) as connection:
        post(connection, [end(1)], T0)
    for measure in ("concurrent", "streams"):
        with pytest.raises(LedgerError, match="not in the ledger"):
            used(shared, EVERYTHING, measure, *EVER)  # type: ignore[arg-type]


class Halves:
    """A journal of two segments of which only a part is loaded."""

    def __init__(self, engine: Engine, directory: Path, loaded: int) -> None:
        self.engine = engine
        self.directory = directory
        self.records = [end(number, cost_nanos=10**number, tags={"app": "x"}) for number in range(8)]
        lines = [record_line(record) for record in self.records]
        write_segment(directory, *lines[:4], sequence=1)
        write_segment(directory, *lines[4:], sequence=2, done=False)
        put(engine, *self.records[:loaded])
        with writing(engine) as connection:
            for sequence, some in ((1, lines[:4]), (2, lines[4:])):
                count = max(0, min(loaded - 4 * (sequence - 1), 4))
                if count:
                    save_offset(connection, f"w.{sequence:06d}", len(b"".join(some[:count])), 0, T0)

    def used(self, marks: dict[str, int] | None = None) -> int:
        question = Question(Scope(tags=(("app", ("x",)),)), "usd", *EVER)
        return answers(self.engine, [question], self.directory, marks)[0]


@pytest.mark.parametrize("loaded", range(9))
def test_what_only_the_journal_holds_is_added(sqlite_url: str, tmp_path: Path, loaded: int) -> None:
    ready_ledger(sqlite_url)
    assert Halves(open_engine(sqlite_url), tmp_path, loaded).used() == 11_111_111


def test_as_of_the_marks_whatever_the_loader_does(sqlite_url: str, tmp_path: Path) -> None:
    """«With `marks`, the sums are as of the moment these were taken.»"""
    ready_ledger(sqlite_url)
    journal = Halves(open_engine(sqlite_url), tmp_path, 2)
    marks = marks_of(tmp_path)
    path = tmp_path / "w.000002.open"
    with path.open("ab") as file:
        file.write(record_line(end(50, cost_nanos=5 * 10**15, tags={"app": "x"})))
    assert journal.used() == 5 * 10**15 + 11_111_111
    assert journal.used(marks) == 11_111_111
    Loader(sqlite_url, tmp_path).step()
    assert journal.used() == 5 * 10**15 + 11_111_111
    assert journal.used(marks) == 11_111_111, "loaded since, and taken away again"


def test_an_event_posted_before_its_offset_counts_once(sqlite_url: str, tmp_path: Path) -> None:
    ready_ledger(sqlite_url)
    journal = Halves(open_engine(sqlite_url), tmp_path, 4)
    put(journal.engine, *journal.records[4:6])
    assert journal.used() == 11_111_111


def test_segments_come_and_go(sqlite_url: str, tmp_path: Path) -> None:
    ready_ledger(sqlite_url)
    journal = Halves(open_engine(sqlite_url), tmp_path, 4)
    marks = marks_of(tmp_path)
    (tmp_path / "w.000001.done").unlink()
    (tmp_path / "w.000002.open").rename(tmp_path / "w.000002.done")
    assert journal.used(marks) == 11_111_111
    assert journal.used() == 11_111_111
    (tmp_path / "w.000002.done").write_bytes(b"not json\n" + record_line(end(1, cost_nanos=3, tags={"app": "x"})))
    assert journal.used() == 1114
    assert answers(journal.engine, [Question(EVERYTHING, "usd", *EVER)], tmp_path / "nowhere") == [1111]


def test_a_judgement_is_money_and_neither_request_nor_tokens(tmp_path: Path) -> None:
    """Counters add what judging cost to the request it was for; what the judge read and said is not rationed."""
    engine = open_engine(f"sqlite:///{tmp_path}/ledger.db")
    ready_ledger(f"sqlite:///{tmp_path}/ledger.db")
    request = msgspec.structs.replace(end(1), operation="chat.completions", outcome="ok", cost_nanos=5)
    judgement = msgspec.structs.replace(end(2), operation="guardrail", outcome="ok", cost_nanos=7)
    put(engine, request)
    alone = {measure: used(engine, EVERYTHING, measure, *EVER) for measure in MEASURES}
    put(engine, judgement)
    assert {measure: used(engine, EVERYTHING, measure, *EVER) for measure in MEASURES} == {**alone, "usd": 12}
