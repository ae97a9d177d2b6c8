"""The queue, its bound, the thread behind it, and its end."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.clock import Ids
from gateway.facts import Exchange, Reading, Verdict
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sent
from gateway.telemetry.sampling import sampling
from gateway.telemetry.semconv import names_of
from gateway.telemetry.spans import reload_span
from gateway.telemetry.traces import BATCH, Traces
from guardrails.interface import Segment
from tests.support.collector import decoded
from tests.support.served import wait_for

TAKEN, AGAIN, REFUSED = Sent("taken"), Sent("again", "503"), Sent("refused", "401")
EVERYTHING = sampling(1.0, (), 30.0)


@dataclass
class Double:
    """A sender that says what a test wants, and can be held up."""

    answers: Callable[[int], Sent] = lambda number: TAKEN
    bodies: list[bytes] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def send(self, body: bytes, timeout: float) -> Sent:
        self.bodies.append(body)
        assert self.go.wait(20)
        sent = self.answers(len(self.bodies))
        if sent is TAKEN:
            self.taken.append(body)
        return sent

    def close(self) -> None:
        self.closed = True

    def names(self) -> list[str]:
        return [got.attributes["tollway.exchange.id"] for body in self.taken for got in decoded(body)]


@pytest.fixture
def begin() -> Iterator[Callable[..., tuple[Traces, Double]]]:
    """Traces that send to a double; `held` leaves the double waiting."""
    begun: list[tuple[Traces, Double]] = []

    def make(held: bool = False, answers: Callable[[int], Sent] = lambda number: TAKEN, **more: Any):
        double = Double(answers)
        if not held:
            double.go.set()
        encoder = Encoder({"service.name": "tollway"}, ("tollway", "1"), "")
        traces = Traces(
            EVERYTHING, names_of("v1_41"), {}, encoder, double, **{"interval": 0.01, "backoff": 0.001, **more}
        )
        traces.start()
        begun.append((traces, double))
        return traces, double

    yield make
    for traces, double in begun:
        double.go.set()
        traces.close()


def exchange(**changes: Any) -> Exchange:
    id_ = Ids().uuid7(1_700_000_000_000_000_000)
    return Exchange(id_, id_, 1_700_000_000_000_000_000, 1.0, outcome="ok", finished_at=2.0, **changes)


def test_what_is_kept_is_sent(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin()
    xs = [exchange() for _ in range(BATCH * 2 + 3)]
    for x in xs:
        traces.record(x)
    wait_for(lambda: traces.exported == len(xs), "every span")
    assert double.names() == [x.id for x in xs]
    assert (traces.dropped, traces.failed, traces.queued) == (0, 0, 0)


def test_what_is_not_kept_is_not(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin()
    traces.sampling = sampling(0.0, ("error",), 30.0)
    traces.record(exchange())
    kept = exchange()
    kept.outcome = "error"
    traces.record(kept)
    wait_for(lambda: traces.exported, "the one that is kept")
    assert double.names() == [kept.id]


def test_a_full_queue_drops_and_counts(begin: Callable[..., tuple[Traces, Double]]) -> None:
    """Whatever the collector does, no more than the queue and one batch is held, and everything is accounted for."""
    traces, double = begin(held=True, capacity=10)
    traces.record(exchange())
    wait_for(lambda: double.bodies, "the thread to be held up")
    for _ in range(35):
        traces.record(exchange())
    assert (traces.queued, traces.dropped) == (10, 25)
    double.go.set()
    wait_for(lambda: traces.exported == 11, "the rest")


def test_a_collector_that_comes_back(
    begin: Callable[..., tuple[Traces, Double]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tollway")
    traces, double = begin(answers=lambda number: AGAIN if number < 3 else TAKEN)
    traces.record(exchange())
    wait_for(lambda: traces.exported == 1, "the third try")
    assert len(set(double.bodies)) == 1
    assert traces.failed == 0
    said = [record.message for record in caplog.records]
    assert said == ["traces_not_exported", "traces_exported_again"]


def test_what_is_not_taken_in_time_is_given_up(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin(answers=lambda number: AGAIN)
    traces.record(exchange())
    wait_for(lambda: traces.failed == 1, "the last try")
    assert len(double.bodies) == 5


def test_what_is_refused_is_not_sent_again(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin(answers=lambda number: REFUSED)
    traces.record(exchange())
    wait_for(lambda: traces.failed == 1, "the refusal")
    assert len(double.bodies) == 1


def test_the_end_sends_what_waits(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin(interval=60.0)
    for _ in range(5):
        traces.record(exchange())
    traces.close()
    traces.close()
    assert (len(double.names()), double.closed) == (5, True)
    assert "traces" not in {thread.name for thread in threading.enumerate()}


def test_the_end_does_not_wait_for_a_dead_collector(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin(answers=lambda number: AGAIN, interval=60.0, backoff=60.0)
    for _ in range(BATCH * 3):
        traces.record(exchange())
    began = time.monotonic()
    traces.close()
    assert time.monotonic() - began < 5
    assert len(double.bodies) <= 2
    assert traces.failed + traces.dropped == BATCH * 3


def test_the_end_does_not_wait_for_a_silent_one(
    begin: Callable[..., tuple[Traces, Double]], caplog: pytest.LogCaptureFixture
) -> None:
    traces, double = begin(held=True)
    traces.record(exchange())
    wait_for(lambda: double.bodies, "the thread to be held up")
    traces.close(0.05)
    assert [record.message for record in caplog.records] == ["traces_lost"]


def test_a_defect_costs_one_trace(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin()
    broken, whole = exchange(), exchange()
    broken.received_ns = None  # type: ignore[assignment]
    traces.record(broken)
    traces.record(whole)
    wait_for(lambda: traces.exported == 1, "the other one")
    assert (traces.failed, double.names()) == (1, [whole.id])


def test_the_queue_holds_no_texts(begin: Callable[..., tuple[Traces, Double]]) -> None:
    """ "Memory bounded": a notebook that waits holds neither rewritten texts nor a name without end."""
    traces, _ = begin(held=True)
    verdict = Verdict(action="mask", enforced="mask", rewrites=(Segment("m", "user", "long" * 1000),))
    x = exchange(request_verdict=verdict, response_verdict=verdict, reading=Reading(model="m" * 10_000))
    traces.record(x)
    assert x.request_verdict.rewrites == x.response_verdict.rewrites == ()
    assert x.reading is not None
    assert len(x.reading.model) == 200
    assert verdict.rewrites


def test_a_note(begin: Callable[..., tuple[Traces, Double]]) -> None:
    traces, double = begin()
    traces.note(reload_span(Ids().uuid7(0), 1, True, "SIGHUP", "h", 1))
    wait_for(lambda: traces.exported == 1, "the note")
    assert [got.name for got in decoded(double.taken[0])] == ["config reload"]


def test_what_a_decision_costs() -> None:
    """A micro-benchmark with much room: an exchange that is not traced costs under 1.5 µs in all on an idle machine."""
    traces = Traces(sampling(0.0, ("error",), 30.0), names_of("v1_41"), {}, Encoder({}, ("t", "1"), ""), Double())
    xs = [exchange() for _ in range(2000)]
    best = min(_seconds(traces, xs) for _ in range(5))
    assert best / len(xs) < 15e-6


def _seconds(traces: Traces, xs: list[Exchange]) -> float:
    began = time.perf_counter()
    for x in xs:
        traces.traceparent(x)
        traces.record(x)
    return time.perf_counter() - began
