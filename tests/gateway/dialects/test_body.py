"""Request bodies: refusals that say where, names given twice, replacing members without touching the rest."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.dialects import body as body_module
from gateway.dialects.body import MAX_MODEL, checked_model, count, decode_request, replace_members, token_limit
from gateway.errors import BadRequest


class Fields(msgspec.Struct):
    model: str = ""
    n: int | None = None


DECODER = msgspec.json.Decoder(Fields)


def refusal(body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        decode_request(DECODER, body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "too early at byte 1"),
        (b'{"a":"\\ud800"}', "surrogate pair at byte 12"),
        (b'{"a":"\\ud800', "too early at byte 12"),
        (b'{"model": "a"} x', "trailing characters at byte 1"),
        (b'{"model": "a", }', "at byte 1"),
        (b'{"n": NaN}', "byte 6"),
        (b"\xef\xbb\xbf{}", "byte 0"),
        (b'{"a": "\xff"}', "not valid UTF-8"),
        (b'{"model": "\xff"}', "not valid UTF-8"),
        (b"\x1f\x8b\x08\x00", "compressed"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b"[]", "must be a JSON object: expected object, got array"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
    ],
)
def test_what_is_no_object_is_refused_with_its_place(body: bytes, message: str):
    assert message in refusal(body).message


def test_wrong_type_names_the_parameter_and_no_content():
    caught = refusal(b'{"model": "m", "n": "secret"}')
    assert (caught.param, caught.message) == ("n", "Invalid value for 'n': expected int or null, got str.")
    assert refusal(b'{"model": ["secret"]}').message == "Invalid value for 'model': expected str, got array."


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"\\u006dodel":"a","model":"b"}',
        b'{"model": "a", "x": 1, "model": "b"}',
        b'{ "x": 1, "x": 12, "model": "a"}',
        b'{ "x": 12, "x": 1, "model": "a"}',
        b'{"x": {"y": 1, "model": "b"}, "x": 1, "model": "a"}',
        b'{"x":1,"model":"a" , "x":1}',
        b'{"messages":[],"model":"a","messages":[]}',
        b'{"":1,"":1}',
        b'{"a": 1, "a": 1 }',
        b'{"a\\": 2}": 1, "a\\": 2}": 1, "a\\\\": 2}',
    ],
)
def test_a_name_given_twice_is_refused(body: bytes):
    assert "given twice" in refusal(body).message


@pytest.mark.parametrize("pad", range(12))
def test_a_later_value_cannot_pass_for_the_earlier_one(pad: int):
    """Skipping the length of the known value would land on a bracket inside the second one."""
    body = b'{ "a":1,"a":{"x":{}' + b" " * pad + b"}}"
    assert "given twice" in refusal(body).message


@pytest.mark.parametrize("body", [b"{}", b" {\n}\n", b'{"x":{"a":1,"b":{"a":1}},"a":[{"a":1}],"model":"m"}'])
def test_a_name_may_come_again_elsewhere(body: bytes):
    decode_request(DECODER, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["model", "a", "a b", 'q"', "back\\", "é", "", "stream_options", "\x00"]) | st.text(
    st.characters(codec="utf-8"), max_size=5
)
layouts = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: "), (",", ": "), ("\r\n, ", ":")])


@st.composite
def written(draw: st.DrawFn, unique: bool) -> tuple[list[tuple[str, Any]], bytes]:
    """Members, and an object text holding them in some layout and some escaping."""
    pairs = draw(
        st.lists(st.tuples(names, json_values), max_size=6, unique_by=(lambda pair: pair[0]) if unique else None)
    )
    comma, colon = draw(layouts)
    ascii_only = draw(st.booleans())
    items: list[str] = []
    for name, value in pairs:
        key = json.dumps(name, ensure_ascii=ascii_only)
        if name and name[0].isalpha() and draw(st.integers(0, 5)) == 0:
            key = f'"\\u{ord(name[0]):04x}' + json.dumps(name[1:])[1:] if ord(name[0]) < 0x10000 else key
        items.append(key + colon + json.dumps(value, ensure_ascii=ascii_only, separators=(comma, colon)))
    pad = draw(st.sampled_from(["", " ", "\n"]))
    return pairs, f"{pad}{{{pad}{comma.join(items)}{pad}}}{pad}".encode()


class Nothing(msgspec.Struct):
    """No field of interest."""


@given(written(unique=False))
def test_refused_exactly_when_a_name_is_given_twice(case: tuple[list[tuple[str, Any]], bytes]):
    """RFC 8259: "The names within an object SHOULD be unique."."""
    pairs, body = case
    if len({name for name, _ in pairs}) == len(pairs):
        decode_request(msgspec.json.Decoder(Nothing), body)
    else:
        with pytest.raises(BadRequest, match="given twice"):
            decode_request(msgspec.json.Decoder(Nothing), body)


@given(written(unique=True), st.dictionaries(names, json_values, max_size=3))
@example(([("back\\", 1)], b'{"back\\\\": 1}'), {"back\\": 2})
def test_replacing_changes_these_members_and_no_other_byte(
    case: tuple[list[tuple[str, Any]], bytes], changes: dict[str, Any]
):
    pairs, body = case
    texts = {name: json.dumps(value).encode() for name, value in changes.items()}
    after = replace_members(body, texts)
    assert json.loads(after) == {**dict(pairs), **changes}
    kept = [name for name, _ in pairs]
    assert [name for name in json.loads(after) if name in kept] == kept
    raws = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    raws_after = msgspec.json.decode(after, type=dict[str, msgspec.Raw])
    for name, raw in raws.items():
        assert bytes(raws_after[name]) == (texts[name] if name in texts else bytes(raw))
    if all(name in kept for name in changes) or not changes:
        assert len(after) - len(body) == sum(len(texts[name]) - len(bytes(raws[name])) for name in texts)


def test_numbers_survive_to_the_digit():
    body = b'{"big": 123456789012345678901234567890, "exact": 0.10000000000000000001, "e": 1E+2, "model": "a"}'
    assert replace_members(body, {"model": b'"b"'}) == body.replace(b'"a"', b'"b"')


@given(written(unique=True), st.none() | st.dictionaries(names, json_values, max_size=3), layouts)
def test_merging_sets_one_inner_member(
    case: tuple[list[tuple[str, Any]], bytes], inner: dict[str, Any] | None, layout: tuple[str, str]
):
    pairs, body = case
    before = {**dict(pairs), "options": inner}
    body = replace_members(body, {"options": json.dumps(inner, separators=layout).encode()})
    after = replace_members(body, {}, {"options": {"include_usage": b"true"}})
    assert json.loads(after) == {**before, "options": {**(inner or {}), "include_usage": True}}


def test_replacing_in_an_object_with_a_name_twice_is_refused():
    with pytest.raises(BadRequest, match="given twice"):
        replace_members(b'{"model":"a","model":"b"}', {"model": b'"c"'})


@pytest.mark.parametrize("model", ["", "x" * (MAX_MODEL + 1), "a\nb", "a\x00"])
def test_no_model(model: str):
    with pytest.raises(BadRequest, match="model") as caught:
        checked_model(model)
    assert caught.value.param == "model"


def test_a_model_may_be_in_any_script():
    assert checked_model("org/модель-7b:free") == "org/модель-7b:free"


def test_limits():
    assert (token_limit(None, "m"), token_limit(0, "m"), token_limit(10**9, "m")) == (None, 0, 10**9)
    assert (count(None, "n"), count(3, "n")) == (1, 3)
    for bad in (-1, 10**9 + 1, 10**30):
        with pytest.raises(BadRequest, match="'m' must be between 0 and") as caught:
            token_limit(bad, "m")
        assert caught.value.param == "m"
    with pytest.raises(BadRequest, match="'n' must be between 1 and 10000"):
        count(0, "n")


@given(written(unique=False) | written(unique=True))
@example(([], b'{"a": 1, "a": 1}'))
@example(([], b'{"a": 1, "b": {"a": 1, "a": 1}}'))
@example(([], b'{"a": 1, "\\u0061": 1}'))
@example(([], b'{"a": {}, "b": 1 }'))
@example(([], b'{"a": 1, "b": 2}, "c": 3}'))
@example(([], '{"é": 1, "𝄞": "é"}'.encode()))
@example(([], b"{}"))
def test_the_look_at_spaced_bodies_believes_nothing_the_walk_does_not(case: tuple[list[tuple[str, Any]], bytes]):
    """ "Whether the body is exactly these members, with a blank after each colon and comma of theirs": then no name is
    given twice, and what Python's `json.dumps` writes of unique names without escapes is always seen."""
    _, body = case
    try:
        members = body_module._members(body)
    except msgspec.DecodeError:
        return
    if body_module._is_spaced(body, members):
        assert body_module._walk(body, members) is not None
        names = [name for name, _ in json.loads(body, object_pairs_hook=list)]
        assert len(names) == len(set(names))


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters='"\\', min_codepoint=32), max_size=4), json_values
    )
)
def test_what_python_writes_is_seen_to_be_spaced(value: dict[str, Any]):
    body = json.dumps(value).replace("\x7f", "\\u007f").encode()
    members = body_module._members(body)
    assert body_module._is_spaced(body, members) == (not any("\x7f" in name for name in value))
