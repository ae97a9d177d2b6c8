import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import LedgerError
from gateway.facts import UNPRICED, Caller, Exchange, Operation, Reading, TraceParent, Usage, Verdict
from gateway.ledger.events import (
    START_MARK,
    EndRecord,
    Stages,
    StartRecord,
    decode_line,
    end_line,
    end_record,
    interrupted,
    record_line,
    start_line,
)
from guardrails.interface import Failure, Finding, RuleResult, Segment
from tests.gateway.ledger.helpers import T0, exchange


def test_an_end_line_holds_what_the_ledger_needs():
    line = end_line(exchange(1, started=True))
    record = decode_line(line)
    assert isinstance(record, EndRecord)
    seen = json.loads(line)
    stages = seen.pop("stages")
    assert [round(stages[name], -1) for name in ("admit", "prepare", "upstream", "first", "deliver")] == [
        *(1000, 1000, 248_000, 1000, 749_000)
    ]
    assert abs(seen.pop("first_byte_ns") - (T0 + 252_000_000)) < 1000
    assert seen == {
        "t": "end",
        "v": 1,
        "id": record.id,
        "request_id": "req-1",
        "received_ns": T0 + 1_000_000,
        "finished_ns": T0 + 1_000_000 + 10**9,
        "team": "search",
        "key": "search-dev",
        "tags": {"app": "shop"},
        "operation": "chat.completions",
        "asked": "gpt-4o-mini",
        "provider": "openai",
        "model": "gpt-4o-mini-2024",
        "stream": True,
        "attempts": [{"provider": "openai", "model": "gpt-4o-mini-2024", "status": 200, "error": "", "seconds": 0.25}],
        "outcome": "ok",
        "status": 200,
        "usage": {"input_tokens": 80, "output_tokens": 20, "cache_read_tokens": 30},
        "cost_nanos": 24000,
        "price_version": "test/1",
    }


def test_a_start_line_holds_what_recovery_needs():
    x = exchange(1)
    line = start_line(x)
    assert line.startswith(START_MARK)
    assert decode_line(line) == StartRecord(
        v=1,
        id=x.id,
        request_id="req-1",
        received_ns=x.received_ns,
        team="search",
        key="search-dev",
        tags={"app": "shop"},
        operation="chat.completions",
        asked="gpt-4o-mini",
        stream=True,
        input_estimate=100,
        output_estimate=50,
        reserved_nanos=45_000,
    )


def test_an_interrupted_exchange_is_booked_at_its_reservation():
    start = decode_line(start_line(exchange(1)))
    assert isinstance(start, StartRecord)
    record = interrupted(start, start.received_ns + 5)
    assert (record.id, record.team, record.key, record.tags) == (start.id, "search", "search-dev", {"app": "shop"})
    assert (record.outcome, record.usage_estimated, record.cost_nanos) == ("interrupted", True, 45_000)
    assert record.usage == Usage(input_tokens=100, output_tokens=50)
    assert record.model == "gpt-4o-mini"
    assert not record.unpriced
    assert interrupted(msgspec.structs.replace(start, reserved_nanos=None), 0).unpriced


def test_a_request_refused_at_the_door_is_recorded_with_what_is_known():
    x = Exchange(id="i", request_id="r", received_ns=T0, received_at=1.0, outcome="refused", status=401)
    record = end_record(x)
    assert (record.team, record.key, record.model, record.cost_nanos, record.unpriced) == ("", "", "", None, False)
    assert record.finished_ns == T0
    assert record.stages == Stages()


SPEECH = Operation(name="passthrough", wire="openai", reads_body=False, generates=False)


@pytest.mark.parametrize(
    ("changes", "unpriced"),
    [
        ({}, False),
        ({"cost": UNPRICED}, True),
        ({"cost": UNPRICED, "usage": None}, True),
        ({"cost": UNPRICED, "usage": None, "status": 500}, False),
        ({"cost": UNPRICED, "usage": None, "headers_at": 0.0}, False),
        (
            {"cost": UNPRICED, "usage": None, "operation": Operation(name="models", wire="openai", generates=False)},
            False,
        ),
        ({"cost": UNPRICED, "usage": None, "operation": SPEECH}, True),
        ({"cost": UNPRICED, "usage": None, "operation": SPEECH, "model": "", "reading": None}, False),
    ],
)
def test_unpriced_means_it_cost_something_unknown(changes: dict[str, object], unpriced: bool):
    assert end_record(exchange(**changes)).unpriced is unpriced


def test_a_model_nobody_served_does_not_become_a_dimension():
    """A client may ask for any name; only names that were admitted or served may open a new roll-up."""
    refused = exchange(model="", provider="", reading=Reading(model="made-up"), started=False)
    assert (end_record(refused).asked, end_record(refused).model) == ("made-up", "")
    admitted = exchange(model="", provider="", started=True)
    assert end_record(admitted).model == "gpt-4o-mini"


def test_the_requests_own_tags_win_over_the_callers():
    assert end_record(exchange(tags={"app": "mine"})).tags == {"app": "mine"}
    assert end_record(exchange(tags={})).tags == {}


def test_guardrails_leave_kinds_and_actions_and_no_content():
    verdict = Verdict(
        action="mask",
        enforced="mask",
        policy="standard",
        findings=(
            Finding("EMAIL", "messages[0]", 3, 20, 1.0, "email", "secret@example.org"),
            Finding("EMAIL", "messages[1]", 0, 5, 1.0, "email"),
            Finding("CARD", "messages[1]", 9, 25, 1.0, "card"),
        ),
        rewrites=(Segment("messages[0]", "user", "prompt text"),),
    )
    line = end_line(exchange(request_verdict=verdict))
    assert b"secret@" not in line
    assert b"prompt text" not in line
    assert json.loads(line)["guardrails"] == [
        {"on": "request", "action": "mask", "enforced": "mask", "policy": "standard", "types": ["CARD", "EMAIL"]}
    ]


@pytest.mark.parametrize(
    ("action", "enforced", "rules"),
    [
        ("block", "mask", ["a", "b"]),
        ("block", "block", ["c", "e", "f", "g", "h"]),
        ("block", "allow", ["d"]),
    ],
)
def test_guardrails_name_the_rules_that_decided_and_what_failed(action: str, enforced: str, rules: list[str]):
    """*Ids of the rules whose action became the verdict's*, in force or (nothing was done) in shadow; five at most."""
    written = [("a", "enforce", "mask"), ("b", "enforce", "mask"), ("c", "enforce", "block"), ("d", "shadow", "block")]
    written += [(name, "enforce", "block") for name in "efghi"]
    results = tuple(RuleResult(rule, "p", mode, action_, ("T",), 1) for rule, mode, action_ in written)
    failures = (Failure("external:x", "TimeoutError", (rules[0],), True),) * 2
    verdict = Verdict(action=action, enforced=enforced, policy="p", results=results, failures=failures)
    (summary,) = end_record(exchange(response_verdict=verdict)).guardrails
    assert summary.rules == tuple(rules)
    assert summary.failed == ("external:x",)


@given(model=st.text(st.characters(codec=None), max_size=300), tag=st.text(st.characters(codec=None), max_size=50))
def test_any_name_a_client_chooses_makes_one_readable_line(model: str, tag: str):
    """Lone surrogates, control characters and long names must neither raise nor break the line."""
    x = exchange(reading=Reading(model=model), tags={tag: tag}, model="")
    for line in (start_line(x), end_line(x)):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        record = decode_line(line)
        assert record.asked == model.encode("utf-8", "replace").decode()[:200]
        assert record_line(record) == line


@given(st.binary(max_size=200))
def test_garbage_is_an_error_that_does_not_quote_it(data: bytes):
    with pytest.raises(LedgerError) as caught:
        decode_line(data + b"\xffsecret")
    assert "secret" not in str(caught.value)


def test_a_later_version_is_refused():
    with pytest.raises(LedgerError, match="version 2; this release reads version 1"):
        decode_line(end_line(exchange()).replace(b'"v":1', b'"v":2'))


def test_fields_a_later_release_adds_are_skipped():
    assert decode_line(end_line(exchange(caller=Caller(key_id="k", team="t")))[:-2] + b',"new":[1]}\n').team == "t"


@pytest.mark.parametrize("own", [True, False])
def test_a_request_id_is_written_only_where_the_client_gave_one(own: bool):
    """ "The client's; empty: it is `id`." """
    x = exchange(1, started=True)
    if not own:
        x.request_id = x.id
    for line in (start_line(x), end_line(x), record_line(interrupted(_start(x), x.received_ns))):
        seen = json.loads(line)
        assert seen.get("request_id") == ("req-1" if own else None)
        assert line.count(x.id.encode()) == 1


def _start(x: Exchange) -> StartRecord:
    record = decode_line(start_line(x))
    assert isinstance(record, StartRecord)
    return record


def test_the_callers_trace_is_kept_and_the_exchanges_own_is_not_written_twice():
    parent = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)
    assert end_record(exchange(parent=parent)).trace == parent.trace_id
    assert b"trace" not in end_line(exchange())
