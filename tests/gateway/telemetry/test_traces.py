"""From a finished exchange to the exporter: what is taken, when it is encoded, and where it ends."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from gateway.clock import Ids
from gateway.facts import Content, Exchange, Operation, TraceParent
from gateway.telemetry.exporter import Exporter
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.otlp_http import Sent
from gateway.telemetry.sampling import sampling
from gateway.telemetry.semconv import names_of
from gateway.telemetry.spans import reload_span
from gateway.telemetry.traces import MOST_CONTENT, SLICE, Traces
from gateway.wire.traceparent import parse_traceparent, span_id_of
from tests.support.collector import Got, decoded
from tests.support.counting import calls

CHAT = Operation("chat.completions", "openai")


class Keeper:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Got] = []

    def send(self, body: bytes, timeout: float) -> Sent:
        self.spans += decoded(body)
        return Sent("taken")

    def close(self) -> None: ...

    @property
    def ids(self) -> list[object]:
        return [span.attributes["tollway.exchange.id"] for span in self.spans]


class Turns:
    """An event loop whose turns a test counts."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []
        self.later: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append(callback)

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)

    def turn(self) -> None:
        due, self.due = self.due, []
        for callback in due:
            callback()

    def a_while(self) -> None:
        self.due, self.later = [*self.due, *self.later], []
        self.turn()


def traces_of(share: float = 1.0, **more: Any) -> tuple[Traces, Keeper]:
    keeper = Keeper()
    encoder = Encoder({"service.name": "tollway"}, ("tollway", "1"), "")
    exporter = Exporter(encoder, keeper, **{"interval": 60.0, **more})
    return Traces(sampling(share, ("error",), 30.0), names_of("v1_41"), {}, encoder, exporter), keeper


def exchange(**changes: Any) -> Exchange:
    id_ = Ids().uuid7(1_700_000_000_000_000_000)
    fields = {"outcome": "ok", "finished_at": 2.0, **changes}
    return Exchange(id_, id_, 1_700_000_000_000_000_000, 1.0, **fields)


async def test_what_is_kept_is_sent() -> None:
    traces, keeper = traces_of()
    traces.start(asyncio.get_running_loop())
    xs = [exchange() for _ in range(3 * SLICE + 1)]
    for x in xs:
        traces.record(x)
    assert keeper.spans == []
    await traces.aclose(5.0)
    assert keeper.ids == [x.id for x in xs]
    assert (traces.dropped, traces.defects, traces.queued, traces.exporter.exported) == (0, 0, 0, len(xs))
    assert "traces" not in {thread.name for thread in threading.enumerate()}


async def test_what_is_not_kept_is_not() -> None:
    traces, keeper = traces_of(0.0)
    traces.start(asyncio.get_running_loop())
    traces.record(exchange())
    failed = exchange(outcome="error", status=500)
    traces.record(failed)
    await traces.aclose(5.0)
    assert keeper.ids == [failed.id]


def test_a_few_are_encoded_in_a_turn() -> None:
    """The loop is never kept from requests for longer than a slice takes."""
    traces, _ = traces_of()
    loop = Turns()
    traces.start(loop)
    for _ in range(2 * SLICE + 3):
        traces.record(exchange())
    assert (len(loop.due), len(loop.later), traces.exporter.queued) == (1, 1, 0)
    loop.turn()
    assert traces.exporter.queued == SLICE
    loop.turn()
    assert traces.exporter.queued == 2 * SLICE
    assert loop.due == []
    loop.a_while()
    assert (traces.exporter.queued, traces.queued) == (2 * SLICE + 3, 2 * SLICE + 3)
    traces.record(exchange())
    assert (len(loop.due), len(loop.later)) == (0, 1)
    traces.exporter.close()


def test_a_full_queue_drops_and_counts() -> None:
    """Whatever the collector does, no more than `capacity` waits, encoded or not, and everything is accounted for."""
    traces, keeper = traces_of(capacity=SLICE + 10)
    loop = Turns()
    traces.start(loop)
    for _ in range(SLICE + 15):
        traces.record(exchange())
    assert (traces.queued, traces.dropped) == (SLICE + 10, 5)
    loop.turn()
    traces.record(exchange())
    assert (traces.queued, traces.dropped) == (SLICE + 10, 6)
    loop.a_while()
    traces.exporter.close()
    assert len(keeper.spans) == SLICE + 10


async def test_a_defect_costs_one_trace() -> None:
    traces, keeper = traces_of()
    traces.start(asyncio.get_running_loop())
    whole = exchange()
    traces.record(_broken())
    traces.record(whole)
    await traces.aclose(5.0)
    assert (traces.defects, keeper.ids) == (1, [whole.id])


def _broken() -> Exchange:
    x = exchange()
    x.received_ns = None  # type: ignore[assignment]
    return x


async def test_a_note_from_another_thread() -> None:
    traces, keeper = traces_of()
    traces.note(reload_span(Ids().uuid7(0), 1, True, "before the start", "h", 1))
    traces.start(asyncio.get_running_loop())
    await asyncio.to_thread(traces.note, reload_span(Ids().uuid7(0), 1, True, "SIGHUP", "h", 1))
    await asyncio.sleep(0)
    await traces.aclose(5.0)
    assert [span.attributes["tollway.config.reload.reason"] for span in keeper.spans] == ["SIGHUP"]


def test_what_a_provider_is_told() -> None:
    """The caller's decision, else the share's: whether it is kept for its end is not known yet."""
    every, none = traces_of(1.0)[0], traces_of(0.0)[0]
    x = exchange()
    first = parse_traceparent(every.traceparent(x))
    assert first is not None
    assert (first.trace_id, int(first.span_id, 16), first.sampled) == (every.trace_id(x), span_id_of(x, 1), True)
    assert none.traceparent(x).endswith(b"-00")
    x.parent = TraceParent("ab" * 16, "cd" * 8, 1)
    assert none.traceparent(x).endswith(b"-01")
    assert none.trace_id(x) == "ab" * 16


def test_what_a_decision_costs() -> None:
    """An exchange that is not traced costs under 1.5 µs in all: so many calls, and no more when there were others."""
    traces, _ = traces_of(0.0)
    xs = [exchange() for _ in range(2000)]

    def one(x: Exchange) -> None:
        traces.traceparent(x)
        traces.record(x)

    (each,) = {calls(lambda: one(x)) for x in xs}  # noqa: B023
    assert each <= 10


def test_what_was_said_is_bounded_in_bytes_and_read_on_the_exporters_thread() -> None:
    """ "At most 32 MiB wait to be sent; beyond that, traces go without." The collector takes nothing here."""
    traces, keeper = traces_of()
    loop = Turns()
    body = b'{"messages": [{"role": "user", "content": "hi"}]}' + b" " * 1_000_000
    xs = [exchange(content=Content(body, 100, True), operation=CHAT) for _ in range(100)]
    for x in xs:
        traces.record(x)
    kept = sum(x.content is not None for x in xs)
    assert kept == MOST_CONTENT // xs[0].content.weight  # type: ignore[union-attr]
    assert traces.content_dropped == 100 - kept
    traces.start(loop)
    while loop.due:
        loop.turn()
    assert traces.exporter.held == kept * xs[0].content.weight  # type: ignore[union-attr]
    late = exchange(content=Content(body, 100, True))
    traces.record(late)
    assert late.content is None, "what waits for the collector counts too"
    loop.a_while()
    asyncio.run(traces.aclose(20.0))
    told = [span.attributes.get("gen_ai.input.messages") for span in keeper.spans]
    assert (len(told), sum(each is not None for each in told)) == (101, kept)
    assert traces.exporter.held == 0
    assert traces.defects == 0
