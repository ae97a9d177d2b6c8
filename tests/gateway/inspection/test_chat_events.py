"""Streamed chat completions and completions, as the official client puts them together."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection.rewriters import Rewriters
from gateway.wire.sse import SseParser
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from tests.gateway.inspection.helpers import Clients, Hoarder, Masker, Open, Passer, cut, mask, objects, rewritten, sse
from tests.support.detectors import ReGate, mail

CLIENTS = Clients()
SHARED = Rewriters()
MAILS = PolicyEngine(
    [Policy("p", (Rule(id="m", detector="mail", action="mask"),))], Scanner([mail()], gate=ReGate), key=b"k" * 16
)
CALLS = [
    '{"to": "ann@site.co.uk", "n": 1}',
    '{"l": ["x"], "to": "\\u0061b@site.co"}',
    '{"a": {"b": "c"}}',
    '{"to": ""}',
]
TEXTS = st.text(alphabet=st.sampled_from('ab1 2@.é𝄞"\\\n'), max_size=30)
CUTS = st.lists(st.integers(0, 40), max_size=6)
INSPECTORS = st.sampled_from([Masker, Hoarder])
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None, index: int = 0, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}


def call(arguments: str, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments}}]}


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, CUTS, CUTS, INSPECTORS)
def test_whatever_way_a_text_is_cut_the_client_has_what_masking_the_whole_gives(
    content: str, thought: str, at: list[int], other: list[int], inspector: type[Masker]
):
    """Issue 3 section 6: "For every stream and every way of cutting it into events: concatenated output equals the
    batch result on the whole text"."""
    arguments = json.dumps({"to": content, "n": 17, "list": [thought]})
    pieces = [{"role": "assistant", "content": ""}]
    pieces += [{"reasoning_content": piece} for piece in cut(thought, other)]
    pieces += [{"content": piece} for piece in cut(content, at)]
    calls = [call("", 0, id="call_1", type="function")]
    calls[0]["tool_calls"][0]["function"]["name"] = "f"
    calls += [call(piece) for piece in cut(arguments, at)]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    stream = sse(
        *[chunk(piece, at % 2, obfuscation="xyz", usage=None) for piece in pieces for at in range(2)],
        *[chunk(piece) for piece in calls],
        chunk({}, 1, "stop"), chunk({}, 0, "tool_calls"), chunk(None, usage=usage), DONE,
    )  # fmt: skip
    out = rewritten("chat.completions", stream, inspector(), SHARED)
    got = CLIENTS.chat(out)
    for choice in got.choices:
        assert (choice.message.content or "") == mask(content)
        assert (getattr(choice.message, "reasoning_content", None) or "") == mask(thought)
    first = got.choices[0]
    assert first.finish_reason == "tool_calls"
    assert got.choices[1].finish_reason == "stop"
    assert first.message.tool_calls[0].function.arguments == mask(arguments, json_text=True)
    assert (first.message.tool_calls[0].id, first.message.tool_calls[0].function.name) == ("call_1", "f")
    assert got.usage.total_tokens == 3
    assert out.endswith(DONE)


@given(TEXTS, CUTS)
def test_what_is_not_changed_keeps_its_bytes(text: str, at: list[int]):
    """Fast path: an event that the inspector leaves unchanged is passed on as its original bytes."""
    stream = b": comment\r\n\r\n" + sse(
        *[chunk({"content": piece}) for piece in cut(text, at)], chunk({}, 0, "stop"), DONE
    )
    assert rewritten("chat.completions", stream, Passer(), SHARED) == stream


def test_bytes_around_a_changed_text_stay():
    event = (
        b'id: 7\nevent: x\ndata: {"id" : "a1" ,"choices":[ {"delta":{"content":"call 12 " , "role":"assistant"},'
        b'"index": 0,"n":1.50}],"created":1}\r\n\r\n'
    )
    for _ in range(3):
        out = rewritten("chat.completions", event, rewriters=SHARED)
        assert out == event.replace(b"call 12 ", b"call ## ")


def test_an_event_left_without_text_is_not_sent_unless_it_says_more():
    stream = sse(
        chunk({"role": "assistant", "content": "12"}), chunk({"content": "34"}),
        chunk({"content": "56"}, usage={"total_tokens": 1}), chunk({"content": "78"}, 0, "length"),
    )  # fmt: skip
    sent = [(one["choices"][0]["delta"], one.get("usage")) for one in objects(rewritten("chat.completions", stream))]
    assert sent == [({"role": "assistant", "content": ""}, None), ({"content": ""}, {"total_tokens": 1}),
                    ({"content": "########"}, None)]  # fmt: skip


def test_what_is_held_leaves_with_the_finish_reason():
    """No event more than came in; but what is changed: the bytes that came."""
    stream = sse(chunk({"content": "a 12"}), chunk({}, 0, "stop"), DONE)
    out = rewritten("chat.completions", stream)
    assert [one["choices"][0]["delta"] for one in objects(out)] == [{"content": "a "}, {"content": "##"}]
    assert out == stream.replace(b"a 12", b"a ").replace(b'"delta":{}', b'"delta":{"content":"##"}')


def test_texts_of_one_choice_leave_together():
    stream = sse(chunk({"content": "12"}), chunk({"refusal": "34"}), chunk({}, 0, "stop"), DONE)
    out = objects(rewritten("chat.completions", stream))
    assert [one["choices"][0]["delta"] for one in out] == [{"content": "##", "refusal": "##"}]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("inspector", [Masker, Hoarder])
def test_thoughts_end_before_the_answer_begins(name: str, inspector: type[Masker]):
    """Clients show thoughts before the answer; Vercel's SDK begins a second thought for a rest that comes later."""
    pieces = [
        {"content": ""},
        {name: "think ab"},
        {name: "12@x.y then", "content": ""},
        {"content": ""},
        {"content": ""},
    ]
    pieces += [{"content": "say ab"}, {"content": "12@x.y now"}]
    stream = sse(*(chunk(piece) for piece in pieces), chunk({}, 0, "stop"), DONE)
    deltas = [one["choices"][0]["delta"] for one in objects(rewritten("chat.completions", stream, inspector(), SHARED))]
    said = [key for delta in deltas for key, text in delta.items() if text]
    assert said == sorted(said, key=[name, "content"].index)
    for key, text in ((name, "think ab12@x.y then"), ("content", "say ab12@x.y now")):
        assert "".join(delta.get(key, "") for delta in deltas) == mask(text)


def test_a_thought_that_comes_under_two_names_is_told_under_both_at_once():
    """Vercel's SDK reads `reasoning_content` of an event, else its `reasoning`."""
    details = [{"type": "reasoning.text", "text": "a 12", "index": 0}]
    thought = {"reasoning_content": "a 12", "reasoning": "a 12", "reasoning_details": details}
    stream = sse(chunk(thought), chunk({"content": "b 34"}), chunk({}, 0, "stop"), DONE)
    deltas = [one["choices"][0]["delta"] for one in objects(rewritten("chat.completions", stream, None, SHARED))]
    thoughts = [(one["reasoning_content"], one["reasoning"], one["reasoning_details"][0]["text"]) for one in deltas[:2]]
    assert thoughts == [("a ",) * 3, ("##",) * 3]
    assert deltas[2:] == [{"content": "b "}, {"content": "##"}]


def test_thoughts_that_go_on_after_the_answer_began_are_judged_too():
    stream = sse(chunk({"reasoning": "a1"}), chunk({"content": "b2"}), chunk({"reasoning": "c3"}), DONE)
    deltas = [one["choices"][0]["delta"] for one in objects(rewritten("chat.completions", stream, Hoarder(), SHARED))]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == "a#c#"
    assert "".join(delta.get("content", "") for delta in deltas) == "b#"


class Once(Hoarder):
    """As the engine is: a text of which something was held when it ended must not go on."""

    def __init__(self) -> None:
        super().__init__()
        self.over: set[str] = set()

    def feed(self, channel: str, text: str, role: str = "assistant", json: bool = False) -> str:
        assert channel not in self.over
        return super().feed(channel, text, role, json)

    def flush(self, channel: str) -> str:
        self.over.add(channel)
        return super().flush(channel)


def test_thoughts_between_two_parts_of_the_answer_are_texts_of_their_own():
    """Interleaved thinking: a text that goes on after its end would end the stream."""
    pieces = [{"reasoning": "a1"}, {"content": "b2"}] * 3
    stream = sse(*map(chunk, pieces), chunk({}, 0, "stop"), DONE)
    deltas = [one["choices"][0]["delta"] for one in objects(rewritten("chat.completions", stream, Once(), SHARED))]
    assert "".join(delta.get("reasoning", "") for delta in deltas) == "a#" * 3
    assert "".join(delta.get("content", "") for delta in deltas) == "b#" * 3


def test_what_the_finish_has_no_room_for_comes_before_it_in_an_event_of_its_own():
    for deltas, finish in (
        ([{"content": "12"}], {"role": "assistant"}),
        ([{"content": "12"}, call('{"a": "34')], {}),
        ([call('{"a": "12')], {}),
    ):
        stream = sse(*[chunk(delta) for delta in deltas], chunk(finish, 0, "stop"), DONE)
        out = objects(rewritten("chat.completions", stream))
        assert [one["choices"][0]["finish_reason"] for one in out[-2:]] == [None, "stop"]
        assert out[-1]["choices"][0]["delta"] == finish
        assert all((one["id"], one["model"], one["created"]) == ("c1", "m", 1) for one in out)


def test_a_rest_is_put_into_no_other_choice_and_no_other_member():
    both = chunk({}, 0, "stop")
    both["choices"].append({"index": 1, "delta": {}, "logprobs": None, "finish_reason": None})
    other = chunk({}, 0, "stop", extra={"delta": {}})
    less = chunk({}, 0, "stop", extra={"text": '"delta":{}'})
    del less["choices"][0]["delta"]
    for finish in (both, other, less):
        stream = sse(chunk({"content": "12"}), finish, DONE)
        out = objects(rewritten("chat.completions", stream))
        assert out[-2]["choices"][0]["delta"] == {"content": "##"}
        assert out[-1] == finish
    stream = sse(
        chunk({"content": "12"}, 1), chunk({"content": "34"}), chunk({}, 1, "stop"), chunk({}, 0, "stop"), DONE
    )
    out = objects(rewritten("chat.completions", stream))
    assert [(one["choices"][0]["index"], one["choices"][0]["delta"]) for one in out[-2:]] == [
        (1, {"content": "##"}), (0, {"content": "##"})]  # fmt: skip


@pytest.mark.parametrize("end", [DONE, b""])
def test_without_a_finish_reason_the_end_flushes(end: bytes):
    out = rewritten("chat.completions", sse(chunk({"content": "12"}), end))
    assert objects(out)[-1]["choices"][0]["delta"] == {"content": "##"}
    assert out.endswith(end)


def test_after_an_error_nothing_held_is_sent():
    """An error or abort never flushes raw text."""
    error = {"error": {"message": "for a@b.c", "type": "server_error", "code": None}}
    for after in (DONE, b""):
        out = rewritten("chat.completions", sse(chunk({"content": "hello 12345"}), error, after))
        assert objects(out)[1:] == [{"error": {"message": "for <MAIL>", "type": "server_error", "code": None}}]
        assert b"#" not in out


def test_logprobs_of_a_changed_text_are_dropped_and_counted():
    probs = {"content": [{"token": "a ", "logprob": -0.1, "bytes": [97, 32], "top_logprobs": []}], "refusal": None}
    rewriter = Rewriters().open("chat.completions", Masker())
    kept, gone = chunk({"content": "a "}), chunk({"content": "12 "})
    for one, token in ((kept, "a "), (gone, "12 ")):
        one["choices"][0]["logprobs"] = {**probs, "content": [{**probs["content"][0], "token": token, "bytes": None}]}
    probs = kept["choices"][0]["logprobs"]
    from gateway.wire.sse import SseEvent

    outs: list[Any] = []
    for one in (kept, kept, kept, gone):
        raw = sse(one)
        outs += objects(rewriter.event(SseEvent(raw, b"", raw[6:-2])))
    assert [one["choices"][0]["logprobs"] for one in outs] == [probs, probs, probs, None]
    assert rewriter.logprobs_dropped == 1


@pytest.mark.parametrize("delta", [{}, {"content": "a "}, {"role": "assistant", "content": ""}])
@pytest.mark.parametrize("name", ["logprobs", "token_ids"])
def test_log_probabilities_of_a_text_that_has_not_come_yet_are_dropped(delta: dict[str, Any], name: str):
    """Some servers send a token before its text. Where nothing is changed (shadow), all of it passes."""
    early = chunk(delta)
    early["choices"][0][name] = {"content": [{"token": "12345", "bytes": [49, 50]}]} if name == "logprobs" else [12345]
    stream = sse(early, early, early, chunk({"content": "12345 "}), chunk({}, finish="stop"))
    assert b"12345" not in rewritten("chat.completions", stream)
    assert rewritten("chat.completions", stream, Passer()) == stream


def begun(index: int, kind: str = "function", **said: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": kind, kind: {"name": "f", **said}}]}


def test_calls_that_are_no_json_end_where_the_next_begins():
    """The official client takes a call's text as complete when the index changes."""
    stream = sse(chunk(begun(0, "custom", input="a 1")), chunk(begun(1, "custom", input="b 2")),
                 chunk({}, 0, "tool_calls"), DONE)  # fmt: skip
    order = [
        (one["choices"][0]["delta"].get("tool_calls") or [{}])[0]
        for one in objects(rewritten("chat.completions", stream, Hoarder()))
    ]
    assert [(one.get("index"), one.get("custom", {}).get("input")) for one in order] == [
        (0, ""), (0, "a #"), (1, ""), (1, "b #"), (None, None)]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CALLS), min_size=1, max_size=3), st.lists(st.integers(0, 2)), st.integers(1, 9))
def test_calls_whose_pieces_come_by_turns_are_masked_whole(arguments: list[str], order: list[int], size: int):
    """Issue 3 section 6: "Per choice and per tool-call argument stream", "for every way of cutting it into events"."""
    left = list(arguments)
    events = [chunk(begun(at, arguments="")) for at in range(len(left))]
    for at in [*[turn for turn in order if turn < len(left)], *[turn for turn, one in enumerate(left) for _ in one]]:
        if left[at]:
            events.append(chunk(call(left[at][:size], at)))
            left[at] = left[at][size:]
    inspector = MAILS.stream("chat.completions")
    got = CLIENTS.chat(rewritten("chat.completions", sse(*events, chunk({}, 0, "tool_calls"), DONE), inspector))
    made = [one.function.arguments for one in got.choices[0].message.tool_calls]
    assert made == [MAILS.inspect([Segment("x.arguments", "assistant", one)], "response").rewrites[0].text
                    if "@" in json.loads(one).get("to", "") else one for one in arguments]  # fmt: skip


def test_a_finish_reason_that_is_empty_ends_nothing():
    """Some providers write `"finish_reason": ""` into every chunk until the last."""
    pieces = ["mail ann", "@site", ".co now"]
    stream = sse(*[chunk({"content": piece}, 0, "") for piece in pieces], chunk({}, 0, "stop"), DONE)
    out = rewritten("chat.completions", stream, MAILS.stream())
    assert CLIENTS.chat(out).choices[0].message.content == "mail <EMAIL_ADDRESS> now"


@pytest.mark.parametrize("later", ["@site.co", " more"])
def test_a_text_that_goes_on_after_its_end_is_not_passed(later: str):
    """Issue 3 section 6: "An internal failure of the guardrail never lets raw text through under `closed`"."""
    inspector = MAILS.stream()
    stream = sse(chunk({"content": "mail ann"}, 0, "stop"), chunk({"content": later}, 0, "stop"), DONE)
    out = rewritten("chat.completions", stream, inspector)
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in objects(out)) == "mail ann"
    assert inspector is not None
    assert inspector.blocked
    assert inspector.verdict.failures[0].error == "TextAfterItsEnd"


def test_calls_of_one_index_are_told_apart_by_their_ids():
    stream = sse(
        *[
            chunk(
                {"tool_calls": [{"index": 0, "id": f"c{n}", "function": {"name": "f", "arguments": f'{{"n":"{n}1"}}'}}]}
            )
            for n in range(2)
        ],
        chunk({}, 0, "stop"),
    )
    said = [
        one["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
        for one in objects(rewritten("chat.completions", stream))[:-1]
    ]
    assert "".join(said) == '{"n": "##"}{"n": "##"}'


def test_calls_and_parts_that_come_in_one_event():
    """Each is fed whole before it ends, in its place."""
    calls = [
        {"index": n % 2, "id": f"c{n}", "function": {"name": "f", "arguments": f'{{"n":"{n}1"}}'}} for n in range(3)
    ]
    parts = [{"type": "text", "text": "a 1"}, {"type": "text", "text": "2 b 3"}]
    stream = sse(chunk({"tool_calls": calls, "content": parts}, 0, "stop"), DONE)
    (got,) = objects(rewritten("chat.completions", stream))
    delta = got["choices"][0]["delta"]
    assert [one["function"]["arguments"] for one in delta["tool_calls"]] == ['{"n": "##"}'] * 3
    assert "".join(part["text"] for part in delta["content"]) == "a ## b #"


def test_content_in_parts_audio_refusal_and_members_nobody_knows():
    stream = sse(
        chunk({"content": [{"type": "text", "text": "a 1"}]}), chunk({"content": [{"type": "text", "text": "2 "}]}),
        chunk({"refusal": "no 3"}), chunk({"audio": {"id": "au1", "data": "QUFB12", "transcript": "say 4"}}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "x 5", "index": 0, "format": "v1"}]}),
        chunk({"surprise": {"note": "mail a@b.c"}}),
        chunk({}, 0, "stop"), DONE,
    )  # fmt: skip
    out = rewritten("chat.completions", stream)
    said = json.dumps(objects(out))
    deltas = [one["choices"][0]["delta"] for one in objects(out)]
    parts = [one["content"][0] for one in deltas if isinstance(one.get("content"), list)]
    assert "".join(part["text"] for part in parts) == "a ## "
    assert all(part["type"] == "text" for part in parts)
    assert "".join(one.get("refusal", "") for one in deltas) == "no #"
    assert "QUFB12" in said
    assert "".join(one["audio"].get("transcript", "") for one in deltas if "audio" in one) == "say #"
    assert "".join(one["reasoning_details"][0].get("text", "") for one in deltas if "reasoning_details" in one) == "x #"
    assert {"surprise": {"note": "mail <MAIL>"}} in deltas


def test_a_surrogate_pair_cut_in_two_is_one_character():
    stream = sse(b'data: {"choices":[{"index":0,"delta":{"content":"a \\ud834"}}]}\n\n',
                 b'data: {"choices":[{"index":0,"delta":{"content":"\\udd1e 1"}}]}\n\n', DONE)  # fmt: skip
    inspector = Masker()
    out = rewritten("chat.completions", stream, inspector)
    assert list(inspector.seen.values()) == ["a 𝄞 1"]
    assert "".join(one["choices"][0]["delta"]["content"] for one in objects(out)) == "a 𝄞 #"


@pytest.mark.parametrize(
    "data",
    [b"{", b"not JSON 12", b'{"choices":[{"delta":{"content":"a","content":"12"}}]}', b"[" * 100 + b"]" * 100,
     b'{"choices":[{"delta":{"content":"\xff"}}]}'],
)  # fmt: skip
def test_what_cannot_be_read_passes_or_breaks_the_stream_as_the_rules_say(data: bytes):
    """On what cannot be read the rules fail: it passes as it came, or, where one is enforced and `closed`, the stream
    is `broken` there."""
    before, event = sse(chunk({"content": "a "})), b"data: " + data + b"\n\n"
    for inspector, passed in ((Masker(), b""), (Open(), event)):
        rewriter = Rewriters().open("chat.completions", inspector)
        assert rewriter.event(SseParser().feed(before)[0]) == before
        assert [rewriter.event(each) for each in SseParser().feed(event * 2)] == [passed] * 2
        assert rewriter.broken == rewriter.blocked == (not passed)
        assert rewriter.unread
        assert not [word for word in ("12", "content") if word in rewriter.unread], "nothing of it is told"


def test_a_member_name_that_must_be_masked_ends_the_stream_as_a_block_does():
    """What must be rewritten and cannot be (member names) ends the stream as a block does."""
    rewriter = Rewriters().open("chat.completions", Open())
    assert rewriter.event(SseParser().feed(b'data: {"choices":[{"delta":{"x":{"a@b.c":"y"}}}]}\n\n')[0]) == b""
    assert (rewriter.blocked, rewriter.broken, rewriter.unread) == (True, False, "")


def test_sound_is_not_judged_and_leaves_as_it_comes_and_a_block_ends_it():
    """docs/guardrails.md: *`mask` changes the transcript alone, while the sound still says it; a rule with `block` ends
    a stream before the rest of its sound.*"""
    sound = [sse(chunk({"audio": {"data": data}})) for data in ("UklGRgAA", "UklGRgBB")]
    for text, passed, said in (("mail a@b.c now", sound[1], b"<MAIL>"), ("x BLOCK y", b"", b"x ")):
        parts = [sse(chunk({"audio": {"transcript": part}})) for part in (text[:6], text[6:])]
        rewriter = Rewriters().open("chat.completions", Masker())
        out = [rewriter.event(SseParser().feed(each)[0]) for each in (parts[0], sound[0], parts[1], sound[1])]
        assert (out[1], out[3]) == (sound[0], passed)
        assert said in b"".join(out)
        assert b"a@b.c" not in b"".join(out)


@pytest.mark.parametrize("event", [b"data:\n\n", b"data:  \n\n", b"event: ping\ndata:\n\n"])
def test_an_event_whose_data_are_empty_says_nothing(event: bytes):
    rewriter = Rewriters().open("chat.completions", Masker())
    assert rewriter.event(SseParser().feed(event)[0]) == event
    assert not rewriter.blocked


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab 1", max_size=8), st.text(alphabet="ab 1", max_size=8), CUTS, INSPECTORS)
def test_a_block_in_mid_stream_ends_as_the_dialect_does(
    before: str, after: str, at: list[int], inspector: type[Masker]
):
    """Issue 3 section 6: "what was safe is out, then the dialect's proper end with `content_filter`"."""
    text = f"{before} BLOCK{after}"
    stream = sse(*[chunk({"content": piece}) for piece in cut(text, at)], chunk({}, 0, "stop"), DONE)
    out = rewritten("chat.completions", stream, inspector(), SHARED)
    got = CLIENTS.chat(out).choices[0]
    assert got.finish_reason == "content_filter"
    assert got.message.refusal == "blocked by policy"
    assert mask(before + " ").startswith(got.message.content or "")
    assert b"BLOCK" not in out
    assert out.endswith(DONE)


def test_a_block_ends_every_choice_that_is_not_finished():
    stream = sse(
        chunk({"content": "a "}, 0), chunk({"content": "b "}, 1), chunk({}, 1, "stop"), chunk({"content": "BLOCK "})
    )
    ends = [
        (one["choices"][0]["index"], one["choices"][0]["finish_reason"])
        for one in objects(rewritten("chat.completions", stream))
    ]
    assert ends == [(0, None), (1, None), (1, "stop"), (0, "content_filter")]


def test_blocked_rewriters_say_no_more():
    rewriter = Rewriters().open("chat.completions", Masker())
    from gateway.wire.sse import SseEvent

    raw = sse(chunk({"content": "BLOCK "}))
    assert rewriter.event(SseEvent(raw, b"", raw[6:-2])) == b""
    assert rewriter.blocked
    assert rewriter.verdict.enforced == "block"
    assert rewriter.event(SseEvent(DONE, b"", b"[DONE]")) == b""
    assert rewriter.end() == b""


@settings(max_examples=40, deadline=None)
@given(TEXTS, CUTS, INSPECTORS)
def test_completions(text: str, at: list[int], inspector: type[Masker]):
    def event(piece: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"text": piece, "index": 0, "logprobs": None, "finish_reason": finish}
        return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}

    pieces = cut(text, at)
    stream = sse(*[event(piece) for piece in pieces[:-1]], event(pieces[-1], "stop"), DONE)
    got = CLIENTS.completion(rewritten("completions", stream, inspector(), SHARED))
    assert "".join(one.choices[0].text for one in got) == mask(text)
    assert got[-1].choices[0].finish_reason == "stop"


def test_a_blocked_completion():
    stream = sse({"id": "c", "choices": [{"text": "a BLOCK", "index": 0, "finish_reason": None}]})
    out = objects(rewritten("completions", stream + sse({"choices": [{"text": " ", "index": 0}]})))
    assert [(one["choices"][0]["text"], one["choices"][0]["finish_reason"]) for one in out] == [
        ("a ", None), ("", "content_filter")]  # fmt: skip


@pytest.mark.parametrize("index", ["0.0", "0e0", "-0", '"0"', "0.00e+2"])
def test_an_index_written_otherwise_is_the_same_choice(index: str):
    """ "To clients `0.0`, `-0` and `"0"` are the same choice as `0`.\""""
    pieces = [b'data: {"choices":[{"index":%b,"delta":{"content":"%b"}}]}\n\n' % each for each in (
        (b"0", b"mail a"), (index.encode(), b"@b.c "), (b"1", b"x")
    )]  # fmt: skip
    out = rewritten("chat.completions", b"".join(pieces) + b"data: [DONE]\n\n")
    said = "".join(one["choices"][0]["delta"]["content"] for one in objects(out))
    assert said == "mail <MAIL> x"


def test_members_of_a_delta_that_nobody_knows_are_texts_that_go_on():
    """ "Official clients put all strings of a delta together, also those of members they do not know.\""""
    pieces = [
        {"choices": [{"index": 0, "delta": {"thought": each, "role": "assistant"}}]} for each in ("a", "@b", ".c ")
    ]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    out = objects(rewritten("chat.completions", sse(*pieces, end) + b"data: [DONE]\n\n"))
    assert "".join(one["choices"][0]["delta"].get("thought", "") for one in out) == "<MAIL> "


def test_an_event_named_error_is_judged_whatever_it_holds():
    """As the body of an error is."""
    data = json.dumps({"message": "no a@b.c", "detail": [{"msg": "12"}], "type": "x"}).encode()
    (out,) = objects(rewritten("chat.completions", b"event: error\ndata: " + data + b"\n\n"))
    assert out == {"message": "no <MAIL>", "detail": [{"msg": "##"}], "type": "x"}
