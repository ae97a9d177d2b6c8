"""The findings log as people read it, on both databases."""

import msgspec
import pytest
from sqlalchemy import Engine, func, select

from gateway.errors import LedgerError
from gateway.facts import FindingNote
from gateway.ledger import audit
from gateway.ledger.events import EndRecord
from gateway.ledger.posting import post
from gateway.ledger.retention import prune_findings
from gateway.ledger.reviews import Effect, Precision, effects, judged, mark, precision, queue, replayed
from gateway.ledger.store import reading, writing
from gateway.ledger.tables import findings
from tests.gateway.ledger.helpers import T0, end

MAIL, CARD = "a" * 16, "b" * 16
RULE = "standard.pii.1"


def note(digest: str = MAIL, **changes: object) -> FindingNote:
    made = FindingNote("request", "standard", RULE, "pii", "EMAIL_ADDRESS", "pii.email_address.1", "messages[].content",
                       "user", 3, 20, 0.9, "list", "shadow", "mask", digest)  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def put(engine: Engine, *records: EndRecord) -> None:
    with writing(engine) as connection:
        post(connection, records, T0)


@pytest.fixture
def logged(engine: Engine) -> Engine:
    put(
        engine,
        end(1, id="x1", findings=(note(), note(start=40, end=57, score=0.95), note(CARD, type="CREDIT_CARD"))),
        end(2, id="x2", findings=(note(mode="enforce", role="tool"),), team="support"),
        end(3, id="x3"),
    )
    return engine


def rows(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(findings)).scalar() or 0


def test_an_exchange_that_is_posted_twice_has_its_findings_once(logged: Engine):
    put(logged, end(1, id="x1", findings=(note(), note(), note(CARD))))
    assert rows(logged) == 4


def test_values_are_grouped_and_the_most_frequent_comes_first(logged: Engine):
    first, second = queue(logged, 0)
    assert (first.digest, first.findings, first.exchanges, first.acted) == (MAIL, 3, 2, 1)
    assert first.teams == {"search": 2, "support": 1}
    assert (first.first_ns, first.last_ns) == (T0 + 1_000_000, T0 + 2_000_000)
    assert (first.least_score, first.most_score) == (0.9, 0.95)
    assert (first.exchange, first.role, first.mode, first.start, first.end) == ("x2", "tool", "enforce", 3, 20)
    assert (second.digest, second.type, second.verdict) == (CARD, "CREDIT_CARD", "")
    assert [each.digest for each in queue(logged, 0, filters={"type": "CREDIT_CARD"})] == [CARD]
    assert queue(logged, 0, filters={"team": "support"})[0].findings == 1
    assert queue(logged, T0 + 10**9) == []
    assert [each.digest for each in queue(logged, 0, most=1, skip=1)] == [CARD]


def test_a_judgement_is_kept_audited_and_taken_back(logged: Engine):
    made = mark(logged, rule=RULE, digest=MAIL, verdict="false_positive", at_ns=5, actor="key:ops")
    assert made is not None
    assert (made.verdict, made.type) == ("false_positive", "EMAIL_ADDRESS")
    assert [each.digest for each in queue(logged, 0)] == [CARD]
    assert [(each.digest, each.reviewed_by) for each in queue(logged, 0, "false_positive")] == [(MAIL, "key:ops")]
    assert [each.digest for each in judged(logged, "false_positive")] == [MAIL]
    mark(logged, rule=RULE, digest=MAIL, verdict="later", at_ns=6, actor="key:ops")
    assert mark(logged, rule=RULE, digest=MAIL, verdict="open", at_ns=7, actor="cli:root") is None
    assert len(queue(logged, 0)) == 2
    told = [(each.actor, each.action, each.before, each.after) for each in audit.entries(logged)]
    assert told[1] == ("key:ops", "guardrails.review", '{"verdict":"false_positive"}',
                       '{"type":"EMAIL_ADDRESS","verdict":"later"}')  # fmt: skip
    assert [each[0] for each in told] == ["key:ops", "key:ops", "cli:root"]
    assert audit.verify(logged).broken is None


@pytest.mark.parametrize(
    ("digest", "verdict", "problem"),
    [("c" * 16, "later", "has no value"), (MAIL, "maybe", "allowed are false_positive, true_positive, later, open")],
)
def test_what_cannot_be_judged(logged: Engine, digest: str, verdict: str, problem: str):
    with pytest.raises(LedgerError, match=problem):
        mark(logged, rule=RULE, digest=digest, verdict=verdict, at_ns=5, actor="x")
    assert audit.entries(logged) == []


def test_precision_counts_values_and_their_findings(logged: Engine):
    mark(logged, rule=RULE, digest=MAIL, verdict="true_positive", at_ns=5, actor="x")
    mark(logged, rule=RULE, digest=CARD, verdict="false_positive", at_ns=5, actor="x")
    assert precision(logged, 0) == [
        Precision(rule=RULE, true_values=1, false_values=1, true_findings=3, false_findings=1)
    ]
    prune_findings(logged, T0 + 10**10)
    assert rows(logged) == 0
    assert precision(logged, 0) == [Precision(rule=RULE, true_values=1, false_values=1)], "judgements stay"


def test_what_a_shadow_rule_would_newly_act_on(logged: Engine):
    """ "Shadow-vs-enforce difference": an exchange in which something is done already is not new."""
    put(logged, end(4, id="x4", findings=(note(), note(CARD, mode="enforce", rule="other"))))
    assert effects(logged, 0) == [
        Effect(
            policy="standard", rule="other", mode="enforce", action="mask", findings=1, exchanges=1, alone=0, teams=1
        ),
        Effect(policy="standard", rule=RULE, mode="enforce", action="mask", findings=1, exchanges=1, alone=0, teams=1),
        Effect(policy="standard", rule=RULE, mode="shadow", action="mask", findings=4, exchanges=2, alone=1, teams=1),
    ]
    assert [each.findings for each in effects(logged, 0, "support")] == [1]


def test_the_log_is_read_an_exchange_at_a_time(logged: Engine):
    together = list(replayed(logged, 0, T0 + 10**9))
    assert [[each.exchange for each in found] for found in together] == [["x1"] * 3, ["x2"]]
    assert (together[0][1].start, together[1][0].team, together[1][0].role) == (40, "support", "tool")
    assert [found[0].exchange for found in replayed(logged, 0, T0 + 10**9, "support")] == ["x2"]
    assert list(replayed(logged, T0 + 10**9, T0 + 10**10)) == []


def test_only_old_findings_are_thrown_away(logged: Engine):
    assert prune_findings(logged, T0 + 2_000_000, batch=1) == 3
    assert rows(logged) == 1
