"""JSON judged inside its strings: it stays JSON, and nothing else in it changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.engine import PolicyEngine
from guardrails.interface import Segment, Verdict
from guardrails.jsontext import JsonText
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from tests.support.detectors import Card, Overlapping, ReGate, Words, mail
from tests.support.oracle import KEY, rewritten_json

DETECTORS = [mail(), Card(), Words("names", "NAME", "kestrel", 'say "kestrel"'), Overlapping("xs", "x")]
RULES = (
    Rule(id="m", detector="mail", action="mask"), Rule(id="c", detector="card", action="redact"),
    Rule(id="n", detector="names", action="hash"),
)  # fmt: skip
ENGINE = PolicyEngine([Policy("p", RULES)], Scanner(DETECTORS, gate=ReGate), key=KEY)

TEXTS = st.lists(
    st.sampled_from(["a@b.co", "é@b.co", "4111111111111111", " ", "kestrel", '"', "\\", "\n", "é", "😀", "\ud83d"]),
    max_size=8,
).map("".join)  # fmt: skip
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none(),
              st.just(4111111111111111)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=4)),
    max_leaves=12,
).map(lambda value: value if isinstance(value, dict | list) else [value])  # fmt: skip


def judged(text: str, engine: PolicyEngine = ENGINE) -> tuple[str, Verdict]:
    verdict = engine.inspect([Segment("call.arguments", "assistant", text)], "request")
    return (verdict.rewrites[0].text if verdict.rewrites else text), verdict


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_strings_and_numbers_are_judged_decoded_and_the_rest_stays(
    value: object, ascii_only: bool, indent: int | None
) -> None:
    """ "Judged inside its string values (decoded), rewritten inside them, stays valid JSON": the document means what a
    plain model makes of its values, and one in which nothing is found is untouched."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    out, verdict = judged(text)
    assert json.loads(out) == rewritten_json(json.loads(text), RULES, DETECTORS)
    assert (out == text) == (verdict.enforced == "allow")


@given(VALUES, st.booleans())
def test_findings_stand_where_the_value_is_written(value: object, ascii_only: bool) -> None:
    """`start`, `end` are those of the segment: what is written there decodes to a value with the finding's digest."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    _, verdict = judged(text)
    for finding in verdict.findings:
        written = text[finding.start : finding.end]
        assert ENGINE.hasher.digest(json.loads(f'"{written}"')) == finding.digest


def test_other_bytes_are_untouched() -> None:
    text = '{ "to" :\t["\\u0061@b.co, \\/ \\u00e9\\ud83d\\ude00 \\ud83d"],\r\n "n": 1.5e1, "card":4111111111111111 }'
    assert judged(text)[0] == (
        '{ "to" :\t["<EMAIL_ADDRESS>, \\/ \\u00e9\\ud83d\\ude00 \\ud83d"],\r\n "n": 1.5e1, "card":"************1111" }'
    )


def test_a_members_name_cannot_be_rewritten_and_blocks() -> None:
    _out, verdict = judged('{"a@b.co": 1}')
    assert verdict.enforced == "block"
    assert verdict.rewrites == ()
    assert judged('{"z": "a@b.co", "y": {"q": ["a@b.co"]}}')[1].enforced == "mask"


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ('{"a": b@b.co}', '{"a": <EMAIL_ADDRESS>}'),
        ("[4111 1111 1111 1111]", "[**** **** **** 1111]"),
        ("[ Note ] a@b.co, \"a@b.co\"", "[ Note ] <EMAIL_ADDRESS>, \"<EMAIL_ADDRESS>\""),
        ("{} a@b.co", "{} <EMAIL_ADDRESS>"),
        ('{"a" "a@b.co"', '{"a" "<EMAIL_ADDRESS>"'),
        ('{"a": "x a@b.co', '{"a": "x <EMAIL_ADDRESS>'),
        ('["\\x a@b.co"]', '["\\x <EMAIL_ADDRESS>"]'),
        ('["\\u00', '["\\u00'),
        ("[4111111111111111", '["************1111"'),
        ("  a@b.co", "  <EMAIL_ADDRESS>"),
        ("[" + "1" * 300 + " a@b.co]", "[" + "1" * 300 + " <EMAIL_ADDRESS>]"),
        ('["a@b.co"}', '["<EMAIL_ADDRESS>"}'),
        ("[,] a@b.co", "[,] <EMAIL_ADDRESS>"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_no_json_is_plain_text_from_there_on(text: str, out: str) -> None:
    assert judged(text)[0] == out


def test_depth_costs_a_byte_a_level() -> None:
    deep = "[" * 150_000 + '"a@b.co"' + "]" * 150_000
    assert judged(deep)[0].count("<EMAIL_ADDRESS>") == 1


class Echo:
    """A text that passes everything, and counts what it is fed."""

    def __init__(self) -> None:
        self.fed = 0
        self.blocked = False
        self.breathe = None

    def __call__(self, origin: int, *, name: bool = False, quoted: bool = False) -> "Echo":
        return self

    def clean(self, text: str) -> bool:
        return False

    def feed(self, text: str, spelled: object = (), final: bool = False) -> str:
        self.fed += len(text)
        return text

    def finish(self) -> str:
        return ""

    def held(self) -> int:
        return 0


def test_an_escape_is_never_cut_and_nothing_else_waits() -> None:
    echo = Echo()
    machine = JsonText(echo, echo)
    pieces = ['{"a": "x\\', "u00", "e9y\\ud83d", "\\u", "de00z\\", '"', 'w"', ",", ' "n": 12', "3", " }"]
    held: list[int] = []
    for piece in pieces:
        machine.feed(piece)
        held.append(machine.held())
    assert held == [1, 4, 6, 8, 1, 0, 0, 0, 2, 3, 0]
    assert machine.finish() == ""
    assert echo.fed == len("a" + 'xéy😀z"w' + "n")


@given(
    st.lists(st.sampled_from(["\\", "\\\\", "u", "d83d", "ude00", "d", "8", '\\"', "n", "a@b.co", " "]), max_size=14)
)
def test_backslashes_are_counted_from_the_beginning_of_the_string(parts: list[str]) -> None:
    """Cut after every character, a string of nothing but escapes and what looks like them comes out as the whole."""
    text = '["' + "".join(parts)
    stream = ENGINE.stream()
    assert stream is not None
    out = "".join(stream.feed("c", char, json=True) for char in text) + stream.flush("c")
    assert out == judged(text)[0]


@pytest.mark.parametrize(
    ("text", "out"),
    [
        (r'["12\\ud83d\\ude00a@b.co "]', r'["12\\ud83d\\<EMAIL_ADDRESS> "]'),
        (r'["\\ud83d\u0061@b.co "]', r'["\\<EMAIL_ADDRESS> "]'),
    ],
)
def test_an_escaped_backslash_is_not_half_a_surrogate_pair(text: str, out: str) -> None:
    assert judged(text)[0] == out
    for pieces in (list(text), *([text[:cut], text[cut:]] for cut in range(len(text)))):
        stream = ENGINE.stream()
        assert stream is not None
        assert "".join(stream.feed("c", piece, json=True) for piece in pieces) + stream.flush("c") == out


def test_a_number_made_to_be_waited_for_is_let_go() -> None:
    echo = Echo()
    machine = JsonText(echo, echo)
    machine.feed("[")
    for _ in range(5_000):
        machine.feed("1")
        assert machine.held() <= 257
    for _ in range(100):
        machine.feed(" ")
        assert machine.held() <= 257
