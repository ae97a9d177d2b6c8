"""The log-probabilities of streams whose texts are masked, in every dialect that has them."""

import codecs
import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection.rewriters import Rewriters
from gateway.wire.sse import SseParser
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from guardrails.vault import Vault
from tests.gateway.inspection.helpers import cut, objects, rewritten, sse
from tests.gateway.inspection.test_events import as_chunk, repeating
from tests.support.detectors import Card, ReGate, Words, fence, mail

DETECTORS = [mail(), Card(), Words("names", "NAME", "kestrel", "kestrel house"), fence()]
ENGINE = PolicyEngine(
    [Policy("p", tuple(Rule(id=each.name, detector=each.name, action="mask", mode="enforce") for each in DETECTORS))],
    Scanner(DETECTORS, gate=ReGate),
    key=b"k" * 16,
)
BLOCKING = PolicyEngine(
    [Policy("p", (Rule(id="mail", detector="mail", action="block"), Rule(id="card", detector="card", action="mask")))],
    Scanner(DETECTORS, gate=ReGate),
    key=b"k" * 16,
)
PIECES = st.sampled_from(
    ["ann@site.co", "a@b.co.uk", "a@b.", "@", "4111 1111 1111 1111", "4111111111111112", "12", "Kestrel ",
     "kestrel house", "kestrel hous", " ", ". ", '"', "\\", "é", "😀", "word ", "<<", ">>", "\n", "PSN"]
)  # fmt: skip
TEXTS = st.lists(PIECES, min_size=1, max_size=9).map("".join)
ALTERNATIVE = "4111 1111 1111 1111"
CUTS = st.lists(st.integers(0, 400), max_size=25)
OPERATIONS = ("chat.completions", "completions", "responses")

Told = tuple[str, list[tuple[bytes, int]]]
"""The text of an event, and its tokens, each with where it begins in the text's bytes."""


def events_of(text: str, tokens: list[int], events: list[int], in_characters: bool = True) -> list[Told]:
    """The text as a server tells it: its bytes in tokens, cut at `tokens`, and those in events, cut at `events`. What
    is left of a character waits for the rest, unless tokens end `in_characters` never."""
    said = text.encode()
    if not in_characters:
        tokens = [len(text[: at % (len(text) + 1)].encode()) for at in tokens]
    edges = sorted({0, len(said), *(at % (len(said) + 1) for at in tokens)})
    every = [(said[a:b], a) for a, b in itertools.pairwise(edges)]
    decoder = codecs.getincrementaldecoder("utf-8")()
    places = sorted({0, len(every), *(at % (len(every) + 1) for at in events)})
    groups = [every[a:b] for a, b in itertools.pairwise(places)]
    return [(decoder.decode(b"".join(each for each, _ in group)), group) for group in groups]


def entry(said: bytes, begins: int) -> dict[str, Any]:
    own = {"token": said.decode("utf-8", "replace"), "logprob": -begins / 8, "bytes": list(said)}
    return {**own, "top_logprobs": [own, {**own, "token": ALTERNATIVE, "bytes": None}]}


def stream(operation: str, told: list[Told], finish_apart: bool) -> bytes:
    """The events of one dialect."""
    out: list[Any] = []
    for at, (text, tokens) in enumerate(told):
        last = at == len(told) - 1 and not finish_apart
        entries = [entry(*each) for each in tokens]
        finish = "stop" if last else None
        if operation == "responses":
            where = {"item_id": "i", "output_index": 0, "content_index": 0, "sequence_number": at}
            out.append({"type": "response.output_text.delta", **where, "delta": text, "logprobs": entries})
        elif operation == "completions":
            columns = {
                "tokens": [each["token"] for each in entries],
                "token_logprobs": [each["logprob"] for each in entries],
                "top_logprobs": [{each["token"]: -1, ALTERNATIVE: -2} for each in entries],
                "text_offset": [begins for _, begins in tokens],
            }
            out.append({"choices": [{"index": 0, "text": text, "logprobs": columns, "finish_reason": finish}]})
        else:
            choice = {"index": 0, "delta": {"content": text}, "logprobs": {"content": entries, "refusal": None}}
            out.append({"choices": [{**choice, "finish_reason": finish}]})
    if operation == "responses":
        where = {"item_id": "i", "output_index": 0, "content_index": 0, "sequence_number": len(told)}
        text, entries = "".join(each for each, _ in told), [entry(*each) for _, group in told for each in group]
        out.append({"type": "response.output_text.done", **where, "text": text, "logprobs": entries})
    elif finish_apart:
        empty = {"text": ""} if operation == "completions" else {"delta": {}}
        out.append({"choices": [{"index": 0, **empty, "logprobs": None, "finish_reason": "stop"}]})
    return sse(*out) + b"data: [DONE]\n\n"


def read(operation: str, out: bytes) -> tuple[list[tuple[str, list[tuple[str, float]]]], Any]:
    """Of each event its text and its tokens with their log-probability; of a response also the list told last."""
    found: list[tuple[str, list[tuple[str, float]]]] = []
    whole: Any = None
    for event in objects(out):
        if operation == "responses":
            entries = [(each["token"], each["logprob"]) for each in event["logprobs"]]
            if event["type"].endswith("done"):
                whole = entries
            else:
                found.append((event["delta"], entries))
            continue
        choice = event["choices"][0]
        probs = choice["logprobs"] or {}
        if operation == "completions":
            entries = list(zip(probs.get("tokens", ()), probs.get("token_logprobs", ()), strict=True))
            assert all(len(each) == 1 for each in probs.get("top_logprobs", ()))
        else:
            entries = [(each["token"], each["logprob"]) for each in probs.get("content") or ()]
            assert all(len(each["top_logprobs"]) == 1 for each in probs.get("content") or ())
        found.append((choice.get("text", "") or choice.get("delta", {}).get("content", ""), entries))
    return found, whole


def kept_of(text: str, told: list[Told]) -> list[tuple[str, float]]:
    """The tokens that have no byte of anything masked, as the whole text's verdict tells what is."""
    verdict = ENGINE.inspect([Segment("t", "assistant", text)], "response")
    spans = [(len(text[: each.start].encode()), len(text[: each.end].encode())) for each in verdict.findings]
    tokens = [each for _, group in told for each in group]
    kept = [(said, at) for said, at in tokens if not any(at < end and start < at + len(said) for start, end in spans)]
    return [(said.decode("utf-8", "replace"), -at / 8) for said, at in kept]


@settings(max_examples=250, deadline=None)
@given(TEXTS, CUTS, CUTS, st.sampled_from(OPERATIONS), st.booleans())
def test_the_tokens_of_what_is_not_masked_go_on_with_their_text(
    text: str, tokens: list[int], events: list[int], operation: str, finish_apart: bool
):
    """For every text, every way of cutting it into tokens, and those into events: what goes on is exactly the tokens
    that have nothing of what was masked, in order, none before the last of its characters, and no alternatives."""
    told = events_of(text, tokens, events, operation != "completions")
    out = rewritten(operation, stream(operation, told, finish_apart), ENGINE.stream(operation))
    found, whole = read(operation, out)
    verdict = ENGINE.inspect([Segment("t", "assistant", text)], "response")
    masked = verdict.rewrites[0].text if verdict.rewrites else text
    assert "".join(each for each, _ in found) == masked
    expected = kept_of(text, told)
    assert [each for _, entries in found for each in entries] == expected
    assert whole is None or whole == expected
    assert ALTERNATIVE in masked or ALTERNATIVE not in json.dumps(objects(out))
    if not verdict.rewrites:
        seen = b""
        left = {begins: said for _, group in told for said, begins in group}
        for piece, entries in found:
            seen += piece.encode()
            for _, logprob in entries:
                begins = round(-logprob * 8)
                assert begins + len(left[begins].decode("utf-8", "ignore").encode()) <= len(seen)


@settings(max_examples=60, deadline=None)
@given(CUTS, CUTS, st.lists(st.integers(0, 60), max_size=4))
def test_placeholders_that_are_put_back_take_their_tokens_along(tokens: list[int], events: list[int], lead: list[int]):
    """A text that is restored is replaced, too."""
    vault = Vault(b"s" * 16)
    token = vault.placeholder("Jane Miller")
    text = "".join(cut("Dear friend of mine, ", lead)) + f"{token}, and ann@site.co: PSN goodbye"
    told = events_of(text, tokens, events)
    out = rewritten("chat.completions", stream("chat.completions", told, True), ENGINE.stream("", vault=vault))
    found, _ = read("chat.completions", out)
    assert "".join(each for each, _ in found).endswith("Jane Miller, and <EMAIL_ADDRESS>: PSN goodbye")
    assert token is not None
    spans = [(text.index(token), text.index(token) + len(token)), (text.index("ann"), text.index(": PSN"))]
    every = [each for _, group in told for each in group]
    expected = [at for said, at in every if not any(at < end and start < at + len(said) for start, end in spans)]
    assert [round(-logprob * 8) for _, entries in found for _, logprob in entries] == expected


def test_offsets_are_those_of_the_masked_text():
    told = events_of("Ask ann@site.co or me.", [3, 4, 15, 18, 22], [1, 2, 3])
    out = rewritten("completions", stream("completions", told, True), ENGINE.stream())
    columns = [event["choices"][0]["logprobs"] for event in objects(out) if event["choices"][0]["logprobs"]]
    text = "Ask <EMAIL_ADDRESS> or me."
    for each in columns:
        for token, offset in zip(each["tokens"], each["text_offset"], strict=True):
            assert text[offset:].startswith(token)
    assert [token for each in columns for token in each["tokens"]] == ["Ask", " ", " or", " me."]


def test_what_is_not_the_texts_own_is_left_out():
    """Tokens of no text: nobody judged them. Some servers tell a stop sequence, or the tokens of a tool call."""
    choice = {"index": 0, "finish_reason": None}
    other = {"content": [entry(ALTERNATIVE.encode(), 0)], "refusal": None}
    events = [
        {"choices": [{**choice, "delta": {"content": "fine "}, "logprobs": other}]},
        {"choices": [{**choice, "delta": {}, "logprobs": other}]},
        {"choices": [{**choice, "delta": {"content": "fine "}, "logprobs": {"other": other}, "token_ids": [1, 2]}]},
    ]
    out = rewritten("chat.completions", sse(*events, *events) + b"data: [DONE]\n\n", ENGINE.stream())
    assert b"4111" not in out
    assert {event["choices"][0]["logprobs"] for event in objects(out)} == {None}


def test_two_texts_of_a_choice_have_their_own_tokens():
    """Reasoning is told token by token under the same name as the content; a refusal has its own."""
    logprobs = {"content": [entry(b"Hm. ", 0)], "refusal": [entry(b"No. ", 8)]}
    delta = {"reasoning_content": "Hm. ", "content": "", "refusal": "No. "}
    event = {"choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}]}
    out = objects(rewritten("chat.completions", sse(event) + b"data: [DONE]\n\n", ENGINE.stream()))
    probs = [each["choices"][0]["logprobs"] for each in out]
    assert [each["token"] for one in probs if one for each in one["content"] or ()] == ["Hm. "]
    assert [each["token"] for one in probs if one for each in one["refusal"] or ()] == ["No. "]


def test_events_without_log_probabilities_are_still_read_the_short_way():
    rewriter = Rewriters().open("chat.completions", ENGINE.stream())  # type: ignore[arg-type]
    for event in repeating("chat.completions", ["some ", "words "], False, True, 0):
        rewriter.event(event)
    assert rewriter.repeat is not None


def usual(text: str, tokens: list[tuple[bytes, int]], padding: str) -> bytes:
    """An event as most servers tell it, if it has one token."""
    told = [{**entry(*each), "top_logprobs": list[Any]()} for each in tokens]
    logprobs = {"content": told, "refusal": None} if told else None
    choice = {"index": 0, "delta": {"content": text}, "logprobs": logprobs, "finish_reason": None}
    return sse({"id": "c", "choices": [choice]} | ({"obfuscation": padding} if padding else {}))


@settings(max_examples=250, deadline=None)
@given(TEXTS, CUTS, CUTS, st.booleans(), st.sampled_from(["mask", "block", "restore", "twice"]))
def test_events_that_repeat_are_rewritten_as_any_other(
    text: str, tokens: list[int], events: list[int], padded: bool, what: str
):
    """An event like the one before but for its text and its log-probabilities goes a shorter way, and what the client
    gets is the same; also as a chunk, where who else reads it is told its text."""
    told = events_of(text, tokens, events)
    written = [usual(*each, "ab" * (at % 3 + 1) if padded else "") for at, each in enumerate(told)]
    engine = BLOCKING if what == "block" else ENGINE
    vault = Vault(b"s" * 16) if what == "restore" else None
    written *= 2 if what == "twice" else 1
    short, long, relayed = (
        Rewriters().open("chat.completions", engine.stream("", vault=vault))  # type: ignore[arg-type]
        for _ in range(3)
    )
    said: list[str] = []
    for event in SseParser().feed(b": \n\n" + b"".join(written))[1:]:
        long.repeat = None
        expected = long.event(event)
        assert short.event(event) == expected
        assert as_chunk(relayed, event, said) == expected
        assert short.blocked == relayed.blocked == long.blocked
        assert short.logprobs_dropped == relayed.logprobs_dropped == long.logprobs_dropped
    assert short.end() == long.end() == relayed.end()


def test_events_with_their_log_probabilities_are_read_the_short_way():
    rewriter = Rewriters().open("chat.completions", ENGINE.stream())  # type: ignore[arg-type]
    first, second = SseParser().feed(
        b": \n\n" + usual("some ", [(b"some ", 0)], "") + usual("word ", [(b"word ", 5)], "")
    )[1:]
    rewriter.event(first)
    assert rewriter.repeat is not None
    assert rewriter.repeat.middle == b'"},"logprobs":'
    assert rewriter.repeat.after.endswith(rewriter.repeat.tail)
    kept = rewriter.repeat
    rewriter.event(second)
    assert rewriter.repeat is kept
