"""When classifiers are asked, and what their answer does."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.interface import Segment
from guardrails.policy import AllowList, Policy, Rule
from guardrails.scanner import Scanner
from tests.support.detectors import Accuser, ReGate
from tests.support.oracle import KEY


def engine(accuser: Accuser, action: str = "block", step: int = 40, window: int = 100, **more: object) -> PolicyEngine:
    rule = Rule(id="c", detector="accuser", action=action, threshold=0.5, **more)  # pyright: ignore
    return PolicyEngine([Policy("p", (rule,))], Scanner([], [accuser], gate=ReGate), key=KEY, step=step, window=window)


def test_a_body_is_judged_once_and_whole() -> None:
    accuser = Accuser()
    verdict = engine(accuser).inspect([Segment("m", "user", "evil " * 500)], "request")
    assert accuser.asked == [2500]
    assert (verdict.enforced, verdict.findings[0].end, verdict.findings[0].evidence) == ("block", 2500, "model")


def test_a_stream_is_judged_at_every_step_and_at_the_end_over_a_window() -> None:
    accuser = Accuser()
    stream = engine(accuser).stream()
    assert stream is not None
    for _ in range(25):
        stream.feed("c", "good word ")
    assert accuser.asked == [40, 80, 100, 100, 100, 100]
    stream.flush("c")
    assert accuser.asked[6:] == [100]


@given(st.lists(st.integers(1, 90), max_size=30), st.integers(0, 30))
def test_what_is_out_when_it_blocks_is_a_question_of_the_text(sizes: list[int], good: int) -> None:
    """ "Where a stream is judged depends on its text alone": any cutting lets out the same characters."""
    text = "good " * good + "evil " * 60
    stream, whole = engine(Accuser()).stream(), engine(Accuser()).stream()
    assert stream is not None
    assert whole is not None
    expected = whole.feed("c", text) + whole.flush("c")
    out, at = "", 0
    for size in sizes:
        out += stream.feed("c", text[at : at + size])
        at += size
    out += stream.feed("c", text[at:]) + stream.flush("c")
    assert (out, stream.blocked) == (expected, whole.blocked)
    assert stream.blocked


def test_a_finding_that_windows_see_again_counts_once() -> None:
    stream = engine(Accuser(), "flag").stream()
    assert stream is not None
    stream.feed("c", "evil " * 100)
    stream.flush("c")
    assert stream.verdict.results[0].count == 1
    assert (stream.verdict.enforced, stream.blocked) == ("flag", False)


def test_arguments_are_judged_as_one_text_of_their_strings() -> None:
    accuser = Accuser()
    text = '{"a": "evil evil", "b": ["evil \\u0065vil", 1]}'
    verdict = engine(accuser).inspect([Segment("c.arguments", "assistant", text)], "response")
    assert verdict.enforced == "block"
    stream = engine(Accuser(), step=10).stream()
    assert stream is not None
    for char in text:
        stream.feed("c", char, json=True)
    assert stream.blocked


def test_an_allowed_digest_is_no_finding() -> None:
    text = "evil twin"
    found = engine(Accuser()).inspect([Segment("m", "user", text)], "request").findings
    allow = AllowList(digests=frozenset((found[0].digest,)))
    assert engine(Accuser(), allow=allow).inspect([Segment("m", "user", text)], "request").findings == ()


def test_a_classifier_that_fails_closes_its_rule() -> None:
    class Broken(Accuser):
        def judge(self, text: str, role: str) -> list[Match]:
            raise ValueError(text)

    segment = Segment("m", "user", "private words")
    verdict = engine(Broken()).inspect([segment], "request")
    assert (verdict.enforced, verdict.failures[0].error) == ("block", "ValueError")
    assert engine(Broken(), on_failure="open").inspect([segment], "request").enforced == "allow"


class Patient(Accuser):
    """Says whether it was asked to let others go first."""

    def judge_paused(self, text: str, role: str, breathe: Callable[[], None]) -> list[Match]:
        breathe()
        return self.judge(text, role)


def test_a_classifier_that_can_pause_does_so_where_others_wait() -> None:
    patient, breaths = Patient(), list[None]()
    judge = engine(patient)
    assert judge.inspect([Segment("m", "user", "evil")], "request").enforced == "block"
    assert not breaths
    verdict = judge.inspect([Segment("m", "user", "evil")], "request", breathe=lambda: breaths.append(None))
    assert verdict.enforced == "block"
    assert len(breaths) >= 2
