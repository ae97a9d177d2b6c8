"""Traces of a served gateway, as a collector on a socket gets them."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.answers import chat, chat_stream
from tests.support.collector import CLIENT, INTERNAL, Collector, Got, collector
from tests.support.guarded import EMAIL, Guarded, guarded_configuration, guarded_gateway
from tests.support.scripted import Play, Scripted, Seen, Wire, by_stream, scripted, unary
from tests.support.served import wait_for

ANSWER = chat("hello there")
USUAL = by_stream(ANSWER, chat_stream(ANSWER))
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
ADMIN = {"authorization": "Bearer sk-admin"}


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    with collector() as state:
        yield state


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted(USUAL) as state:
        yield state
        assert state.failures == []


@pytest.fixture(scope="module")
def traced(receiver: Collector, provider: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data = tmp_path_factory.mktemp("traced")
    telemetry = {
        "otlp": "${env:OTEL_EXPORTER_OTLP_ENDPOINT:-}",
        "headers": {"api-key": "collector-canary"},
        "sample": "100%",
        "access_log": "on",
    }
    models = guarded_configuration(provider.url, data)["models"]
    models["try-hard"] = {
        "targets": [{"provider": "mock", "model": "first"}],
        "fallbacks": ["gpt-4o"],
        "retry": {"rounds": 1, "backoff": "1ms"},
    }
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    gateway = guarded_gateway(provider.url, data, env=env, telemetry=telemetry, models=models)
    yield gateway
    gateway.stop()


def ask(gateway: Guarded, team: str = "free", said: str = "hi", headers: dict[str, str] | None = None, **more: object):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    sent = {"authorization": f"Bearer sk-{team}", **(headers or {})}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=sent, timeout=60)


def trace(receiver: Collector, answer: httpx.Response) -> list[Got]:
    return receiver.trace_of(answer.headers["x-request-id"])


def in_turn(*statuses: int) -> Play:
    """Each request gets the next status; the last one for ever."""
    made = iter(statuses)
    last = [0]

    def play(wire: Wire, seen: Seen) -> None:
        last[0] = next(made, last[0])
        (USUAL if last[0] == 200 else unary({"error": {"message": "no"}}, last[0]))(wire, seen)

    return play


def test_a_unary_exchange(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    answer = ask(traced)
    root, attempt = trace(receiver, answer)
    id_ = answer.headers["x-request-id"]
    assert (root.name, root.span.kind, root.trace_id, root.parent_id) == (
        "chat gpt-4o-mini", CLIENT, id_.replace("-", ""), "",
    )  # fmt: skip
    said = root.attributes
    assert said["tollway.exchange.id"] == id_
    assert (said["gen_ai.operation.name"], said["gen_ai.provider.name"]) == ("chat", "openai")
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (100, 20)
    assert (said["tollway.team"], said["tollway.key.id"], said["tollway.outcome"]) == ("free", "free", "ok")
    assert said["server.port"] == int(provider.url.rsplit(":", 1)[1])
    assert (attempt.name, attempt.parent_id, attempt.failed) == ("upstream mock", root.span_id, False)
    assert attempt.attributes["http.response.status_code"] == 200
    assert root.span.start_time_unix_nano <= attempt.span.start_time_unix_nano
    assert attempt.span.end_time_unix_nano <= root.span.end_time_unix_nano
    assert provider.last.headers["traceparent"] == f"00-{root.trace_id}-{attempt.span_id}-01"
    assert root.schema_url == "https://opentelemetry.io/schemas/1.41.0"
    assert root.resource["service.name"] == "tollway"
    path, headers = receiver.requests[0]
    assert (path, headers["api-key"]) == ("/v1/traces", "collector-canary")
    row = traced.row(id_)
    assert (row["id"], row["cost_nanos"]) == (said["tollway.exchange.id"], said["tollway.cost.nano_usd"])


def test_a_stream(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    root, attempt = trace(receiver, ask(traced, stream=True, max_completion_tokens=50))
    assert list(root.events) == ["first_token"]
    assert root.attributes["gen_ai.request.stream"] is True
    assert root.attributes["gen_ai.request.max_tokens"] == 50
    assert 0 < root.attributes["gen_ai.response.time_to_first_chunk"] < 20
    assert root.attributes["gen_ai.usage.output_tokens"] == 20
    assert attempt.span.end_time_unix_nano == root.span.end_time_unix_nano


def test_retry_and_fallback(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(in_turn(503, 500, 200))
    answer = ask(traced, model="try-hard")
    assert answer.status_code == 200
    root, *attempts = trace(receiver, answer)
    assert [a.attributes["tollway.model"] for a in attempts] == ["first", "gpt-4o", "first"]
    assert [a.attributes.get("error.type") for a in attempts] == ["503", "500", None]
    assert list(root.events) == ["fallback", "retry"]
    assert (root.attributes["tollway.attempts"], root.failed) == (3, False)
    sent = [seen.headers["traceparent"].split("-")[2] for seen in provider.seen]
    assert sent == [a.span_id for a in attempts]


def test_a_provider_that_is_gone(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(lambda wire, seen: wire.broken())
    root, attempt = trace(receiver, ask(traced))
    assert root.failed
    assert root.attributes["error.type"] == attempt.attributes["error.type"] == "Disconnected"
    assert root.attributes["tollway.outcome"] == "upstream_error"


def test_a_key_that_is_refused(traced: Guarded, receiver: Collector) -> None:
    answer = ask(traced, "nobody", headers={"x-request-id": "refused-1"})
    assert answer.status_code == 401
    (root,) = trace(receiver, answer)
    assert root.attributes["error.type"] == "401"
    assert "tollway.team" not in root.attributes
    assert root.attributes["tollway.request.id"] == "refused-1"


def test_a_guardrail_that_blocks(traced: Guarded, receiver: Collector) -> None:
    answer = ask(traced, "refused", f"I am {EMAIL}")
    assert answer.status_code == 400
    root, guardrail = trace(receiver, answer)
    assert root.attributes["error.type"] == "content_filter"
    assert (guardrail.name, guardrail.span.kind) == ("guardrail no-mail", INTERNAL)
    said = {name.removeprefix("tollway.guardrail."): value for name, value in guardrail.attributes.items()}
    assert said == {
        "rule": "no-mail", "policy": "refused", "direction": "request", "mode": "enforce", "verdict": "block",
        "enforced": "block", "types": ["EMAIL_ADDRESS"], "findings": 1,
    }  # fmt: skip


def test_a_guardrail_in_shadow(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    spans = trace(receiver, ask(traced, "shadow", f"I am {EMAIL}"))
    (guardrail,) = [span for span in spans if span.name.startswith("guardrail")]
    assert guardrail.attributes["tollway.guardrail.verdict"] == "mask"
    assert guardrail.attributes["tollway.guardrail.enforced"] == "allow"


@pytest.mark.parametrize("flags", ["01", "03"])
def test_a_callers_trace_goes_on(traced: Guarded, provider: Scripted, receiver: Collector, flags: str) -> None:
    provider.says(USUAL)
    answer = ask(traced, headers={"traceparent": PARENT + flags, "tracestate": "vendor=1, other=2"})
    root, attempt = trace(receiver, answer)
    assert (root.trace_id, root.parent_id) == tuple(PARENT.split("-")[1:3])
    assert root.span.trace_state == "vendor=1,other=2"
    assert provider.last.headers["traceparent"] == f"00-{root.trace_id}-{attempt.span_id}-{flags}"
    assert provider.last.headers["tracestate"] == "vendor=1,other=2"


def test_a_caller_that_does_not_record(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    """Its ordinary exchanges are not traced, though `sample` is all of them; its failures are."""
    provider.says(USUAL)
    ask(traced, headers={"traceparent": PARENT + "00", "x-request-id": "unrecorded"})
    assert provider.last.headers["traceparent"].endswith("-00")
    provider.says(lambda wire, seen: wire.broken())
    failed = ask(traced, headers={"traceparent": PARENT + "00", "x-request-id": "unrecorded-failure"})
    assert trace(receiver, failed)[0].failed
    assert "unrecorded" not in [span.attributes.get("tollway.request.id") for span in receiver.spans]


def test_a_broken_context_begins_a_new_trace(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    answer = ask(traced, headers={"traceparent": "00-zz", "tracestate": "vendor=1"})
    root, attempt = trace(receiver, answer)
    assert root.trace_id == answer.headers["x-request-id"].replace("-", "")
    assert provider.last.headers["traceparent"] == f"00-{root.trace_id}-{attempt.span_id}-01"
    assert "tracestate" not in provider.last.headers


def test_known_heads_carry_their_own_trace(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    """A connection that sends the same head again: every request has its own trace and span."""
    provider.says(USUAL)
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    with httpx.Client(headers={"authorization": "Bearer sk-free"}) as client:
        ids = [client.post(traced.v1 + "/chat/completions", json=body).headers["x-request-id"] for _ in range(4)]
    sent = [seen.headers["traceparent"] for seen in provider.seen]
    assert [value.split("-")[1] for value in sent] == [id_.replace("-", "") for id_ in ids]


def test_what_is_passed_through(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(unary({"data": []}))
    sent = {"authorization": "Bearer sk-free", "traceparent": PARENT + "01", "tracestate": "a=1"}
    answer = httpx.get(traced.v1 + "/files", headers=sent)
    assert answer.status_code == 200
    root, attempt = trace(receiver, answer)
    assert (root.name, root.parent_id) == ("passthrough", PARENT.split("-")[2])
    assert provider.last.headers["traceparent"] == f"00-{root.trace_id}-{attempt.span_id}-01"
    assert provider.last.headers["tracestate"] == "a=1"


def test_figures_of_the_exporter(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    trace(receiver, ask(traced))

    def figures() -> dict[str, float]:
        text = httpx.get(traced.url + "/metrics").text
        return {name: float(value) for name, value in re.findall(r"^(tollway_trace\S*) (\S+)$", text, re.MULTILINE)}

    wait_for(lambda: figures()['tollway_trace_spans_total{end="exported"}'] >= len(receiver.spans), "the counter")
    found = figures()
    assert found['tollway_trace_spans_total{end="failed"}'] == 0
    assert found["tollway_trace_exchanges_dropped_total"] == 0


def test_an_access_line_names_its_trace(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    provider.says(USUAL)
    root = trace(receiver, ask(traced, headers={"x-request-id": "logged-1", "traceparent": PARENT + "01"}))[0]

    def line() -> dict | None:
        lines = [json.loads(text) for text in (traced.data / "gateway.log").read_text().splitlines()]
        return next((found for found in lines if found.get("request_id") == "logged-1"), None)

    found = wait_for(line, "the line")
    assert isinstance(found, dict)
    assert (found["event"], found["trace_id"]) == ("access", root.trace_id)
    assert (found["exchange"], found["status"], found["output_tokens"]) == (
        root.attributes["tollway.exchange.id"],
        200,
        20,
    )


def test_sampling_follows_a_reload(traced: Guarded, provider: Scripted, receiver: Collector) -> None:
    """`sample` and `keep` count at once; a trace of the reload itself says so. (Last: it changes the gateway.)"""
    provider.says(USUAL)
    written = yaml.safe_load(traced.config.read_text())
    written["telemetry"].update(sample="0%", keep=["refused"], access_log="off")
    traced.config.write_text(yaml.safe_dump(written))
    reloaded = httpx.post(traced.url + "/admin/v1/reload", headers=ADMIN).json()
    assert reloaded["restart"] == []
    wait_for(lambda: any(span.name == "config reload" for span in receiver.spans), "the reload's span")
    assert ask(traced, headers={"x-request-id": "ordinary"}).status_code == 200
    assert provider.last.headers["traceparent"].endswith("-00")
    assert ask(traced, "nobody", headers={"x-request-id": "refused-2"}).status_code == 401
    receiver.trace_of("refused-2")
    assert "ordinary" not in [span.attributes.get("tollway.request.id") for span in receiver.spans]


def test_off_is_off(provider: Scripted, tmp_path: Path) -> None:
    """Without an endpoint the client's context goes to the provider as it came."""
    telemetry = {"otlp": "${env:OTEL_EXPORTER_OTLP_ENDPOINT:-}", "sample": "100%"}
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    gateway = guarded_gateway(provider.url, tmp_path, telemetry=telemetry, env=env)
    provider.says(USUAL)
    ask(gateway, headers={"traceparent": PARENT + "01", "tracestate": "a=1"})
    assert provider.last.headers["traceparent"] == PARENT + "01"
    assert provider.last.headers["tracestate"] == "a=1"
    ask(gateway)
    assert "traceparent" not in provider.last.headers
    assert "tollway_trace_" not in httpx.get(gateway.url + "/metrics").text
    gateway.stop(signal.SIGKILL)
