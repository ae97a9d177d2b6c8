"""Texts that were clean are not judged again, and no verdict is another for it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from guardrails.detector import Match
from guardrails.engine import PolicyEngine
from guardrails.interface import ALLOWED, Segment
from guardrails.policy import Policy, Rule
from guardrails.remembered import Remembered, name_of
from guardrails.scanner import Scanner
from guardrails.vault import Vault
from tests.support.detectors import Accuser, Card, ReGate, mail
from tests.support.oracle import KEY

REQUEST = frozenset(("request",))
TEXTS = st.sampled_from(["words", "more words", "evil", "to a@b.co", "4111111111111111", "", '{"a":"evil"}', "é"])
PARTS = st.tuples(st.sampled_from(["1 ", "11 "]), st.sampled_from(["user", "tool"]), st.booleans(), st.text())


def test_what_comes_again_is_kept_and_what_does_not_is_forgotten() -> None:
    known = Remembered(b"s", most=3)
    known.add(b"kept")
    for number in range(100):
        assert b"kept" in known
        known.add(b"%d" % number)
        assert b"%d" % number in known
    assert b"0" not in known
    assert sum(b"%d" % number in known for number in range(100)) <= 6


@given(PARTS, PARTS)
def test_a_name_is_that_of_one_text_and_reader(
    one: tuple[str, str, bool, str], other: tuple[str, str, bool, str]
) -> None:
    assert (name_of(*one) == name_of(*other)) is (one == other)


def test_a_lone_surrogate_has_a_name() -> None:
    assert len(name_of("k", "user", False, "\ud800")) == 32


def test_keys_are_of_the_process_and_of_one_reader() -> None:
    known = Remembered(b"a")
    assert len({known.key(), known.key(), Remembered(b"b").key()}) == 3


def rule(detector: str, action: str, id: str, **more: object) -> Rule:
    return Rule(id=id, detector=detector, action=action, **more)  # pyright: ignore


def user(text: str, path: str = "messages[0].content") -> list[Segment]:
    return [Segment(path, "user", text)]


JUDGED = (rule("accuser", "block", "judge"), rule("mail", "mask", "mail"))


class Broken(Accuser):
    """Fails at every text."""

    def judge(self, text: str, role: str) -> list[Match]:
        raise RuntimeError


def remembering(
    accuser: Accuser, *rules: Rule, remembered: Remembered | None = None, memory: bool = True
) -> PolicyEngine:
    scanner = Scanner([mail(), Card()], [accuser], ["remote"], gate=ReGate)
    known = (remembered if remembered is not None else Remembered(b"s")) if memory else None
    return PolicyEngine([Policy("p", rules or JUDGED)], scanner, key=KEY, remembered=known)


def told(role: str, text: str) -> tuple[str, bytes]:
    return role, json.dumps(text).encode()


def test_a_clean_text_is_judged_once_and_one_that_is_not_every_time() -> None:
    accuser = Accuser()
    judge = remembering(accuser)
    segments = [*user("words"), *user("to a@b.co", "messages[1].content")]
    first = judge.inspect(segments, "request")
    assert len(accuser.asked) == 2
    assert judge.inspect(segments, "request") == first
    assert len(accuser.asked) == 3
    assert first.enforced == "mask"
    assert judge.inspect(user("words"), "request") is ALLOWED
    assert len(accuser.asked) == 3


def test_who_says_it_where_and_as_what_is_part_of_a_text() -> None:
    accuser = Accuser()
    judge = remembering(accuser)
    text = '{"a":"words"}'
    for path, role, direction in (
        ("a", "user", "request"),
        ("a", "tool", "request"),
        ("a.arguments", "user", "request"),
        ("a", "user", "response"),
    ):
        judge.inspect([Segment(path, role, text)], direction)  # pyright: ignore[reportArgumentType]
    assert len(accuser.asked) == 4


def test_two_teams_share_the_memory_and_no_name() -> None:
    accuser, known = Accuser(), Remembered(b"s")
    remembering(accuser, remembered=known).inspect(user("words"), "request")
    remembering(accuser, remembered=known).inspect(user("words"), "request")
    assert len(accuser.asked) == 2


def test_a_text_that_was_not_judged_by_every_rule_is_not_remembered() -> None:
    accuser = Accuser()
    limited = remembering(accuser, rule("accuser", "block", "judge", max_total=10, beyond="allow"))
    limited.inspect([*user("x" * 9), *user("words")], "request")
    assert len(accuser.asked) == 1
    limited.inspect(user("words"), "request")
    assert len(accuser.asked) == 2
    broken = remembering(Broken())
    assert broken.inspect(user("words"), "request").enforced == "block"
    assert broken.inspect(user("words"), "request").enforced == "block"


def test_what_depends_on_others_is_not_remembered() -> None:
    accuser = Accuser()
    judge = remembering(accuser, *JUDGED, rule("remote", "block", "outside"))
    assert not judge.remembers("request", "chat")
    judge.inspect(user("words"), "request")
    judge.inspect(user("words"), "request")
    assert len(accuser.asked) == 2
    assert not remembering(accuser, memory=False).remembers("request", "chat")


@given(st.lists(st.tuples(st.sampled_from(["user", "tool", "system"]), TEXTS), max_size=6))
def test_a_memory_changes_no_verdict(parts: list[tuple[str, str]]) -> None:
    known = remembering(Accuser())
    plain = remembering(Accuser(), memory=False)
    for end in range(len(parts) + 1):
        segments = [Segment(f"messages[{at}].content", role, text) for at, (role, text) in enumerate(parts[:end])]
        assert known.inspect(segments, "request", "chat") == plain.inspect(segments, "request", "chat")
        if known.passes([told(role, text) for role, text in parts[:end]], "request", "chat"):
            assert plain.inspect(segments, "request", "chat") is ALLOWED


def test_texts_pass_when_they_were_clean_or_a_glance_shows_it() -> None:
    judge = remembering(Accuser())
    assert not judge.passes([told("user", "words")], "request")
    judge.inspect(user("words"), "request")
    assert judge.passes([told("user", "words")], "request")
    assert not judge.passes([told("user", "words"), told("user", "other")], "request")
    assert not judge.passes([told("tool", "words")], "request")
    assert judge.passes([], "request")
    glancing = remembering(Accuser(), rule("mail", "mask", "mail", max_total=40, beyond="block"))
    assert glancing.passes([told("user", "words")], "request")
    assert not glancing.passes([told("user", "a@b.co")], "request")
    assert not glancing.passes([told("user", "words")] * 9, "request")
    assert remembering(Accuser(), rule("mail", "mask", "mail", on=REQUEST)).passes([told("user", "a@b.co")], "response")
    vault = Vault(bytes(16))
    vault.placeholder("a@b.co")
    assert not glancing.passes([told("user", "words")], "response", vault=vault)
