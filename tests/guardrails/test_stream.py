"""The promise of the stream: for every text and every way of cutting it, what comes out is what the whole gives."""

import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import catalogue
from guardrails.engine import PolicyEngine
from guardrails.interface import Action, Segment
from guardrails.matching.gate import open_gate
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from guardrails.text import Text
from guardrails.vault import LENGTH, Vault
from tests.fuzz.fuzz_shipped import RIG, compare_stream, cut, prose, secrets
from tests.fuzz.fuzz_shipped import engine as shipped
from tests.guardrails.pii.texts import PIECES as PERSONAL
from tests.support.detectors import Card, Failing, Overlapping, ReGate, Words, fence, mail
from tests.support.oracle import KEY, rewritten

DETECTORS = [
    mail(), Card(), Words("names", "NAME", "kestrel", "kestrel house"), Overlapping("xs", "x"),
    Overlapping("ys", "y", 0.6), fence(),
]  # fmt: skip
SCANNER = Scanner(DETECTORS, gate=ReGate)
SHIPPED = shipped(RIG, None)
STOCK = [*PERSONAL, *secrets(random.Random(2))]
PIECES = st.sampled_from([
    "ann@site.co", "a@b.co.uk", "a@b.", "@", "4111 1111 1111 1111", "4111111111111112", "4111", "12", "Kestrel ",
    "kestrel house", "kestrel hous", "x5", "x9", "y3", "y0", "x3y5x9abcd", " ", ".", ",", '"', "\\", "é", "😀",
    "\ud83d", "\ude00", "word ", "<<", ">>", "e" * 40, "e" * 300, "\n", "{", "]",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=16).map("".join)
CUTS = st.lists(st.integers(0, 400), max_size=20)
ACTIONS = st.lists(st.sampled_from(["flag", "mask", "mask", "redact", "hash", "block", None]), min_size=6, max_size=6)


def rules(actions: list[Action | None]) -> tuple[Rule, ...]:
    named = zip(DETECTORS, actions, strict=True)
    return tuple(Rule(id=d.name, detector=d.name, action=action) for d, action in named if action is not None)


def pieces(text: str, cuts: list[int]) -> list[str]:
    edges = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(edges)]


def streamed(engine: PolicyEngine, parts: list[str], document: bool = False) -> tuple[str, bool]:
    stream = engine.stream()
    if stream is None:
        return "".join(parts), False
    out = [stream.feed("c", part, json=document) for part in parts]
    out.append(stream.flush("c"))
    assert stream.flush("c") == "", "idempotent"
    assert stream.held() == 0
    return "".join(out), stream.blocked


@given(TEXTS, CUTS, ACTIONS)
def test_pieces_come_out_as_the_whole_does(text: str, cuts: list[int], actions: list[Action | None]) -> None:
    """ "Whatever way a text is cut, the concatenation of what `feed` and `flush` return is what `Engine.inspect` would
    make of the whole", and both are what the plain rules say; what blocks lets out what stands before it."""
    engine = PolicyEngine([Policy("p", rules(actions))], SCANNER, key=KEY)
    out, blocked = streamed(engine, pieces(text, cuts))
    verdict = engine.inspect([Segment("c", "assistant", text)], "response")
    assert (verdict.enforced == "block") == blocked
    assert blocked or out == (verdict.rewrites[0].text if verdict.rewrites else text)
    assert (out, blocked) == rewritten(text, rules(actions), DETECTORS)


@given(st.lists(TEXTS, max_size=3), CUTS, ACTIONS, st.booleans())
def test_arguments_come_out_as_the_whole_does(
    texts: list[str], cuts: list[int], actions: list[Action | None], ascii_only: bool
) -> None:
    """The same for JSON with escapes cut anywhere; what comes out of a document is a document."""
    engine = PolicyEngine([Policy("p", rules(actions))], SCANNER, key=KEY)
    text = json.dumps({"a": texts, "n": 4111111111111111}, ensure_ascii=ascii_only)
    out, blocked = streamed(engine, pieces(text, cuts), True)
    verdict = engine.inspect([Segment("c.arguments", "assistant", text)], "response")
    assert (verdict.enforced == "block") == blocked
    if not blocked:
        assert out == (verdict.rewrites[0].text if verdict.rewrites else text)
        assert json.loads(out)["a"] == [rewritten(t, rules(actions), DETECTORS)[0] for t in json.loads(text)["a"]]


@given(TEXTS, CUTS)
def test_broken_documents_come_out_as_the_whole_does(text: str, cuts: list[int]) -> None:
    """Also where the text is no JSON: "the rest is plain text", from a place that is a question of the text."""
    engine = PolicyEngine([Policy("p", rules(["mask"] * 6))], SCANNER, key=KEY)
    for document in ("[" + text, '{"a": ' + text, '["' + text):
        verdict = engine.inspect([Segment("c.arguments", "assistant", document)], "response")
        out, blocked = streamed(engine, pieces(document, cuts), True)
        assert blocked == (verdict.enforced == "block")
        assert blocked or out == (verdict.rewrites[0].text if verdict.rewrites else document)


@given(TEXTS, CUTS)
def test_the_verdict_is_the_same(text: str, cuts: list[int]) -> None:
    """Findings, with their places in the text, do not depend on how it was cut."""
    engine = PolicyEngine([Policy("p", rules(["mask", "hash", "flag", "flag", "redact", "mask"]))], SCANNER, key=KEY)
    stream = engine.stream()
    assert stream is not None
    for part in pieces(text, cuts):
        stream.feed("c", part)
    stream.flush("c")
    whole = engine.inspect([Segment("c", "assistant", text)], "response")
    assert sorted(map(repr, stream.verdict.findings)) == sorted(map(repr, whole.findings))
    assert stream.verdict.results == whole.results
    assert stream.verdict.enforced == whole.enforced


@given(st.lists(st.tuples(st.sampled_from("abc"), PIECES), max_size=20))
def test_channels_do_not_know_each_other(events: list[tuple[str, str]]) -> None:
    """ "Channels are independent texts"."""
    engine = PolicyEngine([Policy("p", rules(["mask"] * 6))], SCANNER, key=KEY)
    stream = engine.stream()
    assert stream is not None
    out = {"a": "", "b": "", "c": ""}
    for channel, text in events:
        out[channel] += stream.feed(channel, text)
    for channel in out:
        out[channel] += stream.flush(channel)
        text = "".join(t for c, t in events if c == channel)
        assert out[channel] == streamed(engine, [text])[0]


@given(TEXTS, CUTS, st.booleans())
def test_pseudonyms_are_restored_after_redaction(text: str, cuts: list[int], document: bool) -> None:
    """ "Output redaction happens before restore": a restored value is not judged again, what the model wrote is."""
    vault = Vault(bytes(16))
    tokens = [vault.placeholder(value) or "" for value in ("ann@site.co", 'Jo "K"')]
    answer = f"{tokens[0].lower()} b@b.co {text} **{tokens[1]}**"
    if document:
        answer = json.dumps({"a": answer})
    engine = PolicyEngine([Policy("p", rules(["mask", None, None, None, None, None]))], SCANNER, key=KEY)
    stream = engine.stream(vault=vault)
    assert stream is not None
    out = "".join(stream.feed("c", part, json=document) for part in pieces(answer, cuts)) + stream.flush("c")
    path = "c.arguments" if document else "c"
    whole = engine.inspect([Segment(path, "assistant", answer)], "response", vault=vault).rewrites[0].text
    assert out == whole
    said = json.loads(out)["a"] if document else out
    assert said.startswith("ann@site.co <EMAIL_ADDRESS> ")
    assert said.endswith('**Jo "K"**')


def test_a_vault_alone_is_reason_enough_and_holds_less_than_a_placeholder() -> None:
    engine = PolicyEngine([], SCANNER, key=KEY)
    vault = Vault(bytes(16))
    assert engine.stream(vault=vault) is None
    token = vault.placeholder("Ann") or ""
    stream = engine.stream(vault=vault)
    assert stream is not None
    assert stream.feed("c", f"Dear {token[:-1]}") == "Dear "
    assert stream.held() == LENGTH - 1
    assert stream.feed("c", token[-1]) == "Ann"
    assert stream.verdict.action == "allow"


def test_values_are_escaped_only_where_arguments_are_a_document() -> None:
    engine, vault = PolicyEngine([Policy("p", rules(["mask"] * 6))], SCANNER, key=KEY), Vault(bytes(16))
    token = vault.placeholder('Jo "K"') or ""
    for text, restored in ((f"echo {token} ", 'echo Jo "K" '), (f'["{token}"]', '["Jo \\"K\\""]')):
        stream = engine.stream(vault=vault)
        assert stream is not None
        assert stream.feed("c", text, json=True) + stream.flush("c") == restored
        whole = engine.inspect([Segment("c.input", "assistant", text)], "response", vault=vault)
        assert whole.rewrites[0].text == restored


def test_a_block_ends_all_channels() -> None:
    stream = PolicyEngine([Policy("p", rules([None, None, "block", None, None, None]))], SCANNER, key=KEY).stream()
    assert stream is not None
    assert stream.feed("a", "waiting kes") == "waiting "
    assert stream.feed("b", "fine. kestrel. ") == "fine. "
    assert stream.blocked
    assert stream.verdict.enforced == "block"
    assert stream.feed("a", "x") == stream.flush("a") == stream.flush("b") == stream.feed("new", "x") == ""


def test_roles_that_no_rule_looks_at_pass() -> None:
    rule = Rule(id="m", detector="mail", action="mask", roles=frozenset(("assistant",)))
    stream = PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).stream()
    assert stream is not None
    assert stream.feed("r", "a@b.co", role="reasoning") == "a@b.co"
    assert stream.feed("c", "a@b.co") == ""
    assert stream.flush("c") == "<EMAIL_ADDRESS>"


@given(TEXTS, CUTS, st.sampled_from(["confirm", "settled"]))
def test_a_failure_never_lets_raw_text_through_when_closed(text: str, cuts: list[int], where: str) -> None:
    """ "An internal failure of the guardrail never lets raw text through under `closed`": what came out before is the
    beginning of what would have come out without it."""
    text += "a@b.co bait c@d.co"
    good = PolicyEngine([Policy("p", (Rule(id="m", detector="mail", action="mask"),))], SCANNER, key=KEY)
    scanner = Scanner([Failing(mail(), "bait", where)], gate=ReGate)
    engine = PolicyEngine([Policy("p", (Rule(id="m", detector="mail", action="mask"),))], scanner, key=KEY)
    out, blocked = streamed(engine, pieces(text, cuts))
    if where == "settled":
        assert blocked or out == streamed(good, [text])[0]
    assert streamed(good, [text])[0].startswith(out)


def test_a_machine_that_breaks_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise TypeError

    opened = Rule(id="m", detector="mail", action="mask", on_failure="open")
    stream = PolicyEngine([Policy("p", (opened,))], SCANNER, key=KEY).stream()
    assert stream is not None
    assert stream.feed("c", "a@b.") == ""
    monkeypatch.setattr(Text, "feed", broken)
    assert stream.feed("c", "co ") + stream.flush("c") == ""
    assert stream.blocked
    assert stream.verdict.failures[0].detector == "engine"


@pytest.mark.parametrize("mode", ["shadow", "warn", "enforce"])
@pytest.mark.parametrize("on_failure", ["open", "closed"])
def test_on_what_nobody_can_read_the_rules_fail(mode: str, on_failure: str) -> None:
    """The rules fail on it, open or closed as they say. A rule in shadow or warn never blocks."""
    rule = Rule(id="m", detector="mail", action="mask", mode=mode, on_failure=on_failure)  # pyright: ignore
    stream = PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).stream()
    assert stream is not None
    said = stream.feed("c", "ann ")
    stream.unread("UnreadableEvent")
    closed = (mode, on_failure) == ("enforce", "closed")
    assert stream.blocked is closed
    assert said + stream.feed("c", "a@b.co ") + stream.flush("c") == (
        "ann " if closed else "ann <EMAIL_ADDRESS> " if mode == "enforce" else "ann a@b.co "
    )
    (failure,) = stream.verdict.failures
    assert (failure.detector, failure.error, failure.rules, failure.closed) == (
        "engine",
        "UnreadableEvent",
        ("m",),
        closed,
    )


def late(on_failure: str, mode: str, first: str, held: bool) -> tuple[str, bool]:
    rule = Rule(id="m", detector="mail", action="mask", mode=mode, on_failure=on_failure)  # pyright: ignore
    stream = PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).stream()
    assert stream is not None
    out = stream.feed("c", first) + stream.flush("c")
    out += stream.feed("c", "@b.co ") + stream.flush("c")
    assert [failure.error for failure in stream.verdict.failures] == (["TextAfterItsEnd"] if held else [])
    return out, stream.blocked


def test_what_follows_a_text_that_was_over_is_judged_or_not_passed() -> None:
    """What was held when it was over is out, and may begin what comes: closed, nothing more is returned."""
    assert late("closed", "enforce", "mail ann", True) == ("mail ann", True)
    assert late("open", "enforce", "mail ann", True) == ("mail ann@b.co ", False)
    assert late("closed", "shadow", "mail ann", True) == ("mail ann@b.co ", False)
    assert late("closed", "enforce", "mail. ", False) == ("mail. @b.co ", False)


def test_no_policy_for_answers_no_stream() -> None:
    rule = Rule(id="m", detector="mail", on=frozenset(("request",)))
    assert PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).stream("chat") is None


@given(st.integers(0, 1 << 30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_shipped_detectors_together(seed: int, document: bool) -> None:
    """Words on words take a shorter way, and only what is new is scanned: what comes out, and what is found, is what
    the whole gives."""
    chance = random.Random(seed)
    text = prose(chance, STOCK)
    text = json.dumps({"text": text}) if document else text
    compare_stream(SHIPPED, text, cut(chance, text), document)


@pytest.mark.parametrize("part", range(8))
def test_each_shipped_format_in_the_smallest_pieces(part: int) -> None:
    """One character at a time each scan sees the least, so that every expression must reach back as far as it says."""
    for item in STOCK[part::8]:
        text = f"as you said {item} and so on "
        compare_stream(SHIPPED, text, list(text))


FREQUENT = st.sampled_from(
    ["the ", "token ", "is ", "was ", "pin ", "pin", "password ", "api key ", "a", "ccess ", "it\n", "hunter2Z ",
     "xoxe ", "eyJ", "aZbYcX ", "- ", "on ", "  ", "9 ", ": ", "patterns ", "cioabc", "def "]
)  # fmt: skip


@given(st.lists(FREQUENT, max_size=60), CUTS)
def test_words_that_are_known_from_other_texts_change_nothing(words: list[str], cuts: list[int]) -> None:
    """The gate is not shown every word that it saw nothing in before, and what is found is found."""
    text = "".join(words)
    for parts in (pieces(text, cuts), words, list(text)):
        compare_stream(SHIPPED, text, parts)


def test_words_come_out_at_once_and_what_may_go_on_waits() -> None:
    stream = SHIPPED.stream()
    assert stream is not None
    given_and_certain = [
        ("Ask", ""), (" the", "Ask "), (" clerk, ann", "the clerk, "), (".smith", ""), ("@example", ""), (".com", ""),
        (" now", "<EMAIL_ADDRESS> "), (".\n", "now.\n"), ("The password is", "The password "), (" hunter2Z", "is "),
        ("!x", ""), (" today", "*****r2Z*x "), (" so", "today "),
    ]  # fmt: skip
    assert [(given, stream.feed("c", given)) for given, _ in given_and_certain] == given_and_certain


@given(st.integers(0, 1 << 30))
@settings(max_examples=40, deadline=None)
def test_a_long_text_is_looked_through_in_steps_and_nothing_is_lost(seed: int) -> None:
    """Issue 3 section 8: "bounded time and memory each": what is found and written does not depend on the steps."""
    chance = random.Random(seed)
    text = "".join(prose(chance, STOCK) for _ in range(4))
    whole = SHIPPED.inspect([Segment("x", "user", text)], "request")
    with pytest.MonkeyPatch.context() as patch:
        step = chance.randrange(1, 200)
        patch.setattr("guardrails.text.SLICE", step)
        patch.setattr("guardrails.program.SLICE", step)
        sliced = SHIPPED.inspect([Segment("x", "user", text)], "request")
    assert (sliced.rewrites, sliced.results) == (whole.rewrites, whole.results)
    assert sorted(sliced.findings, key=repr) == sorted(whole.findings, key=repr)


BLOCKING = PolicyEngine(
    [
        Policy(
            "p", (Rule(id="pii", detector="pii", action="block"), Rule(id="secrets", detector="secrets", action="mask"))
        )
    ],
    Scanner([catalogue.detector("pii"), catalogue.detector("secrets")], gate=open_gate),
    key=KEY,
)


@given(st.integers(0, 1 << 30), st.sampled_from([SHIPPED, BLOCKING]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_pauses_decides_what_it_would_without(seed: int, judge: PolicyEngine, document: bool) -> None:
    """`Engine.inspect`: "`breathe` ... changes nothing of the verdict", nor of what a stream lets out."""
    chance = random.Random(seed)
    text = "".join(prose(chance, STOCK) for _ in range(4))
    segments = [Segment("x", "user", text), Segment("y.arguments", "user", json.dumps({"a": text, "b": 4111111111}))]
    whole = judge.inspect(segments, "request")
    piece = text if not document else segments[1].text
    streams = [judge.stream(), judge.stream()]
    pauses = [0]

    def breathe() -> None:
        pauses[0] += 1

    with pytest.MonkeyPatch.context() as patch:
        for module in ("text", "program", "engine"):
            patch.setattr(f"guardrails.{module}.PIECE", chance.randrange(1, 400))
        patch.setattr("guardrails.pii.detector.STRETCH", chance.randrange(1, 50))
        paused = judge.inspect(segments, "request", breathe=breathe)
        streams[1].pace(breathe)
        out = [each.feed("c", piece, json=document) + each.flush("c") for each in streams]
    assert pauses[0] > 2
    assert (paused.action, paused.enforced, paused.rewrites) == (whole.action, whole.enforced, whole.rewrites)
    assert paused.results == whole.results
    assert sorted(paused.findings, key=repr) == sorted(whole.findings, key=repr)
    assert out[0] == out[1]
    assert streams[0].verdict.results == streams[1].verdict.results


@pytest.mark.parametrize(("mode", "action"), [("shadow", "mask"), ("warn", "block"), ("enforce", "flag")])
def test_where_rules_only_watch_a_text_goes_on_as_it_came(mode: str, action: str) -> None:
    """ "Nothing waits for what they find": an event that is not changed keeps its log-probabilities."""
    rule = Rule(id="m", detector="mail", action=action, mode=mode)  # pyright: ignore
    stream = PolicyEngine([Policy("p", (rule,))], SCANNER, key=KEY).stream()
    assert stream is not None
    parts = ["mail ", "ann", "@", "b.co", " ", "an"]
    assert [stream.feed("c", part) for part in parts] == parts
    assert stream.flush("c") == ""
    assert [finding.type for finding in stream.verdict.findings] == ["EMAIL_ADDRESS"]
    document = ['{"to": "ann', '@b.co"}']
    assert [stream.feed("d", part, json=True) for part in document] == document
    assert stream.flush("d") == ""
    assert len(stream.verdict.findings) == 2
