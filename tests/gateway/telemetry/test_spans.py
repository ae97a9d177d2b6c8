"""What each span says: every attribute of every kind of exchange, from the notebook alone."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import (
    ALLOWED,
    Attempt,
    Caller,
    Content,
    Cost,
    Exchange,
    Operation,
    Reading,
    TraceParent,
    Usage,
    Verdict,
)
from gateway.telemetry.semconv import names_of
from gateway.telemetry.span import CLIENT, INTERNAL, SERVER, Span
from gateway.telemetry.spans import MAX_GUARDRAILS, Memo, Peer, reload_span, spans_of
from guardrails.interface import Failure, Finding, RuleResult, Segment

ID = "0193b1f0-5e2a-7c3d-9e4f-5a6b7c8d9e0f"
TRACE, ROOT = ID.replace("-", ""), 0x9E4F5A6B7C8D9E0F
RECEIVED = 1_700_000_000_000_000_000
CHAT = Operation("chat.completions", "openai", path="/chat/completions")
PEERS = {"main": Peer("openai", "api.openai.com", 443), "spare": Peer("anthropic", "api.anthropic.com", 443)}
V1_41, LATEST = names_of("v1_41"), names_of("latest")
ALL_TOKENS = Usage(
    input_tokens=1000, output_tokens=200, cache_read_tokens=300, cache_write_5m_tokens=40, cache_write_1h_tokens=2,
    reasoning_tokens=50, input_audio_tokens=7, cache_read_audio_tokens=3, output_audio_tokens=8, input_image_tokens=9,
    output_image_tokens=10, cache_read_image_tokens=4,
)  # fmt: skip


def exchange(**changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "id": ID,
        "request_id": ID,
        "received_ns": RECEIVED,
        "received_at": 100.0,
        "operation": CHAT,
        "caller": Caller(key_id="search-dev", team="search"),
        "reading": Reading(model="fast"),
        "attempts": [Attempt(provider="main", model="gpt-4o", status=200, seconds=0.5)],
        "provider": "main",
        "model": "gpt-4o",
        "status": 200,
        "outcome": "ok",
        "usage": Usage(input_tokens=100, output_tokens=20),
        "cost": Cost(nanos=1500, price_version="genai-prices/1"),
        "committed": True,
        "read_at": 100.25,
        "forwarded_at": 100.5,
        "headers_at": 101.0,
        "first_byte_at": 101.25,
        "finished_at": 101.5,
    }
    return Exchange(**{**fields, **changes})


def said(span: Span) -> dict[str, Any]:
    """Its attributes; none is there twice."""
    assert len(dict(span.attributes)) == len(span.attributes)
    return dict(span.attributes)


def ns(at: float) -> int:
    return RECEIVED + round((at - 100.0) * 1e9)


def test_a_unary_exchange() -> None:
    root, attempt = spans_of(exchange(), V1_41, PEERS)
    assert (root.name, root.kind, root.trace_id, root.span_id, root.parent_id) == ("chat fast", CLIENT, TRACE, ROOT, 0)
    assert (root.start_ns, root.end_ns, root.failed, root.remote, root.events) == (ns(100), ns(101.5), False, False, [])
    assert said(root) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "fast",
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "server.address": "api.openai.com",
        "server.port": 443,
        "tollway.exchange.id": ID,
        "tollway.operation": "chat.completions",
        "tollway.team": "search",
        "tollway.key.id": "search-dev",
        "tollway.outcome": "ok",
        "tollway.status": 200,
        "tollway.provider": "main",
        "tollway.attempts": 1,
        "tollway.cost.nano_usd": 1500,
        "tollway.price.version": "genai-prices/1",
        "tollway.stage.admit": 0.25,
        "tollway.stage.prepare": 0.25,
        "tollway.stage.upstream": 0.5,
        "tollway.stage.first": 0.25,
        "tollway.stage.deliver": 0.25,
    }
    assert (attempt.name, attempt.kind, attempt.parent_id, attempt.span_id) == ("upstream main", CLIENT, ROOT, ROOT + 1)
    assert (attempt.start_ns, attempt.end_ns, attempt.failed) == (ns(100.5), ns(101), False)
    assert said(attempt) == {
        "tollway.provider": "main",
        "tollway.model": "gpt-4o",
        "tollway.attempt": 1,
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "api.openai.com",
        "server.port": 443,
    }


def test_a_stream_that_was_answered_by_an_error_has_no_first_chunk() -> None:
    x = exchange(reading=Reading(model="fast", stream=True), events=0, status=500, outcome="upstream_status")
    root, *_ = spans_of(x, V1_41, PEERS)
    assert "gen_ai.response.time_to_first_chunk" not in said(root)
    assert list(root.events) == []


def test_a_stream_tells_its_first_token_and_lasts_to_its_end() -> None:
    reading = Reading(model="fast", stream=True, max_output_tokens=64, choices=3, service_tier="flex")
    x = exchange(reading=reading, events=7, service_tier="default", request_id="client-7", usage_estimated=True)
    root, attempt = spans_of(x, V1_41, PEERS)
    fields = said(root)
    assert fields["gen_ai.request.stream"] is True
    assert fields["gen_ai.response.time_to_first_chunk"] == 1.25
    assert (fields["gen_ai.request.max_tokens"], fields["gen_ai.request.choice.count"]) == (64, 3)
    assert (fields["openai.request.service_tier"], fields["openai.response.service_tier"]) == ("flex", "default")
    assert (fields["tollway.request.id"], fields["tollway.stream.events"]) == ("client-7", 7)
    assert fields["tollway.usage.estimated"] is True
    assert [(event.name, event.at_ns) for event in root.events] == [("first_token", ns(101.25))]
    assert attempt.end_ns == root.end_ns


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (V1_41, {"cache_read.input_tokens": 300, "cache_creation.input_tokens": 42, "reasoning.output_tokens": 50}),
        (
            LATEST,
            {
                "cache_read.input_tokens": 300, "cache_write.input_tokens": 42, "reasoning.output_tokens": 50,
                "audio.input_tokens": 7, "audio.output_tokens": 8, "audio.cache_read.input_tokens": 3,
                "image.input_tokens": 9, "image.output_tokens": 10, "image.cache_read.input_tokens": 4,
            },
        ),
    ],
)  # fmt: skip
def test_tokens_in_each_version(names: Any, expected: dict[str, int]) -> None:
    fields = said(spans_of(exchange(usage=ALL_TOKENS), names, PEERS)[0])
    tokens = {name.removeprefix("gen_ai.usage."): v for name, v in fields.items() if name.startswith("gen_ai.usage.")}
    assert tokens == {"input_tokens": 1000, "output_tokens": 200, **expected}


def test_both_versions_at_one_time() -> None:
    fields = said(spans_of(exchange(usage=ALL_TOKENS), names_of("both"), PEERS)[0])
    assert fields["gen_ai.usage.cache_creation.input_tokens"] == fields["gen_ai.usage.cache_write.input_tokens"] == 42


def test_retry_and_fallback() -> None:
    attempts = [
        Attempt(provider="main", model="gpt-4o", status=503, seconds=0.1),
        Attempt(provider="main", model="gpt-4o", error="ConnectTimeout", seconds=0.2),
        Attempt(provider="spare", model="claude", status=200, seconds=0.3),
    ]
    x = exchange(attempts=attempts, failed_at=[100.1, 100.3], forwarded_at=100.6, provider="spare", model="claude")
    root, first, second, third = spans_of(x, V1_41, PEERS)
    assert said(root)["gen_ai.provider.name"] == "anthropic"
    assert "error.type" not in said(root)
    assert [(event.name, event.at_ns) for event in root.events] == [("retry", ns(100.3)), ("fallback", ns(100.6))]
    assert dict(root.events[0].attributes)["error.type"] == "503"
    assert dict(root.events[1].attributes) == {
        "tollway.provider": "spare", "tollway.model": "claude", "tollway.attempt": 3, "error.type": "ConnectTimeout",
    }  # fmt: skip
    assert [(span.start_ns, span.end_ns, span.failed) for span in (first, second, third)] == [
        (ns(100.1), ns(100.2), True),
        (ns(100.3), ns(100.5), True),
        (ns(100.6), ns(100.9), False),
    ]
    assert [said(span).get("http.request.resend_count") for span in (first, second, third)] == [None, 1, 2]
    assert [said(span).get("error.type") for span in (first, second, third)] == ["503", "ConnectTimeout", None]
    assert "http.response.status_code" not in said(second)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"outcome": "refused", "status": 401, "attempts": None}, "401"),
        ({"outcome": "blocked", "status": 400, "attempts": None}, "content_filter"),
        ({"outcome": "blocked", "status": 200}, "content_filter"),
        ({"outcome": "blocked", "status": 503, "attempts": None}, "503"),
        ({"outcome": "upstream_status", "status": 429}, "429"),
        ({"outcome": "upstream_error", "status": 502}, "502"),
        (
            {
                "outcome": "upstream_timeout",
                "status": 504,
                "attempts": [Attempt(provider="main", model="m", error="HeaderTimeout")],
            },
            "HeaderTimeout",
        ),
        ({"outcome": "error", "status": 500}, "500"),
        ({"outcome": "shutdown", "status": 200}, "shutdown"),
        ({"outcome": "cut", "status": 200}, "cut"),
        ({"outcome": "client_left", "status": 499}, None),
    ],
)
def test_what_went_wrong_is_one_word(changes: dict[str, Any], error: str | None) -> None:
    root = spans_of(exchange(**changes), V1_41, PEERS)[0]
    assert said(root).get("error.type") == error
    assert root.failed == (error is not None)


def test_who_is_not_known_has_no_team() -> None:
    x = Exchange(ID, "mine", RECEIVED, 100.0, CHAT, status=401, outcome="refused", finished_at=100.001)
    (root,) = spans_of(x, V1_41, PEERS)
    assert root.name == "chat"
    assert said(root) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "error.type": "401",
        "tollway.exchange.id": ID,
        "tollway.request.id": "mine",
        "tollway.operation": "chat.completions",
        "tollway.outcome": "refused",
        "tollway.status": 401,
    }


def test_operations_the_conventions_do_not_know() -> None:
    files = Operation("passthrough", "openai", reads_body=False)
    root, attempt = spans_of(exchange(operation=files, reading=None, model="", usage=None), V1_41, PEERS)
    assert (root.name, root.kind) == ("passthrough", CLIENT)
    assert "gen_ai.operation.name" not in said(root)
    assert "http.request.method" not in said(attempt)
    models = exchange(operation=Operation("models", "openai"), reading=None, attempts=None, provider="", model="")
    assert [(span.name, span.kind) for span in spans_of(models, V1_41, PEERS)] == [("models", SERVER)]
    nowhere = exchange(operation=None, reading=None, attempts=None, provider="", model="", outcome="refused")
    assert [(span.name, span.kind) for span in spans_of(nowhere, V1_41, PEERS)] == [("request", SERVER)]


def test_a_callers_trace() -> None:
    x = exchange(parent=TraceParent("ab" * 16, "cd" * 8, 3, "a=1"))
    root, attempt = spans_of(x, V1_41, PEERS)
    assert (root.trace_id, root.parent_id, root.remote) == ("ab" * 16, 0xCDCDCDCDCDCDCDCD, True)
    assert (attempt.trace_id, attempt.parent_id, attempt.remote) == ("ab" * 16, root.span_id, False)
    assert {(span.state, span.flags) for span in (root, attempt)} == {("a=1", 3)}
    assert said(root)["tollway.exchange.id"] == ID


def verdict() -> Verdict:
    finding = Finding("EMAIL_ADDRESS", "messages[0].content", 3, 20, 1.0, "pii.email")
    return Verdict(
        action="block",
        enforced="mask",
        findings=(finding,),
        results=(
            RuleResult("mask-mail", "standard", "enforce", "mask", ("EMAIL_ADDRESS",), 2),
            RuleResult("no-cards", "standard", "shadow", "block", ("CREDIT_CARD",), 1),
        ),
        rewrites=(Segment("messages[0].content", "user", "canary in a rewritten text"),),
        failures=(Failure("lakera", "ConnectTimeout", ("no-attacks",), True),),
    )


def test_guardrails_tell_verdict_and_enforcement_apart() -> None:
    x = exchange(request_verdict=verdict())
    masked, shadowed, failed = spans_of(x, V1_41, PEERS)[2:]
    assert said(masked) == {
        "tollway.guardrail.rule": "mask-mail",
        "tollway.guardrail.policy": "standard",
        "tollway.guardrail.direction": "request",
        "tollway.guardrail.mode": "enforce",
        "tollway.guardrail.verdict": "mask",
        "tollway.guardrail.enforced": "mask",
        "tollway.guardrail.types": ("EMAIL_ADDRESS",),
        "tollway.guardrail.findings": 2,
    }
    assert (said(shadowed)["tollway.guardrail.verdict"], said(shadowed)["tollway.guardrail.enforced"]) == (
        "block",
        "allow",
    )
    assert said(failed) == {
        "tollway.guardrail.detector": "lakera",
        "tollway.guardrail.direction": "request",
        "tollway.guardrail.rules": ("no-attacks",),
        "tollway.guardrail.enforced": "block",
        "error.type": "ConnectTimeout",
    }
    assert [span.name for span in (masked, shadowed, failed)] == [
        "guardrail mask-mail", "guardrail no-cards", "guardrail lakera",
    ]  # fmt: skip
    assert {(span.kind, span.parent_id, span.start_ns, span.end_ns) for span in (masked, shadowed, failed)} == {
        (INTERNAL, ROOT, ns(100.25), ns(100.5))
    }
    assert [span.failed for span in (masked, shadowed, failed)] == [False, False, True]
    assert "canary" not in repr(spans_of(x, V1_41, PEERS))


def test_guardrails_on_answers_and_on_blocked_requests() -> None:
    answer = spans_of(exchange(response_verdict=verdict()), V1_41, PEERS)[2]
    assert (answer.start_ns, answer.end_ns) == (ns(101), ns(101.25))
    stream = spans_of(exchange(response_verdict=verdict(), reading=Reading(model="m", stream=True)), V1_41, PEERS)[2]
    assert (stream.start_ns, stream.end_ns) == (ns(101), ns(101.5))
    blocked = exchange(
        request_verdict=verdict(), outcome="blocked", attempts=None, forwarded_at=0.0, headers_at=0.0, first_byte_at=0.0
    )
    request = spans_of(blocked, V1_41, PEERS)[1]
    assert (request.start_ns, request.end_ns) == (ns(100.25), ns(101.5))


def test_there_is_an_end_to_guardrail_spans() -> None:
    result = RuleResult("r", "p", "shadow", "flag", ("T",), 1)
    many = Verdict(action="flag", results=(result,) * 100)
    spans = spans_of(exchange(request_verdict=many, response_verdict=many), V1_41, PEERS)
    assert len(spans) == 2 + MAX_GUARDRAILS
    assert len({span.span_id for span in spans}) == len(spans)


def test_a_reload() -> None:
    span = reload_span(ID, RECEIVED, False, "SIGHUP", "abc", 3)
    assert (span.name, span.kind, span.trace_id, span.parent_id, span.failed) == (
        "config reload",
        INTERNAL,
        TRACE,
        0,
        True,
    )
    assert said(span) == {
        "tollway.config.reload.reason": "SIGHUP", "tollway.config.hash": "abc", "tollway.config.changed": 3,
    }  # fmt: skip


moments = st.floats(0, 1e9)
names = st.text(max_size=300)
attempts = st.builds(
    Attempt,
    provider=st.sampled_from(["main", "spare", "gone"]),
    model=names,
    status=st.integers(0, 599),
    error=st.sampled_from(["", "ConnectFailed"]),
    seconds=st.floats(0, 1e6),
)
exchanges = st.builds(
    Exchange,
    id=st.just(ID),
    request_id=names,
    received_ns=st.just(RECEIVED),
    received_at=moments,
    operation=st.none() | st.just(CHAT),
    caller=st.none() | st.just(Caller(key_id="k", team="t")),
    reading=st.none() | st.builds(Reading, model=names, stream=st.booleans(), choices=st.integers(0, 9)),
    attempts=st.none() | st.lists(attempts, max_size=5),
    failed_at=st.none() | st.lists(moments, max_size=5),
    outcome=st.sampled_from(["ok", "refused", "blocked", "upstream_error", "client_left", "error"]),
    status=st.integers(0, 599),
    model=names,
    usage=st.none() | st.just(ALL_TOKENS),
    request_verdict=st.sampled_from([ALLOWED, verdict()]),
    response_verdict=st.sampled_from([ALLOWED, verdict()]),
    committed=st.booleans(),
    events=st.integers(0, 9),
    **dict.fromkeys(("read_at", "forwarded_at", "headers_at", "first_byte_at", "finished_at"), moments),
)


@given(exchanges)
def test_any_notebook_makes_spans(x: Exchange) -> None:
    """Whatever an exchange ended as: one span of its own, first; every other below it; none ends before it begins; ids
    differ; no attribute twice."""
    spans = spans_of(x, names_of("both"), PEERS)
    root = spans[0]
    assert all(span.parent_id == root.span_id and span.trace_id == root.trace_id for span in spans[1:])
    assert len({span.span_id for span in spans}) == len(spans)
    assert all(RECEIVED <= span.start_ns <= span.end_ns for span in spans)
    for span in spans:
        assert "canary" not in repr(said(span))


def test_the_page_names_every_attribute() -> None:
    """`docs/traces.md` says what is in a span: everything that can be, and nothing else of ours."""
    page = (Path(__file__).parents[3] / "docs" / "traces.md").read_text("utf-8")
    page = page.replace("`server.drain`", "")
    named = set(re.findall(r"`((?:gen_ai|openai|tollway|http|server|error)\.[a-z0-9_.]+)`", page))
    failing = Attempt(provider="main", model="gpt-4o", error="ConnectTimeout", seconds=0.1)
    served = Attempt(provider="main", model="gpt-4o", status=200, seconds=0.1)
    reading = Reading(model="fast", stream=True, max_output_tokens=64, choices=3, service_tier="flex")
    x = exchange(
        request_id="mine", reading=reading, service_tier="flex", usage=ALL_TOKENS, usage_estimated=True, events=3,
        attempts=[failing, served], failed_at=[100.4], request_verdict=verdict(), outcome="error",
    )  # fmt: skip
    spans = [*spans_of(x, names_of("both"), PEERS), reload_span(ID, 0, True, "r", "h", 0)]
    emitted = {name for span in spans for name, _ in span.attributes}
    emitted |= {name for span in spans for event in span.events for name, _ in event.attributes}
    body = b'{"system": "be kind", "messages": [{"role": "user", "content": "hello there"}]}'
    said_there = exchange(
        content=Content(body, 1, True, None, b'{"content": "fine"}'), operation=Operation("messages", "openai")
    )
    blocked = exchange(content=Content(body, 1, True), outcome="blocked")
    emitted |= {name for each in (said_there, blocked) for name, _ in spans_of(each, V1_41, PEERS)[0].attributes}
    assert named == emitted


@given(st.lists(exchanges, max_size=6))
def test_a_memo_changes_nothing(xs: list[Exchange]) -> None:
    """What is remembered is keyed by all that it was made of."""
    memo: Memo = {}
    for x in [*xs, *xs]:
        for names in (V1_41, LATEST):
            for one, other in zip(spans_of(x, names, PEERS, memo), spans_of(x, names, PEERS), strict=True):
                assert one.attributes == other.attributes
                assert (one.name, one.span_id, one.events) == (other.name, other.span_id, other.events)
