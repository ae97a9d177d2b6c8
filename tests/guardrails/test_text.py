"""The machine of one text: what is certain comes out, nothing else, at bounded cost."""

import pytest

from guardrails.actions import Hasher
from guardrails.policy import Policy, Rule
from guardrails.program import Plans, Program
from guardrails.scanner import Scanner
from guardrails.secrets.detector import SecretDetector
from guardrails.tally import Tally
from guardrails.text import Text
from tests.support.detectors import Card, Failing, Overlapping, Pattern, ReGate, Words, fence, mail
from tests.support.oracle import KEY

Detects = Pattern | Words | Overlapping | Failing


def machine(*rules: Rule, detectors: list[Detects], rewritable: bool = True) -> tuple[Text, Tally, Program]:
    scanner = Scanner(detectors, gate=ReGate)
    plan = Plans([Policy("p", rules)], scanner, "").plan("response", "")
    program = plan.program("assistant") if plan is not None else None
    assert program is not None
    tally = Tally("response", Hasher(KEY))
    return Text(program, tally, "c", rewritable=rewritable), tally, program


def mask(detector: str, **more: object) -> Rule:
    return Rule(id=detector, detector=detector, action="mask", **more)  # pyright: ignore


def test_only_what_may_still_be_part_of_a_match_is_held_back() -> None:
    text, _, _ = machine(mask("mail"), detectors=[mail()])
    conversation = [
        ("write to ", "write to "), ("ann", ""), ("@site", ""), (".co", ""), (".uk", ""), (" now", "<EMAIL_ADDRESS> "),
        (" or", "now "), ("!", "or!"),
    ]  # fmt: skip
    for given, certain in conversation:
        assert text.feed(given) == certain
    assert text.held() == 0
    assert text.finish() == ""


def test_a_complete_match_waits_for_a_longer_one_from_the_same_start() -> None:
    text, _, _ = machine(mask("mail"), detectors=[mail()])
    assert text.feed("test@exampl") == ""
    assert [text.feed(piece) for piece in (".co", ".uk", ".com", ",")] == ["", "", "", "<EMAIL_ADDRESS>,"]


def test_a_match_waits_for_others_that_may_start_inside_it() -> None:
    detectors: list[Detects] = [Overlapping("xs", "x"), Overlapping("ys", "y", 0.9)]
    text, _, _ = machine(mask("xs"), mask("ys"), detectors=detectors)
    assert text.feed("x3ab") == ""
    assert text.feed("y9") == "", "y's match starts in x's, and may be the longer one"
    assert text.feed("2345678") == ""
    assert text.feed("901") == "<X><Y>1", "x's is cut by the longer one"


def test_what_is_cut_by_a_stronger_match_is_taken_out_whole_and_written_once() -> None:
    detectors: list[Detects] = [Overlapping("xs", "x"), Words("names", "NAME", "ann")]
    text, _, _ = machine(mask("xs"), Rule(id="n", detector="names", action="redact"), detectors=detectors)
    assert text.whole("x8-ann-bcd.") == "<X>."
    text, _, _ = machine(Rule(id="x", detector="xs", action="hash"), mask("names"), detectors=detectors)
    assert text.whole("x8-ann-bcd.") == "<X><NAME>."


def test_a_block_lets_out_what_stands_before_it_and_nothing_more() -> None:
    block = Rule(id="b", detector="names", action="block")
    text, tally, _ = machine(block, mask("mail"), detectors=[mail(), Words("names", "NAME", "kestrel")])
    assert text.feed("a@b.co says kes") == "<EMAIL_ADDRESS> says "
    assert text.feed("trel. And") == ""
    assert tally.blocked
    assert text.feed(" more") == text.finish() == ""


def test_text_that_cannot_be_rewritten_is_blocked() -> None:
    text, tally, _ = machine(mask("mail"), detectors=[mail()], rewritable=False)
    assert text.whole("names a@b.co") == "names "
    assert tally.blocked
    assert tally.verdict().results[0].action == "block"


@pytest.mark.parametrize("where", ["confirm", "settled"])
def test_a_failure_lets_nothing_raw_through_when_closed(where: str) -> None:
    detectors: list[Detects] = [Failing(mail(), "bait@", where)]
    text, tally, _ = machine(mask("mail"), detectors=detectors)
    assert text.feed("a@b.co ") == "<EMAIL_ADDRESS> "
    assert text.feed("bait@b.co ") + text.feed("x") + text.finish() == ""
    assert tally.blocked
    (failure,) = tally.verdict().failures
    assert (failure.detector, failure.error, failure.rules, failure.closed) == ("mail", "RuntimeError", ("mail",), True)
    assert "bait" not in repr(tally.verdict())


def test_a_failure_passes_the_text_without_the_rule_when_open() -> None:
    detectors: list[Detects] = [Failing(mail(), "bait@"), Card()]
    text, tally, _ = machine(mask("mail", on_failure="open"), mask("card"), detectors=detectors)
    assert text.whole("bait@b.co 4111111111111111") == "bait@b.co <CREDIT_CARD>"
    assert not tally.blocked
    assert not tally.verdict().failures[0].closed


def test_a_failure_in_shadow_is_recorded_and_blocks_nothing() -> None:
    text, tally, _ = machine(mask("mail", mode="shadow"), detectors=[Failing(mail(), "bait@")])
    assert text.whole("bait@b.co") == "bait@b.co"
    verdict = tally.verdict()
    assert (verdict.action, verdict.enforced) == ("block", "allow")


def test_a_gate_that_fails_fails_all_who_need_it() -> None:
    class Broken(ReGate):
        def scan(self, data: bytes) -> list[tuple[int, int]]:
            raise MemoryError

    plan = Plans([Policy("p", (mask("mail"),))], Scanner([mail()], gate=Broken), "").plan("response", "")
    program = plan.program("") if plan is not None else None
    assert program is not None
    tally = Tally("response", Hasher(KEY))
    assert Text(program, tally, "c").whole("a@b.co") == ""
    assert tally.verdict().failures[0].error == "MemoryError"


def test_a_span_outside_the_text_is_a_failure() -> None:
    class Wild(Overlapping):
        def confirm(self, text: str, hits: object) -> list[object]:  # pyright: ignore
            return [m.__class__(m.type, m.start, m.end + 99, 1.0, "r") for m in super().confirm(text, ())]

    _, tally, _ = machine(mask("xs"), detectors=[Wild("xs", "x")])
    text, tally, _ = machine(mask("xs"), detectors=[Wild("xs", "x")])
    assert text.whole("x1a") == ""
    assert tally.blocked


@pytest.mark.parametrize(("beyond", "blocked"), [("block", True), ("allow", False), ("scan_head_and_tail", False)])
def test_a_text_longer_than_max_scan_meets_what_the_rule_declares(beyond: str, blocked: bool) -> None:
    """Answers, whole or in pieces: the head is judged; `scan_head_and_tail` judges all of an answer."""
    given = "a@b.co 3456789. a@b.co"
    for pieces in ([given], list(given)):
        text, tally, _ = machine(mask("mail", max_scan=10, beyond=beyond), detectors=[mail()])
        out = "".join(map(text.feed, pieces)) + text.finish()
        tail = "a@b.co" if beyond == "allow" else "<EMAIL_ADDRESS>"
        assert out == "<EMAIL_ADDRESS> 345" + ("" if blocked else "6789. " + tail)
        assert tally.blocked is blocked
        limits = [f for f in tally.verdict().findings if f.type == "SCAN_LIMIT"]
        assert [(f.start, f.end) for f in limits] == ([] if beyond == "scan_head_and_tail" else [(10, 11)])


def test_lone_surrogates_are_judged_and_passed_on_as_they_are() -> None:
    text, _, _ = machine(mask("mail"), detectors=[mail()])
    assert text.feed("\ud83d a@b.co ") == "\ud83d <EMAIL_ADDRESS> "
    assert text.feed("\ud83d") + text.feed("\ude00") + text.finish() == "\ud83d\ude00"


def test_the_window_is_bounded_and_each_character_is_scanned_a_bounded_number_of_times() -> None:
    """A long answer in small pieces: memory is the reach and a slack, and the gate sees each character as often as it
    stays in the window."""
    text, _, program = machine(mask("mail"), mask("card"), detectors=[mail(), Card()])
    gate = program.gate
    assert isinstance(gate, ReGate)
    prose = "the quick brown fox jumps over the lazy dog and runs away, " * 400
    held: list[int] = []
    for at in range(0, len(prose), 8):
        text.feed(prose[at : at + 8])
        held.append(text.held())
        assert len(text._buf) < 150  # pyright: ignore
    assert sum(held) / len(held) <= 4
    assert gate.scanned < 20 * len(prose)


@pytest.mark.parametrize("bait", ["<<" + "a" * 699, "<<" * 400, "x9" * 700, "x9y9" * 300, "kes" * 300, "a@b." * 300])
def test_text_made_to_sit_in_the_hold_back_is_let_go_and_costs_little(bait: str) -> None:
    """ "Held back is at most twice the longest reach", and one character at a time costs a bounded number of looks."""
    detectors: list[Detects] = [
        fence(), Overlapping("xs", "x"), Overlapping("ys", "y"), Words("names", "NAME", "kestrel"), mail()
    ]  # fmt: skip
    text, _, program = machine(*(mask(d.name) for d in detectors), detectors=detectors)
    gate = program.gate
    assert isinstance(gate, ReGate)
    given = bait * 5
    out: list[str] = []
    for char in given:
        out.append(text.feed(char))
        assert text.held() <= 2 * 706
    out.append(text.finish())
    assert "".join(out) == machine(*(mask(d.name) for d in detectors), detectors=detectors)[0].whole(given)
    assert gate.scanned < 400 * len(given)


@pytest.mark.parametrize("where", ["confirm", "settled"])
def test_a_detector_that_broke_is_not_asked_about_this_text_again(where: str) -> None:
    failing = Failing(mail(), "bait@", where)
    text, _, _ = machine(mask("mail", on_failure="open"), detectors=[failing])
    given = ["bait@b.co ", "c@d.co ", "bait@b.co "]
    assert "".join(map(text.feed, given)) + text.finish() == "".join(given)
    assert failing.broke == 1


def test_a_detector_that_never_settles_is_overruled_by_its_reach() -> None:
    class Stubborn(Words):
        def settled(self, text: str) -> int:
            return 0

    stubborn = Stubborn("names", "NAME", "kestrel")
    text, _, _ = machine(mask("names"), detectors=[stubborn])
    out = ""
    for char in "a kestrel flies over the house" * 10:
        out += text.feed(char)
        assert text.held() <= 2 * (stubborn.reach.length + stubborn.reach.after)
    assert out.startswith("a <NAME> flies")


def test_a_long_wait_is_looked_at_ever_more_rarely() -> None:
    """ "Looked at again only after it grew by a sixteenth of what is held"."""

    class Counting(Words):
        asked = 0

        def settled(self, text: str) -> int:
            self.asked += 1
            return 0

    long = Counting("names", "NAME", "k" * 4_000)
    text, _, _ = machine(mask("names"), detectors=[long])
    for _ in range(4_000):
        text.feed("k")
    assert text.held() == 4_000
    assert long.asked < 256 + 16 * 4


def test_what_is_long_past_is_no_reason_to_look_again() -> None:
    asked = mail()
    text, _, _ = machine(mask("mail"), detectors=[asked])
    text.feed("a@b.co, ")
    for _ in range(5):
        text.feed("and so on ")
    assert asked.confirmed == 1


def test_each_rule_meets_its_own_limit_once() -> None:
    rules = (mask("mail", max_scan=10, beyond="allow"), mask("card", max_scan=20, beyond="allow"))
    for pieces in (["z" * 30], ["z"] * 30, ["z" * 15, "z" * 15]):
        text, tally, _ = machine(*rules, detectors=[mail(), Card()])
        for piece in pieces:
            text.feed(piece)
        assert [(f.policy_rule, f.start) for f in tally.verdict().findings] == [("mail", 10), ("card", 20)]


def test_words_that_come_again_are_not_scanned_again_unless_a_match_could_end_with_them() -> None:
    """A word the gate saw nothing in is known, also to other texts; one behind which more is looked at never is."""
    scanner = Scanner([SecretDetector()], gate=ReGate)
    plan = Plans([Policy("p", (mask("secrets"),))], scanner, "").plan("response", "")
    program = plan.program("assistant") if plan is not None else None
    assert program is not None
    gate = program.gate
    assert isinstance(gate, ReGate)
    seen: list[list[str]] = []
    for _ in range(3):
        text = Text(program, Tally("response", Hasher(KEY)), "c")
        assert text.feed("So ") == "So "
        scanned: list[str] = []
        for piece in ("we ", "sa", "w ", "that ", "it ", "is ", "in a ", "xoxe", " x "):
            before = gate.scanned
            text.feed(piece)
            scanned += [piece] * (gate.scanned > before)
        seen.append(scanned)
        assert text.finish() == ""
    assert seen[0] == ["we ", "w ", "that ", "it ", "is ", "in a ", " x "]
    assert seen[1] == seen[2] == ["is ", "in a ", " x "]
