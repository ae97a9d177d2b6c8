"""Llama-Guard-like models: turns that alternate, one word of verdict, codes by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection.external.llama_guard import LlamaGuard
from gateway.inspection.external.shape import Context, Reply, Stamp, Text, WrongAnswer
from gateway.inspection.report import Spent
from tests.support.detector_services import config_of

ROLES = st.sampled_from(["system", "user", "assistant", "tool", "output", "input"])


def messages(*roles: str, **changes: object) -> list[dict[str, str]]:
    texts = [Text(role, f"{role} {index}") for index, role in enumerate(roles)]
    outgoing = LlamaGuard(config_of("llama-guard", "http://x", **changes)).request(texts, Context(), Stamp(0, "i"))
    return json.loads(outgoing.body)["messages"]


def reply(said: str | None, **answer: object) -> Reply:
    body = {"choices": [{"message": {"role": "assistant", "content": said}}]} | answer
    return LlamaGuard(config_of("llama-guard", "http://x")).reply([], 200, json.dumps(body).encode())


@given(st.lists(ROLES, min_size=1, max_size=8))
def test_turns_alternate_begin_with_the_users_and_keep_every_text(roles: list[str]) -> None:
    """ "The conversation's texts of one role in a row are one turn, because templates want turns to alternate"."""
    sent = messages(*roles)
    assert [message["role"] for message in sent] == ["user", "assistant"] * (len(sent) // 2) + ["user"] * (
        len(sent) % 2
    )
    joined = "\n\n".join(message["content"] for message in sent).strip()
    assert joined == "\n\n".join(f"{role} {index}" for index, role in enumerate(roles))


def test_a_policy_of_ones_own_is_the_system_message() -> None:
    assert messages("user", prompt="judge this")[0] == {"role": "system", "content": "judge this"}


@pytest.mark.parametrize(("said", "types"), [
    ("safe", []), ("\n\nsafe\n", []), ("unsafe\nS1", ["VIOLENT_CRIMES"]), ("\n\nunsafe\nS10,S2\n", ["HATE",
     "NON_VIOLENT_CRIMES"]), ("UNSAFE", ["UNSAFE"]), ("unsafe\nS99", ["S99"]), ("unsafe\nO3, O3", ["O3"]),
    ("unsafe\n" + "x" * 99, ["UNSAFE"]), ("unsafe\nContext is wrong", ["CONTEXT_IS_WRONG"]),
])  # fmt: skip
def test_verdicts(said: str, types: list[str]) -> None:
    got = reply(said)
    assert got.flagged is bool(types)
    assert [match.type for _, match in got.matches] == types


@pytest.mark.parametrize("said", ["", None, "I cannot judge that", "safe-ish", "unsafely\nS1"])
def test_anything_else_is_no_verdict(said: str | None) -> None:
    with pytest.raises(WrongAnswer, match="neither safe nor unsafe"):
        reply(said)


def test_what_it_cost_is_reported() -> None:
    got = reply("safe", usage={"prompt_tokens": 9, "completion_tokens": 2}, model="guard-8b")
    assert got.spent == Spent("guard-8b", 9, 2)
    assert reply("safe").spent == Spent("judge", 0, 2, told=False)
    with pytest.raises(WrongAnswer) as caught:
        reply("perhaps", usage={"prompt_tokens": 9, "completion_tokens": 2})
    assert caught.value.spent == Spent("judge", 9, 2)
