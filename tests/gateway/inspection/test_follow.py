"""The log-probabilities of one text, kept until what they tell of has left."""

import pytest

from gateway.inspection.follow import MOST_AHEAD, Follower
from gateway.inspection.logprobs import Token


class Step:
    """A stage that is told what became of its text."""

    def __init__(self, shift: int = 0) -> None:
        self.taken = self.passed = 0
        self.replaced = [(0, 0, shift)]


def tokens(*said: str) -> list[Token]:
    return [Token(each.encode(), {"text_offset": at}) for at, each in enumerate(said)]


def told(follower: Follower) -> list[bytes]:
    return [each.said for found in follower.due().values() for each in found]


def test_a_token_goes_on_with_the_last_of_its_characters():
    step = Step()
    follower = Follower((step,))
    follower.take("one two", "content", tokens("one", " two"))
    step.taken, step.passed = 7, 6
    assert told(follower) == [b"one"]
    step.passed = 7
    assert told(follower) == [b" two"]
    assert follower.idle
    assert not follower.dropped


def test_what_was_replaced_in_part_never_does_and_what_follows_is_told_where_it_stands():
    first, second = Step(), Step(shift=1)
    follower = Follower((first, second))
    follower.take("ab cd ef", "", tokens("ab ", "c", "d ", "ef"))
    first.taken = first.passed = 8
    first.replaced.append((3, 4, 10))
    second.taken = second.passed = 18
    assert [(each.said, each.told["text_offset"]) for each in follower.due()[""]] == [
        (b"ab ", 1), (b"d ", 2 + 11), (b"ef", 3 + 11),
    ]  # fmt: skip
    assert follower.dropped == 1


def test_tokens_wait_for_their_text():
    """ "Tokens may come before their text, as some servers send them, and are then kept until it comes.\""""
    step = Step()
    follower = Follower((step,))
    half = [Token("☃".encode()[:2], {}), Token("☃".encode()[2:], {})]
    follower.take("", "content", half[:1])
    assert follower.accepts("☃", half[1:])
    assert not follower.accepts("x", half[1:])
    follower.take("☃", "content", half[1:])
    step.taken = step.passed = 1
    assert told(follower) == [each.said for each in half]
    follower.take("", "content", tokens("<|end|>"))
    follower.take("x", "content", tokens("x"))
    step.taken = step.passed = 2
    assert told(follower) == [b"x"]
    assert follower.dropped == 1
    follower.take("", "content", tokens(*["y"] * (MOST_AHEAD + 1)))
    assert follower.idle


@pytest.mark.parametrize("pieces", [("é", "fgh"), ("é", "", "fg", "h"), ("☃é", "fgh"), ("e", "é", "fgh")])
def test_several_tokens_may_come_before_their_text(pieces: tuple[str, ...]):
    """The same, of tokens that begin beyond all the text that is there, which is not ASCII: that ended the stream."""
    step = Step()
    follower = Follower((step,))
    given = tokens(*pieces[0], "f", "g", "h") if pieces[0] != "e" else tokens("e", "é", "f", "g", "h")
    for at, piece in enumerate(pieces):
        follower.take(piece, "content", () if at else given)
        step.taken = step.passed = step.taken + len(piece)
    assert told(follower) == [each.said for each in given]
    assert follower.dropped == 0


def test_tokens_of_another_text_are_left_out():
    follower = Follower((Step(),))
    follower.take("abc", "content", tokens("a", "x"))
    assert follower.idle
    assert follower.dropped == 2


def test_where_nobody_can_say_more_a_text_that_came_out_as_it_was_keeps_its_tokens():
    follower = Follower(None)
    for unchanged in (True, False):
        follower.take("ab", "content", tokens("a", "b"))
        assert len(follower.due(unchanged).get("content", [])) == 2 * unchanged
    assert not follower.accepts("a", tokens("a", "b"))
