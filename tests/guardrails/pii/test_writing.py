"""How telephone numbers are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.writing import GAPS, SPAN, Before, Writings, balanced

NOTHING = Before("", follows=False, joined=False, refused=False)
INNER = Before(" ", follows=True, joined=False, refused=False)
skeletons = st.text(alphabet="0" * 12 + GAPS, min_size=1, max_size=SPAN + 1).map(lambda text: "0" + text.rstrip(GAPS))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1 (2) 3", True),
        ("(1) 2", True),
        ("(1 (2) 3", True),
        ("(1 ((2) 3", False),
        ("1", True),
        ("1 2) 3)", False),
        ("1) 2", True),
        ("(1 2", True),
    ],
)
def test_brackets_come_in_pairs(text: str, right: bool) -> None:
    assert balanced(text) is right


def test_a_skeleton_says_what_a_chain_can_be() -> None:
    writings = Writings(extra=True)
    number = writings.worked_out(NOTHING, "", "000-000-0000")
    assert [(one.end, one.shape and one.shape.rule, one.need) for one in number.written] == [
        (12, "pii.phone_number.grouped", "varied")
    ]
    assert [one.end for one in number.dialled] == [12]
    card = writings.worked_out(NOTHING, "", "0000 0000 0000 0000")
    assert (card.written, card.dialled) == ((), ())
    assert writings.worked_out(INNER, "", "0000 0000").abroad


def test_a_bracket_belongs_to_a_number_that_closes_it() -> None:
    writings = Writings(extra=True)
    assert writings.worked_out(NOTHING, "(", "000) 000-0000").written[0].signed
    assert not writings.worked_out(NOTHING, "", "000-000-0000").written[0].signed


@given(skeletons, st.booleans(), st.sampled_from(["", "+", "(", "(+"]), st.sampled_from([NOTHING, INNER]))
def test_a_number_ends_with_a_group_of_its_chain(skeleton: str, extra: bool, sign: str, before: Before) -> None:
    """*The first groups of a chain*: every end is the end of a group, and none lies beyond `SPAN`."""
    writing = Writings(extra).worked_out(before, sign, skeleton)
    ends = [one.end for one in (*writing.written, *writing.dialled)]
    assert all(end <= writing.end <= SPAN for end in ends)
    assert all(skeleton[end - 1] == "0" and skeleton[end : end + 1] != "0" for end in ends)


@given(skeletons)
def test_what_is_remembered_is_what_was_worked_out(skeleton: str) -> None:
    writings = Writings(extra=True)
    first = writings.read(NOTHING, "", skeleton)
    assert first == writings.read(NOTHING, "", skeleton) == writings.worked_out(NOTHING, "", skeleton)
