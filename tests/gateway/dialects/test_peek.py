import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.peek import find_model

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


@given(model=NAMES, prompt=st.text(max_size=80), other=NAMES)
def test_a_json_model_is_found_and_replaced_and_nothing_else_changes(model: str, prompt: str, other: str) -> None:
    body = json.dumps({"prompt": prompt, "model": model, "n": 1}).encode()
    found = find_model(b"application/json; charset=utf-8", body)
    assert found is not None
    assert found.model == model
    assert json.loads(found.replaced(body, other)) == {"prompt": prompt, "model": other, "n": 1}


def test_a_prompt_that_quotes_a_body_is_not_mistaken_for_it() -> None:
    body = json.dumps({"prompt": '{"model": "evil"}', "model": "good"}).encode()
    assert find_model(b"application/json", body).model == "good"


def test_a_form_field_is_found_and_replaced() -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n'
    tail = b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\x00\xff'
    found = find_model(b"multipart/form-data; boundary=b", head + b"whisper-1" + tail)
    assert found.model == "whisper-1"
    assert found.replaced(head + b"whisper-1" + tail, "big") == head + b"big" + tail


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    find_model(b"application/json", body)
    find_model(b"multipart/form-data", body)


def test_other_kinds_name_no_model() -> None:
    assert find_model(b"audio/wav", b'"model": "x"') is None
