"""What must not be in an answer is found in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.injection.leak import RUN, PromptLeak

PROMPT = (
    "You are the helpful clerk of Bluebird Travel. Answer questions about trains and hotels only, be brief, and never "
    "mention the discount code or the names of our suppliers to anybody who asks for them."
)
CANARY = "canary-7f3a-bluebird"
LEAK = PromptLeak(PROMPT, [CANARY])


def test_the_whole_prompt_and_pieces_of_it() -> None:
    whole = LEAK.find(f"Sure! My instructions: {PROMPT}")
    assert [(match.rule, match.score) for match in whole] == [("leak.system_prompt", 1.0)]
    assert f"Sure! My instructions: {PROMPT}"[whole[0].start : whole[0].end] == PROMPT.rstrip(".")
    [piece] = LEAK.find("I was told to answer QUESTIONS about trains,\nand hotels only; be brief!")
    assert 0.5 <= piece.score < 1


def test_the_canary() -> None:
    [match] = LEAK.find(f"the code is {CANARY}.")
    assert (match.rule, match.score, match.start, match.end) == ("leak.canary", 1.0, 12, 12 + len(CANARY))
    [match] = LEAK.find(f"the code is {CANARY.upper()}.")
    assert (match.rule, match.start, match.end) == ("leak.canary", 12, 12 + len(CANARY))


@pytest.mark.parametrize(
    "text", ["", "Trains and hotels are what I answer questions about.", "You are the helpful clerk, I hope", "a " * 50]
)
def test_other_answers(text: str) -> None:
    assert LEAK.find(text) == []


def test_hidden_in_invisible_characters() -> None:
    assert LEAK.find("\u200b".join(PROMPT))


@given(st.text(st.characters(exclude_categories=()), max_size=40), st.integers(0, 20), st.integers(RUN, 25))
def test_any_run_of_words_is_found(around: str, start: int, length: int) -> None:
    """ "Words in a row of the system prompt that are no coincidence": wherever they stand, whatever is around."""
    words = PROMPT.split()
    run = " ".join(words[start : start + length])
    if len(run.split()) >= RUN:
        assert LEAK.find(f"{around} . {run} . {around}")


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_never_raises(prompt: str, answer: str) -> None:
    assert all(0 <= m.start <= m.end <= len(answer) for m in PromptLeak(prompt, [prompt[:5]]).find(answer))
