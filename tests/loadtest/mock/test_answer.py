"""The documented rules of what the mock says, and of what it counts."""

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadtest.mock.answer import Ask, Tool, compose, meter, prompt_text, prompt_tokens
from loadtest.mock.scenario import Meters, Output

_TEXT = st.text(max_size=50)


def _ask(**more: Any) -> Ask:
    return Ask(**({"prompt": "p", "prompt_tokens": 1} | more))


@given(st.lists(_TEXT, max_size=5))
def test_input_tokens_are_bytes_over_four_rounded_up(texts: list[str]) -> None:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    parts = [{"type": "text", "text": text} for text in texts]
    assert prompt_tokens(texts) == prompt_tokens(parts) == prompt_tokens([{"content": parts}]) == math.ceil(size / 4)
    assert prompt_text(parts) == "".join(texts)


def test_token_ids_count_one_each_and_image_parts_nothing() -> None:
    assert prompt_tokens([1, 2, 3]) == 3
    assert prompt_tokens([[1, 2], [3]]) == 3
    assert prompt_tokens([{"type": "image_url", "image_url": {"url": "http://127.0.0.1/x"}}]) == 0
    assert prompt_tokens(None) == 0


@given(st.integers(0, 500), st.integers(1, 9), st.integers(0, 3))
def test_a_request_gets_its_maximum_up_to_256_tokens(maximum: int, size: int, choice: int) -> None:
    answer = compose(_ask(max_tokens=maximum), Output(chars_per_token=size), choice)
    assert len(answer.pieces) == min(maximum, 256)
    assert all(len(piece) == size for piece in answer.pieces)
    assert not answer.truncated


@given(_TEXT, st.integers(1, 9), st.integers(0, 60))
def test_a_given_text_is_cut_at_the_maximum(text: str, size: int, maximum: int) -> None:
    answer = compose(_ask(max_tokens=maximum), Output(text=text, chars_per_token=size))
    pieces = math.ceil(len(text) / size)
    assert answer.truncated is (maximum < pieces)
    assert answer.text == text[: maximum * size]


def test_a_fixed_number_of_tokens_is_cut_too() -> None:
    assert len(compose(_ask(), Output(tokens=40)).pieces) == 40
    cut = compose(_ask(max_tokens=5), Output(tokens=40))
    assert (len(cut.pieces), cut.truncated) == (5, True)


def test_when_a_tool_is_called() -> None:
    tools = [Tool("first", {}), Tool("second", {})]

    def called(**more: Any) -> str | None:
        return compose(_ask(tools=tools, **more), Output()).tool

    assert called(forced="second") == "second"
    assert called(forced="") == "first"
    assert called(last_text="use second please") == "second"
    assert called(last_text="use second please", user_last=False) is None
    assert called(last_text="use second please", tools_off=True) is None
    assert called(last_text="nothing") is None


def test_meters_are_part_of_the_sums() -> None:
    answer = compose(_ask(max_tokens=10), Output())
    metered = meter(_ask(), [answer, answer], Meters(cached=5, cache_write=7, reasoning=3))
    assert (metered.input, metered.output) == (12, 23)
    assert meter(_ask(), [answer], Meters(input=100, cached=5)).input == 100
