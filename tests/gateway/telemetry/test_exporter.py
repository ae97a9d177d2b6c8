"""The queue to the collector, its bound, the thread behind it, and its end."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.telemetry.exporter import BATCH, Exporter
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sent
from gateway.telemetry.span import INTERNAL, Span
from tests.support.collector import decoded
from tests.support.served import wait_for

TAKEN, AGAIN, REFUSED = Sent("taken"), Sent("again", "503"), Sent("refused", "401")


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
        assert self.go.wait(60)
        sent = self.answers(len(self.bodies))
        if sent is TAKEN:
            self.taken.append(body)
        return sent

    def close(self) -> None:
        self.closed = True

    def names(self) -> list[str]:
        return [got.name for body in self.taken for got in decoded(body)]


Begin = Callable[..., tuple[Exporter, Double]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """An exporter that sends to a double; `held` leaves the double waiting."""
    begun: list[tuple[Exporter, Double]] = []

    def make(held: bool = False, answers: Callable[[int], Sent] = lambda number: TAKEN, **more: Any):
        double = Double(answers)
        if not held:
            double.go.set()
        exporter = Exporter(encoder(), double, **{"interval": 0.01, "backoff": 0.001, **more})
        exporter.start()
        begun.append((exporter, double))
        return exporter, double

    yield make
    for exporter, double in begun:
        double.go.set()
        exporter.close()


def encoder() -> Encoder:
    return Encoder({"service.name": "tollway"}, ("tollway", "1"), "")


def put(exporter: Exporter, *names: str) -> None:
    for name in names:
        exporter.put((encoder().span(Span(name, INTERNAL, "ab" * 16, 1, 0, False, 1, 2, [])) * 2, 2))


def test_everything_is_sent_in_order(begin: Begin) -> None:
    exporter, double = begin()
    names = [str(number) for number in range(BATCH * 2 + 3)]
    put(exporter, *names)
    wait_for(lambda: exporter.exported == 2 * len(names), "every span")
    assert double.names() == [name for name in names for _ in range(2)]
    assert (exporter.failed, exporter.queued) == (0, 0)


def test_a_full_batch_does_not_wait(begin: Begin) -> None:
    exporter, double = begin(interval=60.0)
    put(exporter, *map(str, range(BATCH)))
    wait_for(lambda: double.taken, "the batch")


def test_a_collector_that_comes_back(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tollway")
    exporter, double = begin(answers=lambda number: AGAIN if number < 3 else TAKEN)
    put(exporter, "a")
    wait_for(lambda: exporter.exported == 2, "the third try")
    assert len(set(double.bodies)) == 1
    assert exporter.failed == 0
    assert [record.message for record in caplog.records] == ["traces_not_exported", "traces_exported_again"]


def test_a_collectors_own_pause_goes_first(begin: Begin) -> None:
    exporter, _ = begin(answers=lambda n: Sent("again", "429", 0.0) if n < 3 else TAKEN, backoff=60.0)
    put(exporter, "a")
    wait_for(lambda: exporter.exported == 2, "the third try")


def test_what_is_not_taken_in_time_is_given_up(begin: Begin) -> None:
    exporter, double = begin(answers=lambda number: AGAIN)
    put(exporter, "a")
    wait_for(lambda: exporter.failed == 2, "the last try")
    assert len(double.bodies) == 5


def test_what_is_refused_is_not_sent_again(begin: Begin) -> None:
    exporter, double = begin(answers=lambda number: REFUSED)
    put(exporter, "a")
    wait_for(lambda: exporter.failed == 2, "the refusal")
    assert len(double.bodies) == 1


def test_the_end_sends_what_waits(begin: Begin) -> None:
    exporter, double = begin(interval=60.0)
    put(exporter, "a", "b")
    exporter.close()
    exporter.close()
    assert (double.names(), double.closed) == (["a", "a", "b", "b"], True)
    assert "traces" not in {thread.name for thread in threading.enumerate()}


def test_the_end_does_not_wait_for_a_dead_collector(begin: Begin) -> None:
    exporter, double = begin(answers=lambda number: AGAIN, interval=60.0, backoff=60.0)
    put(exporter, *map(str, range(BATCH * 3)))
    began = time.monotonic()
    exporter.close()
    assert time.monotonic() - began < 30
    assert len(double.bodies) <= 2
    assert exporter.failed == BATCH * 6


def test_the_end_does_not_wait_for_a_silent_one(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    exporter, double = begin(held=True)
    put(exporter, "a")
    wait_for(lambda: double.bodies, "the thread to be held up")
    exporter.close(0.05)
    assert [record.message for record in caplog.records] == ["traces_lost"]
