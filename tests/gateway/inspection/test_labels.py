"""Strings that are told whole, and what they make together."""

from gateway.inspection.labels import Labels
from gateway.inspection.plans import Slot

SLOT = Slot(0, "")


def mask(text: str, role: str, json: bool) -> tuple[str, None]:
    return text.replace("a@b", "<M>"), None


def test_pieces_that_are_harmless_alone_are_judged_together():
    labels = Labels(8)
    assert labels.goes_with(SLOT, (b"0",), "a@", "a@", mask)
    assert not labels.goes_with(SLOT, (b"0",), "b", "b", mask)


def test_other_keys_and_harmless_repetitions_go_on():
    labels = Labels(8)
    assert labels.goes_with(SLOT, (b"0",), "a@", "a@", mask)
    assert labels.goes_with(SLOT, (b"1",), "b", "b", mask)
    for _ in range(1000):
        assert labels.goes_with(SLOT, (b"2",), "weather", "weather", mask)


def test_what_was_masked_alone_stays_harmless_together():
    labels = Labels(8)
    assert labels.goes_with(SLOT, (b"0",), "a@b", "<M>", mask)
    assert labels.goes_with(SLOT, (b"0",), "c", "c", mask)


def test_no_more_keys_are_kept_than_allowed():
    labels = Labels(1)
    assert labels.goes_with(SLOT, (b"0",), "x", "x", mask)
    assert labels.goes_with(SLOT, (b"1",), "a@", "a@", mask)
    assert labels.goes_with(SLOT, (b"1",), "b", "b", mask)
