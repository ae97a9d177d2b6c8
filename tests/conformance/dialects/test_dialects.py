"""One suite over every dialect: what `gateway.seams.Dialect` and `StreamReader` promise, whoever implements them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import OPERATIONS, for_operation
from gateway.errors import BadRequest, UpstreamBroken
from gateway.facts import Operation, Reading, Segment
from gateway.operations import accept
from gateway.seams import Dialect

PATHS = {
    "chat.completions": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "moderations": "/v1/moderations",
    "messages": "/v1/messages",
    "messages.count_tokens": "/v1/messages/count_tokens",
}
STREAMS = {"chat.completions", "completions", "responses", "messages"}
ASKS_USAGE = {"chat.completions", "completions"}

few = settings(max_examples=40)
every = pytest.mark.parametrize("name", OPERATIONS)


def parts(name: str) -> tuple[Operation, Dialect]:
    return accept("POST", PATHS[name]), for_operation(name)


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def words(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


def refusal_of(operation: Operation, dialect: Dialect, body: bytes) -> BadRequest | None:
    try:
        dialect.read(operation, body)
    except BadRequest as refusal:
        return refusal
    return None


def test_every_operation_that_reads_its_body_has_a_dialect():
    assert set(OPERATIONS) == set(PATHS)
    assert {accept("POST", path).name for path in PATHS.values()} == set(OPERATIONS)
    for name in ("models", "passthrough", ""):
        with pytest.raises(KeyError):
            for_operation(name)


# --- read -----------------------------------------------------------------------------------------------------------


@every
def test_reads_the_model_and_nothing_it_need_not(name: str):
    operation, dialect = parts(name)
    assert dialect.read(operation, dump({"model": "m/x", "unknown": {"deep": [1]}})) == Reading(model="m/x")


@every
def test_stream_is_read_where_there_are_streams(name: str):
    operation, dialect = parts(name)
    for stream in (True, False, None):
        reading = dialect.read(operation, dump({"model": "m", "stream": stream}))
        assert reading.stream == (stream is True and name in STREAMS)


@every
@pytest.mark.parametrize("model", [1, True, [], {}, "", "a\n", "x" * 257])
def test_a_wrong_model_is_refused_by_name(name: str, model: object):
    operation, dialect = parts(name)
    with pytest.raises(BadRequest) as caught:
        dialect.read(operation, dump({"model": model}))
    assert caught.value.param == "model"


@every
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"model":"m"}}', b'{"model":"a","model":"a"}'])
def test_what_is_no_single_object_is_refused(name: str, body: bytes):
    operation, dialect = parts(name)
    with pytest.raises(BadRequest):
        dialect.read(operation, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
known = words(
    "model stream stream_options max_tokens max_completion_tokens max_output_tokens n best_of prompt service_tier "
    "messages input system tools instructions content choices output usage"
)
requests = st.dictionaries(known | st.text(max_size=5), json_values, max_size=8)
anything = requests.map(dump) | st.binary(max_size=40) | json_values.map(dump)


@every
@few
@given(body=anything)
def test_any_body_is_read_or_refused(name: str, body: bytes):
    operation, dialect = parts(name)
    if refusal_of(operation, dialect, body) is not None:
        return
    reading = dialect.read(operation, body)
    assert reading.model.isprintable()
    assert 1 <= len(reading.model) <= 256
    assert reading.choices >= 1
    assert reading.max_output_tokens is None or reading.max_output_tokens >= 0
    assert isinstance(json.loads(body), dict)


@every
@few
@given(secret=st.text("abcdefghijklmnop", min_size=12, max_size=20), place=known)
def test_no_refusal_repeats_content(name: str, secret: str, place: str):
    operation, dialect = parts(name)
    for body in (dump({"model": "m", place: [secret]}), dump({"model": "m", place: secret})[:-1], dump(secret)):
        refusal = refusal_of(operation, dialect, body)
        assert refusal is None or secret not in refusal.message


# --- rewrite --------------------------------------------------------------------------------------------------------

valid = st.fixed_dictionaries(
    {"model": st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)},
    optional={
        "stream": st.booleans() | st.none(),
        "stream_options": st.none()
        | st.dictionaries(st.sampled_from(["a b", "include_obfuscation"]), json_values, max_size=2)
        | st.fixed_dictionaries({"include_usage": st.booleans() | st.none()}),
        "temperature": st.floats(allow_nan=False, allow_infinity=False),
        "seed": st.integers(),
        "messages": json_values,
        "a b": json_values,
        'model"': json_values,
    },
)
layouts = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:")])


@every
@few
@given(fields=valid, layout=layouts, model=st.text(min_size=1, max_size=8), ascii_only=st.booleans(), data=st.data())
def test_rewriting_changes_the_model_and_the_asking_for_usage_and_nothing_else(
    name: str, fields: dict[str, Any], layout: tuple[str, str], model: str, ascii_only: bool, data: st.DataObject
):
    operation, dialect = parts(name)
    order = data.draw(st.permutations(list(fields)))
    fields = {key: fields[key] for key in order}
    body = json.dumps(fields, separators=layout, ensure_ascii=ascii_only).encode("utf-8", "replace")
    before = json.loads(body)
    model = model.encode("utf-8", "replace").decode()
    reading = dialect.read(operation, body)
    after = json.loads(dialect.rewrite(reading, body, model))
    assert after.pop("model") == model
    before.pop("model")
    if name in ASKS_USAGE and reading.stream and not reading.wants_usage_event:
        assert after.pop("stream_options") == {**(before.pop("stream_options", None) or {}), "include_usage": True}
    assert json.dumps(after) == json.dumps(before)


@every
@few
@given(fields=valid)
def test_what_need_not_change_is_the_same_object(name: str, fields: dict[str, Any]):
    operation, dialect = parts(name)
    body = dump({**fields, "stream": False})
    assert dialect.rewrite(dialect.read(operation, body), body, fields["model"]) is body
    asked = dump({**fields, "stream": True, "stream_options": {"include_usage": True}})
    assert dialect.rewrite(dialect.read(operation, asked), asked, fields["model"]) is asked


@every
@few
@given(fields=valid)
def test_usage_is_not_asked_of_who_cannot_tell(name: str, fields: dict[str, Any]):
    operation, dialect = parts(name)
    body = dump({**fields, "stream": True})
    assert dialect.rewrite(dialect.read(operation, body), body, fields["model"], False) is body


@every
def test_numbers_and_layout_survive_to_the_byte(name: str):
    operation, dialect = parts(name)
    body = b'{ "big" : 123456789012345678901234567890,\n "f": 0.1000000000000000055511151231257827, "model" : "a" }\n'
    assert dialect.rewrite(dialect.read(operation, body), body, "b") == body.replace(b'"a"', b'"b"')


@every
def test_a_rewritten_body_is_read_with_the_new_model(name: str):
    operation, dialect = parts(name)
    body = dump({"model": "a", "stream": True, "max_tokens": 3})
    reading = dialect.read(operation, body)
    again = dialect.read(operation, dialect.rewrite(reading, body, 'new "é" \\ model'))
    assert again.model == 'new "é" \\ model'
    assert (again.stream, again.max_output_tokens) == (reading.stream, reading.max_output_tokens)


# --- answers --------------------------------------------------------------------------------------------------------


@every
@few
@given(body=anything)
def test_usage_of_any_bytes_never_raises(name: str, body: bytes):
    usage, tier = for_operation(name).usage(body)
    assert usage is None or usage.input_tokens >= 0
    assert tier is None or isinstance(tier, str)


@every
@few
@given(body=anything)
def test_segments_of_any_bytes_are_text_or_a_refusal(name: str, body: bytes):
    dialect = for_operation(name)
    found: list[Segment] = []
    try:
        found += dialect.prompt_segments(body)
    except BadRequest:
        with pytest.raises((ValueError, AssertionError)):
            assert isinstance(json.loads(body), dict)
    try:
        found += dialect.answer_segments(body)
    except UpstreamBroken:
        with pytest.raises(ValueError):  # noqa: PT011
            json.loads(body)
    for segment in found:
        assert segment.text
        assert segment.role in ("system", "user", "assistant", "tool", "input", "output")
        (segment.path + segment.text).encode()


@every
def test_segments_of_whatever_was_read_can_be_listed(name: str):
    operation, dialect = parts(name)
    depth = 300
    body = b'{"model":"m","x":' + b"[" * depth + b'"deep"' + b"]" * depth + b"}"
    dialect.read(operation, body)
    assert [segment.text for segment in dialect.prompt_segments(body)] == ["deep"]


# --- streams --------------------------------------------------------------------------------------------------------

keys = words(
    "type delta text content choices index finish_reason usage error message response content_block tool_calls "
    "function arguments input partial_json thinking service_tier audio custom transcript prompt_tokens "
    "completion_tokens input_tokens output_tokens"
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(math.pi) | st.text(max_size=5) | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)
event_names = st.sampled_from(
    [b"", b"error", b"message_start", b"message_stop", b"response.completed", b"response.output_text.delta", b"\xff"]
)
events = st.tuples(event_names, values.map(dump) | st.binary(max_size=20) | st.just(b"[DONE]"))


@every
@few
@given(stream=st.lists(events, max_size=8), wants=st.booleans(), choices=st.integers(1, 3))
def test_a_reader_takes_any_events_and_never_raises(
    name: str, stream: list[tuple[bytes, bytes]], wants: bool, choices: int
):
    reader = for_operation(name).stream(Reading(model="m", stream=True, wants_usage_event=wants, choices=choices))
    finished = False
    for event, data in stream:
        passed = reader.event(event, data)
        assert passed or (not wants and reader.usage is not None)
        assert reader.finished >= finished
        finished = reader.finished
    reader.text().encode("utf-8", "surrogatepass")
    assert reader.service_tier is None or isinstance(reader.service_tier, str)


@every
def test_done_finishes_where_streams_end_so(name: str):
    reader = for_operation(name).stream(Reading(model="m", stream=True))
    assert not reader.finished
    assert not reader.failed
    assert reader.usage is None
    assert reader.text() == ""
    assert reader.event(b"", b"[DONE]")
    assert reader.finished == (name != "messages")


@every
def test_readers_share_nothing(name: str):
    dialect = for_operation(name)
    first, second = (dialect.stream(Reading(model="m", stream=True)) for _ in range(2))
    first.event(b"", b"[DONE]")
    first.event(b"message_stop", b'{"type":"message_stop"}')
    assert first.finished
    assert not second.finished
