"""A collector that is dead, silent or slow: requests do not notice, nothing grows, what is lost is counted."""

import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import httpx
import psutil
import pytest

from gateway.telemetry.exporter import CAPACITY
from tests.support.collector import collector
from tests.support.redis_servers import free_port
from tests.support.served import Gateway, wait_for

KEY = {"authorization": "Bearer sk-search"}
ASK = {"model": "mock-echo", "messages": [{"role": "user", "content": "hi"}]}


def ask(gateway: Gateway, count: int) -> list[int]:
    """Statuses of `count` requests over a few kept connections."""

    def some(number: int) -> list[int]:
        with httpx.Client(headers=KEY, timeout=60) as client:
            return [client.post(gateway.v1 + "/chat/completions", json=ASK).status_code for _ in range(number)]

    with ThreadPoolExecutor(4) as pool:
        return [status for statuses in pool.map(some, [count // 4] * 4) for status in statuses]


def figure(gateway: Gateway, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(gateway.url + "/metrics").text, re.MULTILINE)
    assert found is not None, name
    return float(found[1])


def test_a_dead_collector(serve) -> None:
    gateway = serve(telemetry={"otlp": f"http://127.0.0.1:{free_port()}", "sample": "100%"})
    assert set(ask(gateway, 40)) == {200}
    wait_for(lambda: "traces_not_exported" in (gateway.data / "gateway.log").read_text(), "the line that tells of it")
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 30
    assert gateway.settled(40)["total"]["requests"] == 40


def test_a_silent_collector_fills_the_queue_and_no_more(serve) -> None:
    """It takes connections and never answers: the queue fills to its bound, the rest is dropped and counted, and the
    end of the process does not wait for it longer than it may."""
    with collector() as silent:
        held = threading.Event()

        def hold(handler: BaseHTTPRequestHandler) -> None:
            held.wait(240)
            handler.close_connection = True

        silent.answer = hold
        gateway = serve(telemetry={"otlp": silent.url, "sample": "100%"})
        ask(gateway, 4)
        assert silent.arrived.wait(60)
        threads = psutil.Process(gateway.pid).num_threads()
        assert set(ask(gateway, CAPACITY + 200)) == {200}
        assert figure(gateway, "tollway_trace_exchanges_queued") <= CAPACITY
        wait_for(lambda: figure(gateway, "tollway_trace_exchanges_dropped_total") > 0, "drops to be counted")
        assert psutil.Process(gateway.pid).num_threads() <= threads + 4
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(120) == 0
        assert time.monotonic() - began < 60
        held.set()
    assert gateway.settled(CAPACITY + 204)["total"]["requests"] == CAPACITY + 204


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_waits_is_sent_when_the_process_ends(serve, number: int) -> None:
    with collector() as receiver:
        gateway = serve(telemetry={"otlp": receiver.url, "sample": "100%"})
        ask(gateway, 40)
        gateway.process.send_signal(number)
        assert gateway.process.wait(120) == 0
        ids = {span.attributes["tollway.exchange.id"] for span in receiver.spans if span.name == "chat mock-echo"}
    assert len(ids) == 40


def test_a_collector_that_was_away_gets_what_was_kept(serve) -> None:
    with collector(503) as receiver:
        receiver.headers = {"retry-after": "1"}
        gateway = serve(telemetry={"otlp": receiver.url, "sample": "100%"})
        ask(gateway, 8)
        assert receiver.arrived.wait(60)
        receiver.status = 200
        wait_for(lambda: len(receiver.spans) >= 16, "every span")
        wait_for(lambda: figure(gateway, 'tollway_trace_spans_total{end="exported"}') >= 16, "the counter")
        assert figure(gateway, 'tollway_trace_spans_total{end="failed"}') == 0
        wait_for(lambda: "traces_exported_again" in (gateway.data / "gateway.log").read_text(), "the line")
