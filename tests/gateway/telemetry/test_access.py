"""The access log: whose line is written, and what stands in it."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Ids
from gateway.facts import Attempt, Caller, Cost, Exchange, Operation, Reading, TraceParent, Usage, Verdict
from gateway.telemetry.access import AccessLog, line_of
from gateway.telemetry.logs import event_of
from gateway.telemetry.redaction import REDACTED
from gateway.telemetry.sampling import sampling


def exchange(**changes: object) -> Exchange:
    id_ = Ids().uuid7(0)
    return Exchange(id_, "client-1", 0, 1.0, **changes)  # type: ignore[arg-type]


FULL = {
    "operation": Operation("chat.completions", "openai"),
    "caller": Caller(key_id="dev", team="search"),
    "reading": Reading(model="m" * 300, stream=True),
    "attempts": [Attempt(provider="p", model="u", status=200)],
    "provider": "p",
    "model": "u",
    "status": 200,
    "outcome": "ok",
    "usage": Usage(input_tokens=3, output_tokens=4),
    "cost": Cost(nanos=5),
    "request_verdict": Verdict(action="block", enforced="allow"),
    "parent": TraceParent("ab" * 16, "cd" * 8, 1),
    "first_byte_at": 1.25,
    "finished_at": 1.5,
}


def test_a_line() -> None:
    x = exchange(**FULL)
    assert line_of(x) == {
        "exchange": x.id,
        "trace_id": "ab" * 16,
        "operation": "chat.completions",
        "team": "search",
        "key_id": "dev",
        "asked": "m" * 200,
        "provider": "p",
        "model": "u",
        "stream": True,
        "status": 200,
        "outcome": "ok",
        "seconds": 0.5,
        "first_byte_seconds": 0.25,
        "attempts": 1,
        "input_tokens": 3,
        "output_tokens": 4,
        "cost_nano_usd": 5,
        "request_id": "client-1",
        "guardrails_request": "block (enforced: allow)",
    }


def test_a_line_of_nobody() -> None:
    line = line_of(exchange(status=401, outcome="refused", finished_at=1.0))
    assert (line["team"], line["operation"], line["input_tokens"], line["first_byte_seconds"]) == ("", "", None, None)
    assert line["trace_id"] == str(line["exchange"]).replace("-", "")


def test_nothing_of_it_is_redacted(caplog: pytest.LogCaptureFixture) -> None:
    """Every field passes the filter that keeps secrets out, so none may be named like one."""
    caplog.set_level(logging.INFO, "tollway.access")
    AccessLog(1.0).record(exchange(**FULL))
    (record,) = caplog.records
    event = event_of(record)
    assert (event["event"], event["level"]) == ("access", "info")
    assert "logger" not in event
    assert REDACTED not in event.values()
    assert event["output_tokens"] == 4


@given(st.floats(0, 1))
def test_a_line_is_written_for_the_share_that_is_traced(share: float) -> None:
    """One chance decides both, by the trace id: what has a line in a share of them is traced in the same share."""
    written: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = written.append  # type: ignore[method-assign]
    logger = logging.getLogger("tollway.access")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        x = exchange()
        AccessLog(share).record(x)
        assert bool(written) == sampling(share, (), 1.0).samples(x)
    finally:
        logger.removeHandler(handler)


def test_another_share_counts_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tollway.access")
    log = AccessLog(0.0)
    log.record(exchange())
    assert caplog.records == []
    log.follow(1.0)
    log.record(exchange())
    assert len(caplog.records) == 1
