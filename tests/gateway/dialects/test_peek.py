"""The model of a body that is not read."""

import json
import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.dialects.peek import find_models

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)
JSON = b"application/json"


def names(body: bytes) -> list[str]:
    return [found.model for found in find_models(JSON, body)]


@given(model=NAMES, prompt=st.text(max_size=80), other=NAMES)
def test_a_json_model_is_found_and_replaced_and_nothing_else_changes(model: str, prompt: str, other: str) -> None:
    body = json.dumps({"prompt": prompt, "model": model, "n": 1}).encode()
    [found] = find_models(b"application/json; charset=utf-8", body)
    assert found.model == model
    assert json.loads(found.replaced(body, other)) == {"prompt": prompt, "model": other, "n": 1}


def test_a_prompt_that_quotes_a_body_is_not_mistaken_for_it() -> None:
    assert names(json.dumps({"prompt": '{"model": "evil"}', "model": "good"}).encode()) == ["good"]


def test_a_model_within_does_not_stand_for_the_body_s_own() -> None:
    assert names(b'{"metadata":{"model":"allowed"},"list":[{"model":"allowed"}],"model":"dear"}') == ["dear"]


def test_every_model_that_a_reader_could_take_is_named() -> None:
    """RFC 8259: names within an object SHOULD be unique; readers differ in which of two they take. Any character may
    be escaped."""
    assert names(b'{"model":"a", "mod\\u0065l" : "b", "other": {"model":"c"}}') == ["a", "b"]


def test_all_requests_of_a_batch_name_theirs() -> None:
    body = json.dumps({"requests": [{"custom_id": n, "params": {"model": n, "max_tokens": 1}} for n in "abc"]}).encode()
    assert names(body) == ["a", "b", "c"]
    for found in reversed(find_models(JSON, body)):
        body = found.replaced(body, "longer-" + found.model)
    assert names(body) == ["longer-a", "longer-b", "longer-c"]


def test_the_beginning_of_a_body_is_enough() -> None:
    assert names(b'{"model":"a","input":"cut in a str') == ["a"]
    assert names(b'{"model":"cut in its na') == []


def test_a_form_field_is_found_and_replaced() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    tail = b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\xff'
    [found] = find_models(b"multipart/form-data; boundary=b", head + b"whisper-1" + tail)
    assert found.model == "whisper-1"
    assert found.replaced(head + b"whisper-1" + tail, "big") == head + b"big" + tail


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([b'"model"', b":", b'"', b"\\", b"{", b"}", b"["])).map(b"".join)
)
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    find_models(JSON, body)
    find_models(b"multipart/form-data", body)


def test_other_kinds_name_no_model() -> None:
    assert find_models(b"audio/wav", b'"model": "x"') == []


def test_a_string_that_does_not_end_is_gone_through_once() -> None:
    """ "Else every quote in it would be tried as a beginning": that would take this test half an hour."""
    assert names(b'{"model":"a","prompt":"' + b'\\"' * 300_000) == ["a"]


PLAIN = b"multipart/form-data; boundary=b"
OLD = re.compile(rb'name="?model"?[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,512})\r\n', re.IGNORECASE)
STRICTER = re.compile(rb'[\w*-]name="?model|name="?model"?\w', re.IGNORECASE)
PARTS = [b'name="model"', b"name=model", b"NAME=model", b"\r\n", b"\r\n", b"\r\n\r\n", b"\r", b"\n", b"v", b"; x=y "]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PARTS), max_size=24).map(b"".join))
def test_a_form_field_is_the_first_line_below_a_head_with_its_name(body: bytes) -> None:
    """One expression says it, but goes through the rest of the body for each line that has the name."""
    assume(not STRICTER.search(body))
    old = OLD.search(body)
    found = [(each.model.encode(), each.start) for each in find_models(PLAIN, body)]
    assert found == ([(old[1], old.start(1))] if old else [])


def test_many_heads_without_an_end_are_gone_through_once() -> None:
    """Quadratic, this would take minutes."""
    assert find_models(PLAIN, b"name=model\r\n" * 200_000) == []


def test_a_file_whose_name_is_model_names_none() -> None:
    """Its first line was taken for the model, and rewritten."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\n'
    assert find_models(PLAIN, head + b"first line\r\n--b--") == []
    assert find_models(PLAIN, head.replace(b'"model"', b'"model.bin"') + b"first line\r\n--b--") == []
    assert find_models(PLAIN, head.replace(b'"file"', b'"models"') + b"first line\r\n--b--") == []
