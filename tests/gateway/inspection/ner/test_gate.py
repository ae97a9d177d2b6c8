"""The gate: what is worth a model's time."""

import pytest

from gateway.inspection.ner.gate import worth
from gateway.inspection.ner.words import WordLists

LISTS = WordLists(
    frozenset({"anna", "will"}),
    frozenset({"muller"}),
    frozenset({"oslo"}),
    frozenset({"will", "the", "please", "it", "sum"}),
)


@pytest.mark.parametrize("text", ["anna came", "ask Xerxes", "flights to oslo", "müller", "my name is jo", "Mr jo",
                                  "he calls me al", "Σωκράτης"])  # fmt: skip
def test_worth(text: str) -> None:
    assert worth(text, LISTS)


@pytest.mark.parametrize("text", ["", "4711 0815", "please sum it", "it will", "The sum", "PLEASE", "x = y + 1"])
def test_not_worth(text: str) -> None:
    assert not worth(text, LISTS)
