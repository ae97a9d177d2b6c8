"""The JSON of judgements."""

from typing import get_args, get_type_hints

import msgspec
import pytest

from gateway.admin.review_shapes import MarkValue
from gateway.ledger.reviews import UNDO, VERDICTS


def test_what_may_be_said_is_what_the_ledger_takes():
    assert set(get_args(get_type_hints(MarkValue)["verdict"])) == {*VERDICTS, UNDO}


@pytest.mark.parametrize("more", [{"note": "jane@example.org"}, {"verdict": "x"}])
def test_nothing_else_can_be_said(more: dict[str, str]):
    """A judgement has no free text, in which somebody might write the value."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"rule": "r", "digest": "0" * 16, "verdict": "later", **more}, MarkValue)
