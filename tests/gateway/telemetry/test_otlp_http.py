"""One export over HTTP: what each answer of a collector means."""

import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.telemetry.otlp_http import METRICS_PATH, HttpSender, Sent, signal_url
from tests.support.collector import Collector, collector


@pytest.fixture(name="receiver")
def _receiver() -> Iterator[Collector]:
    with collector() as state:
        yield state


def send(url: str, timeout: float = 5.0, headers: dict[str, str] | None = None) -> Sent:
    sender = HttpSender(url, headers or {})
    try:
        return sender.send(b"", timeout)
    finally:
        sender.close()


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://h/otlp", "https://h/otlp/v1/traces"),
        ("https://h/otlp/v1/traces", "https://h/otlp/v1/traces"),
        ("https://h/v1/traces/", "https://h/v1/traces"),
    ],
)
def test_where_traces_go(endpoint: str, url: str) -> None:
    """OTEL_EXPORTER_OTLP_ENDPOINT is a base URL to which `v1/traces` is added; the signal's own endpoint is whole."""
    assert signal_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["http://c:4318", "http://c:4318/v1/traces"])
def test_where_metrics_go(endpoint: str) -> None:
    """Beside the traces, also where only their address is written."""
    assert signal_url(endpoint, METRICS_PATH) == "http://c:4318/v1/metrics"


def test_what_is_sent(receiver: Collector) -> None:
    assert send(receiver.url, headers={"api-key": "canary"}) == Sent("taken")
    path, headers = receiver.requests[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["api-key"] == "canary"


@pytest.mark.parametrize(
    ("status", "end"),
    [(200, "taken"), (202, "taken"), (400, "refused"), (401, "refused"), (404, "refused"), (429, "again"),
     (500, "refused"), (502, "again"), (503, "again"), (504, "again"), (302, "refused")],
)  # fmt: skip
def test_what_an_answer_means(receiver: Collector, status: int, end: str) -> None:
    """Rule: "Retryable are 429, 502, 503, 504; all other 4xx and 5xx MUST NOT be retried"; nor is a redirect."""
    receiver.status = status
    receiver.headers = {"location": receiver.url + "/elsewhere"} if status == 302 else {}
    sent = send(receiver.url)
    assert sent.end == end
    assert sent.reason == ("" if end == "taken" else str(status))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("value", "pause"), [("3", 3.0), ("9999", 30.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
)
def test_how_long_a_collector_asks_to_wait(receiver: Collector, value: str, pause: float | None) -> None:
    receiver.status, receiver.headers = 503, {"retry-after": value}
    assert send(receiver.url).pause == pause


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}") == Sent("again", "ConnectError")


def test_one_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert send(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2) == Sent("again", "ReadTimeout")


def test_one_that_speaks_nonsense() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        sender = HttpSender(f"http://127.0.0.1:{silent.getsockname()[1]}", {})

        def nonsense() -> None:
            connection, _ = silent.accept()
            with connection:
                connection.sendall(b"nonsense\r\n\r\n")

        thread = threading.Thread(target=nonsense)
        thread.start()
        assert sender.send(b"", 5.0) == Sent("again", "RemoteProtocolError")
        thread.join(60)
        sender.close()


def test_the_environments_proxies_are_not_used(receiver: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert send(receiver.url) == Sent("taken")
