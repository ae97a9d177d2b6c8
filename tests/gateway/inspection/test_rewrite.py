"""Rewriting bodies: what is addressed changes, and not one other byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.segments import answer_segments, prompt_segments
from gateway.facts import Segment
from gateway.inspection.rewrite import NotRewritable, rewrite_answer, rewrite_segments, splice

NAMES = st.sampled_from(
    ["a", "b", "a b", "", 'q"', "back\\slash", "é", "[0]", "content", "text", "\ud800", "x.y", "{}"]
)
TEXTS = st.text(max_size=8) | st.sampled_from(["\ud800", "\udc00x", '"', "\\", "\x00", "\u2028", "𝄞"])
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES | st.sampled_from(["messages", "input", "tools"]), VALUES, max_size=4)


def seg(path: str, text: str) -> Segment:
    return Segment(path, "user", text)


@given(BODIES, st.booleans(), st.sampled_from([None, 1, "\t"]), st.data())
def test_only_what_is_addressed_changes(body: dict[str, Any], ascii_only: bool, indent: Any, data: st.DataObject):
    """Issue 3: "replaces the strings at the given JSON paths ...; every other byte of the body untouched"."""
    written = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        written.decode()
    except UnicodeDecodeError:
        written = json.dumps(body, indent=indent).encode()
    found = [one for one in prompt_segments(written) if not one.path.endswith("{}")]
    paths = [one.path for one in found]
    chosen = [one for one in found if paths.count(one.path) == 1 and data.draw(st.booleans())]
    rewrites = [seg(one.path, data.draw(TEXTS)) for one in chosen]
    after = rewrite_segments(written, rewrites)
    wanted = {one.path: one.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for one in rewrites}
    now = {one.path: one.text for one in prompt_segments(after) if not one.path.endswith("{}")}
    for one in found:
        if paths.count(one.path) == 1:
            assert now.get(one.path, "") == wanted.get(one.path, one.text)
    # With the chosen texts emptied, what is left of both is the same bytes.
    emptied = [seg(one.path, "") for one in chosen]
    assert rewrite_segments(after, emptied) == rewrite_segments(written, emptied)


@given(BODIES)
def test_no_rewrites_give_the_body_itself(body: dict[str, Any]):
    """Bytes pass through unless something changed."""
    written = json.dumps(body).encode()
    assert rewrite_segments(written, []) is written


def test_bytes_around_a_text_stay():
    body = b'{ "model":"m" ,"messages" : [ {"role":"user","content":"old\\u0021"} , 1e3 ], "x":"\\u00e9\\/"}\n'
    after = rewrite_segments(body, [seg("messages[0].content", 'new "\\ é')])
    assert after == body.replace(b'"old\\u0021"', b'"new \\"\\\\ ' + "é".encode() + b'"')


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"a b":"old"}', '["a b"]'),
        ('{"x":{"":"old"}}', 'x[""]'),
        ('{"x":{"q\\"]":"old"}}', 'x["q\\"]"]'),
        ('{"x":[[["old"]]]}', "x[0][0][0]"),
        ('{"x":{"conte\\u006et":"old"}}', "x.content"),
        ('{"x":{"\\ud800":"old"}}', 'x["\ufffd"]'),
        ('{"x":{"y":[0,{"z":4111111111111111}]}}', "x.y[1].z"),
        ('{"x":{"y":-1.5e3}}', "x.y"),
        ('{"x.y":{"z":"old"}}', '["x.y"].z'),
    ],
)
def test_odd_names_and_numbers(body: str, path: str):
    assert path in [one.path for one in prompt_segments(body.encode())]
    after = rewrite_segments(body.encode(), [seg(path, "new")])
    assert [one.text for one in prompt_segments(after) if one.path == path] == ["new"]


def test_a_name_given_twice_takes_its_texts_in_order():
    """Both values are segments, "because nobody knows which one the provider takes"."""
    body = b'{"x":{"a":"1","a":"2"}}'
    assert rewrite_segments(body, [seg("x.a", "one"), seg("x.a", "two")]) == b'{"x":{"a":"one","a":"two"}}'
    with pytest.raises(NotRewritable):
        rewrite_segments(body, [seg("x.a", "one")])


@pytest.mark.parametrize(
    "path",
    ["x.no{}", "x{}", "x.missing", "x", "x.a.b", "x[0]", "", "..", "x.a[0", "other", "x.list[3]", "x.nothing"],
)  # fmt: skip
def test_what_cannot_be_rewritten_is_said(path: str):
    """Also one of member names that are fewer or more than the object has: the caller blocks."""
    with pytest.raises(NotRewritable) as caught:
        rewrite_segments(b'{"x":{"a":"text","list":["b"],"nothing":null}}', [seg(path, "secret")])
    assert caught.value.path == path
    assert "secret" not in str(caught.value)


def test_the_names_of_the_body_s_own_members():
    body = b'{"a":{"b":"c"},"PSNA":1}'
    assert rewrite_segments(body, [seg("{}", "a\nann@b.co")]) == b'{"a":{"b":"c"},"ann@b.co":1}'
    for names in ("a", "a\nb\nc"):
        with pytest.raises(NotRewritable):
            rewrite_segments(body, [seg("{}", names)])


@given(st.binary(max_size=40) | st.sampled_from([b'{"a":', b'{"a":"', b'{"a" 1}', b"[", b'{"a":[{', b""]))
def test_what_is_not_json_is_refused_and_never_loops(body: bytes):
    with pytest.raises(NotRewritable):
        rewrite_segments(body, [seg("a.b.c", "new")])


def test_a_lone_surrogate_becomes_the_replacement_character():
    """ "ensure valid UTF-8 JSON"."""
    assert json.loads(rewrite_segments(b'{"a":"old"}', [seg("a", "x\ud800y")])) == {"a": "x\ufffdy"}


def test_depth_and_size_cost_no_recursion():
    depth = 100_000
    body = b'{"deep":' + b"[" * depth + b"]" * depth + b',"a":["x"]}'
    assert rewrite_segments(body, [seg("a[0]", "y")]).endswith(b',"a":["y"]}')
    path = "a" + "[0]" * 5000
    body = b'{"a":' + b"[" * 5000 + b'"x"' + b"]" * 5000 + b"}"
    assert b'"y"' in rewrite_segments(body, [seg(path, "y")])


def test_logprobs_beside_a_replaced_text_are_dropped():
    """They repeat the text token by token; a choice that was not rewritten keeps its own."""
    probs = {"content": [{"token": "old", "logprob": -1, "bytes": [1], "top_logprobs": []}], "refusal": None}
    choices = [{"index": at, "message": {"content": "old"}, "logprobs": probs} for at in range(2)]
    body = json.dumps({"choices": choices}).encode()
    done = rewrite_answer(body, [seg("choices[1].message.content", "new")])
    after = json.loads(done.body)["choices"]
    assert after[0] == choices[0]
    assert after[1] == {"index": 1, "message": {"content": "new"}, "logprobs": None}
    assert done.logprobs_dropped == 1


def test_member_names():
    body = b'{"content":[{"input":{"PSNA":{"b":1,"PSNC":"\\u0064"} , "e" :[2]}},{"input":{"f":3,"f":4}}]}'
    names = [
        seg("content[0].input{}", 'a"\ne'),
        seg("content[0].input.PSNA{}", "b\nc"),
        seg("content[1].input{}", "g\nh"),
    ]
    written = rewrite_answer(body, [*names, seg("content[0].input.PSNA.PSNC", "D")]).body
    assert written == b'{"content":[{"input":{"a\\"":{"b":1,"c":"D"} , "e" :[2]}},{"input":{"g":3,"h":4}}]}'
    for wrong in ("b", "b\nc\nd", "\nc", "b\n"):
        with pytest.raises(NotRewritable):
            rewrite_segments(body, [seg("content[0].input.PSNA{}", wrong)])


def test_token_ids_beside_a_replaced_text_are_dropped():
    body = b'{"choices":[{"token_ids":[7,8],"message":{"content":"old"}},{"token_ids":[7],"message":{"content":"b"}}]}'
    done = json.loads(rewrite_answer(body, [seg("choices[0].message.content", "n")]).body)
    assert [choice["token_ids"] for choice in done["choices"]] == [[], [7]]


def test_logprobs_of_completions_and_responses():
    body = b'{"choices":[{"text":"old","logprobs":{"tokens":["old"]},"index":0}]}'
    assert json.loads(rewrite_answer(body, [seg("choices[0].text", "n")]).body)["choices"][0]["logprobs"] is None
    part = '{"type":"output_text","logprobs":[{"token":"old"}],"text":"old"}'
    body = f'{{"output":[{{"type":"message","content":[{part},{part}]}}]}}'.encode()
    done = rewrite_answer(body, [seg("output[0].content[1].text", "n")])
    first, second = json.loads(done.body)["output"][0]["content"]
    assert first["logprobs"] == [{"token": "old"}]
    assert second == {"type": "output_text", "logprobs": [], "text": "n"}
    assert rewrite_answer(body, []).body is body
    untouched = b'{"choices":[{"text":"old","logprobs":null}]}'
    assert rewrite_answer(untouched, [seg("choices[0].text", "n")]).logprobs_dropped == 0


def test_every_text_of_an_answer_can_be_rewritten():
    """What `answer_segments` names, `rewrite_answer` reaches."""
    body = json.dumps(
        {
            "content": [
                {"type": "text", "text": "a", "citations": [{"cited_text": "b", "odd name": "c", "n": 41111111}]},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"q": ["d", {"e f": "g"}], "7": 7}},
            ]
        }
    ).encode()
    found = [one for one in answer_segments(body, "content") if not one.path.endswith("{}")]
    after = rewrite_answer(body, [seg(one.path, one.text.upper() + "!") for one in found]).body
    now = [one.text for one in answer_segments(after, "content") if not one.path.endswith("{}")]
    assert now == [one.text.upper() + "!" for one in found]


def test_splice_keeps_what_is_between():
    assert splice(b"0123456789", [(1, 3, b"AB"), (3, 3, b"-"), (9, 10, b"")]) == b"0AB-345678"
