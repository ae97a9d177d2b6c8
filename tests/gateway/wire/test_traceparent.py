"""W3C Trace Context: what is read of a caller's fields, and what goes to a provider."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.clock import Ids
from gateway.facts import Exchange, TraceParent
from gateway.wire.traceparent import (
    GUARDRAIL_SPANS,
    chance_of,
    encode_traceparent,
    parse_traceparent,
    parse_tracestate,
    read_parent,
    span_id_of,
    trace_id_of,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
WHOLE = f"00-{TRACE}-{SPAN}-01".encode()
HEX = "0123456789abcdef"
hexes = st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
span_ids = st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0"))
flags = st.integers(0, 255)
keys = st.from_regex(r"[a-z][a-z0-9_*/-]{0,20}|[a-z0-9][a-z0-9_*/-]{0,20}@[a-z][a-z0-9_*/-]{0,13}", fullmatch=True)
values = st.from_regex(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,20}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", fullmatch=True)


def exchange(parent: TraceParent | None = None) -> Exchange:
    id_ = Ids().uuid7(1_700_000_000_000_000_000)
    return Exchange(id_, id_, 0, 0.0, parent=parent)


@given(hexes, span_ids, flags)
def test_a_valid_traceparent_is_read(trace_id: str, span_id: str, bits: int) -> None:
    """`version "-" trace-id "-" parent-id "-" trace-flags`, section 3.2; only known flags are kept."""
    found = parse_traceparent(f"00-{trace_id}-{span_id}-{bits:02x}".encode())
    assert found == TraceParent(trace_id, span_id, bits & 3)
    assert found.sampled == (bits % 2 == 1)


@given(
    st.binary(max_size=70)
    | st.builds(lambda at, byte: WHOLE[:at] + byte + WHOLE[at + 1 :], st.integers(0, 55), st.binary(max_size=2))
)
@example(b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01")
@example(f"00-{TRACE}-{'0' * 16}-01".encode())
@example(f"ff-{TRACE}-{SPAN}-01".encode())
@example(f"00-{TRACE}-{SPAN}-01-more".encode())
@example(f"00-{TRACE.upper()}-{SPAN}-01".encode())
@example(WHOLE + b"\n")
@example(WHOLE[:-1])
@example(b"")
def test_what_is_not_valid_is_not_read(value: bytes) -> None:
    """Rule: "If the vendor failed to parse traceparent, it MUST NOT attempt to parse tracestate" and begins a trace:
    whatever is read has the form and non-zero ids, and whatever has not is None."""
    found = parse_traceparent(value)
    form = re.fullmatch(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*)?", value.strip(b" \t"))
    good = (
        form is not None
        and form[1] != b"ff"
        and (form[1] != b"00" or form[5] is None)
        and set(form[2]) != set(b"0")
        and set(form[3]) != set(b"0")
    )
    assert (found is not None) == good


def test_a_later_version_may_say_more() -> None:
    """Rule: "Vendors MUST parse these fields of a higher version": the first four (section 3.2.4)."""
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings".encode()) == TraceParent(TRACE, SPAN, 1)
    assert parse_traceparent(f"cc-{TRACE}-{SPAN}-01.what".encode()) is None


@given(st.dictionaries(keys, values, max_size=8), st.sampled_from([",", ", ", " ,\t"]))
def test_a_valid_tracestate_goes_on_as_it_is(members: dict[str, str], between: str) -> None:
    """Rule: "Vendors MUST NOT modify" members of others; blanks between them mean nothing (section 3.3.1)."""
    written = [f"{key}={value}" for key, value in members.items()]
    expected = ",".join(member.strip(" ") for member in written)
    assert parse_tracestate(between.join(written).encode()) == (expected if len(expected) <= 512 else "")


@given(st.binary(max_size=80))
def test_a_tracestate_that_goes_on_is_valid(value: bytes) -> None:
    """Rule: "If the vendor failed to parse tracestate, it MUST discard" it: what is left reads as itself."""
    state = parse_tracestate(value)
    assert parse_tracestate(state.encode()) == state
    assert state.isascii()
    assert state.isprintable() or state == ""


@pytest.mark.parametrize(
    "value",
    [b"a=1,a=2", b"A=1", b"a", b"=1", b"a=", b"a=1=2", b"a=\x7f", b"a@b@c=1", b"x" * 257 + b"=1", b"a=" + b"v" * 257,
     ",".join(f"k{n}=v" for n in range(33)).encode(), ",".join(f"k{n}={'v' * 30}" for n in range(20)).encode()],
)  # fmt: skip
def test_a_tracestate_that_is_not_valid_is_dropped(value: bytes) -> None:
    assert parse_tracestate(value) == ""


def test_empty_members_are_allowed() -> None:
    assert parse_tracestate(b"a=1,, ,b=2,") == "a=1,b=2"


def test_fields_of_a_head() -> None:
    state = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    assert read_parent([(b"traceparent", WHOLE), *state]) == TraceParent(TRACE, SPAN, 1, "a=1,b=2")
    assert read_parent([(b"traceparent", WHOLE), (b"tracestate", b"a")]) == TraceParent(TRACE, SPAN, 1)
    assert read_parent([(b"traceparent", WHOLE), (b"traceparent", WHOLE)]) is None
    assert read_parent([(b"traceparent", b"00-x"), *state]) is None
    assert read_parent(state) is None


@given(st.integers(1, 40), st.booleans(), st.none() | st.builds(TraceParent, hexes, span_ids, st.integers(0, 3)))
def test_what_goes_out_can_be_read(attempt: int, sampled: bool, parent: TraceParent | None) -> None:
    """Rule: "The parent-id field MUST be set to a new value with the sampled flag update"; the trace id stays, and so
    do the flags of a caller's trace, which is its decision."""
    x = exchange(parent)
    found = parse_traceparent(encode_traceparent(x, attempt, sampled))
    assert found is not None
    assert found.trace_id == trace_id_of(x)
    assert int(found.span_id, 16) == span_id_of(x, attempt)
    assert found.flags == (int(sampled) if parent is None else parent.flags)
    assert trace_id_of(x).endswith(chance_of(x))


def test_an_own_trace_is_the_exchange_and_its_spans_differ() -> None:
    x = exchange()
    assert trace_id_of(x) == x.id.replace("-", "")
    ids = [span_id_of(x, number) for number in (*range(100), *range(GUARDRAIL_SPANS, GUARDRAIL_SPANS + 100))]
    assert len(set(ids)) == 200
    assert all(0 < id_ < 1 << 64 for id_ in ids)
