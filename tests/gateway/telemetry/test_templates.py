"""Templates give the bytes that values and their encoding give."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.facts import Attempt, Caller, Cost, Exchange, Operation, Reading, TraceParent, Usage
from gateway.telemetry.otlp import Encoder
from gateway.telemetry.semconv import SEMCONVS, names_of
from gateway.telemetry.spans import Peer, spans_of
from gateway.telemetry.templates import MOST, Templates
from guardrails.interface import Verdict
from tests.gateway.telemetry.test_spans import PEERS, exchange

OTHERS = {"main": Peer("anthropic", "elsewhere", 1), "spare": Peer("", "", 0)}
tokens = st.integers(0, 200) | st.sampled_from([127, 128, 16383, 16384, 2**40])
moments = st.just(0.0) | st.floats(99.0, 200.0)
short = st.sampled_from(["fast", "gpt-4o", "%s%c", "ü\ud800", "m" * 300])
EXCHANGES = st.builds(
    exchange,
    id=st.uuids().map(str),
    request_id=st.uuids().map(str) | st.just("mine"),
    operation=st.sampled_from([Operation("chat.completions", "openai"), Operation("messages", "anthropic")]),
    caller=st.builds(Caller, key_id=short, team=short),
    reading=st.builds(
        Reading, model=short, stream=st.booleans(), max_output_tokens=st.none() | tokens, choices=st.integers(1, 3),
        service_tier=st.sampled_from([None, "flex"]),
    ),
    attempts=st.builds(
        Attempt, provider=st.sampled_from(["main", "spare", "gone"]), model=short, status=st.sampled_from([200, 204]),
        seconds=st.floats(0.0, 10.0),
    ).map(lambda attempt: [attempt]),
    provider=st.sampled_from(["main", "spare", ""]),
    model=short,
    status=st.sampled_from([200, 204]),
    usage=st.builds(
        Usage, input_tokens=tokens, output_tokens=tokens, cache_read_tokens=tokens, reasoning_tokens=tokens,
    ) | st.builds(Usage, input_tokens=tokens, output_tokens=tokens),
    usage_estimated=st.booleans(),
    service_tier=st.sampled_from([None, "default"]),
    cost=st.builds(Cost, nanos=st.none() | tokens, price_version=st.sampled_from(["", "v1"])),
    committed=st.booleans(),
    events=tokens,
    parent=st.none() | st.builds(
        TraceParent, trace_id=st.just("0af7651916cd43dd8448eb211c80319c"), span_id=st.just("b7ad6b7169203331"),
        flags=st.integers(0, 3), state=st.sampled_from(["", "a=1"]),
    ),
    read_at=moments, forwarded_at=moments, headers_at=moments, first_byte_at=moments, finished_at=moments,
)  # fmt: skip


def slow(x: Exchange, encoder: Encoder, semconv: Any, peers: dict[str, Peer]) -> bytes:
    return b"".join([encoder.span(span) for span in spans_of(x, names_of(semconv), peers)])


@given(
    st.lists(st.tuples(EXCHANGES, st.sampled_from([PEERS, OTHERS])), min_size=1, max_size=6), st.sampled_from(SEMCONVS)
)
def test_the_bytes_are_the_same(made: list[tuple[Exchange, dict[str, Peer]]], semconv: Any) -> None:
    """ "a property test holds the bytes of both to be the same": of every ordinary exchange, whatever came before it,
    also when a reload has changed what is known of providers."""
    encoder = Encoder({}, ("tollway", "1"), "")
    templates = Templates(names_of(semconv), encoder)
    for x, peers in made:
        assert templates.encode(x, peers) == slow(x, encoder, semconv, peers)


@pytest.mark.parametrize(
    "changes",
    [
        {"attempts": None},
        {"attempts": [Attempt(provider="main", model="m", status=status) for status in (503, 200)]},
        {"attempts": [Attempt(provider="main", model="m", error="ConnectFailed")]},
        {"outcome": "upstream_status", "attempts": [Attempt(provider="main", model="m", status=404)], "status": 404},
        {"outcome": "client_left"},
        {"usage": None},
        {"caller": None},
        {"reading": None},
        {"operation": None},
        {"id": "short"},
        {"failed_at": [100.2]},
        {"request_verdict": Verdict(action="mask")},
        {"response_verdict": Verdict(action="mask")},
    ],
)  # fmt: skip
def test_what_is_not_ordinary_is_left_to_the_long_way(changes: dict[str, Any]) -> None:
    assert Templates(names_of("v1_41"), Encoder({}, ("t", "1"), "")).encode(exchange(**changes), PEERS) is None


def test_templates_are_bounded() -> None:
    encoder = Encoder({}, ("tollway", "1"), "")
    templates = Templates(names_of("v1_41"), encoder)
    for number in range(MOST + 10):
        templates.encode(exchange(model=f"m{number}"), PEERS)
    assert len(templates._known) <= MOST
