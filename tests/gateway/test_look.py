"""A look lets a body pass only where guardrails that are asked let it pass as it is."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.quick import answer_segments, prompt_segments
from gateway.guard import Guard
from gateway.look import GLANCED, REMEMBERED, answer_passes, request_passes
from guardrails.engine import PolicyEngine
from guardrails.interface import ALLOWED, Verdict
from guardrails.policy import Policy, Rule
from guardrails.remembered import Remembered
from guardrails.scanner import Scanner
from guardrails.vault import Vault
from tests.support.detectors import Accuser, Card, ReGate, mail
from tests.support.oracle import KEY

CHAT = "chat.completions"
TEXTS = st.sampled_from(["words", "a@b.co", "evil", "é", 'say "a"', "a\\u0062", "4111111111111111", ""])


def made(*detectors: str, memory: bool = False) -> PolicyEngine:
    rules = tuple(Rule(id=name, detector=name, action="mask" if name == "mail" else "block") for name in detectors)
    scanner = Scanner([mail(), Card()], [Accuser()], gate=ReGate)
    return PolicyEngine([Policy("p", rules)], scanner, key=KEY, remembered=Remembered(b"s") if memory else None)


class Watched:
    """So much of a `Guard` as a look needs."""

    def __init__(self, engine: PolicyEngine, operation: str = CHAT, **more: Any) -> None:
        self.engine, self.operation = engine, operation
        self.outside = self.pseudonyms = self.vault = None
        self.told: list[str] = []
        self.__dict__.update(more)

    def judged(self, verdict: Verdict, direction: str) -> None:
        assert verdict is ALLOWED
        self.told.append(direction)

    def has_tokens(self, body: bytes) -> bool:
        return b'"logprobs":{' in body


def looks(body: bytes, engine: PolicyEngine, answer: bool = False, **more: Any) -> bool:
    guard = Watched(engine, **more)
    passes = (answer_passes if answer else request_passes)(cast(Guard, guard), body)
    assert guard.told == [("response" if answer else "request")] * passes
    return passes


def request(*texts: str, **more: Any) -> bytes:
    messages = [{"role": "user", "content": text} for text in texts]
    return json.dumps({"model": "m", "messages": messages, **more}, separators=(",", ":"), ensure_ascii=False).encode()


def answer(*texts: str, **more: Any) -> bytes:
    choices = [{"index": at, "message": {"role": "assistant", "content": text}} for at, text in enumerate(texts)]
    return json.dumps({"id": "c", "choices": choices, **more}, separators=(",", ":"), ensure_ascii=False).encode()


@given(
    st.lists(TEXTS, max_size=3), st.booleans(), st.sampled_from([{}, {"user": "a@b.co"}, {"tools": [{"x": "evil"}]}])
)
def test_what_passes_a_look_is_allowed_by_guardrails(texts: list[str], classified: bool, more: dict[str, Any]) -> None:
    engine = made("mail", "card", *(["accuser"] if classified else []), memory=True)
    for _ in range(2):
        asked, said = request(*texts, **more), answer(*texts, **more)
        prompts, answers = prompt_segments(asked), answer_segments(said, "choices")
        if looks(asked, engine):
            assert engine.inspect(prompts, "request", CHAT) is ALLOWED
        if looks(said, engine, answer=True):
            assert engine.inspect(answers, "response", CHAT) is ALLOWED
        engine.inspect(prompts, "request", CHAT)
        engine.inspect(answers, "response", CHAT)


def test_clean_bodies_pass_at_a_glance_and_judged_ones_when_they_come_again() -> None:
    assert looks(request("words"), made("mail"))
    assert looks(request("words", tools=[{"type": "function"}]), made("mail"))
    assert looks(answer("words"), made("mail"), answer=True)
    assert looks(answer("words", citations=["words"]), made("mail"), answer=True)
    engine = made("mail", "accuser", memory=True)
    for body, is_answer in ((request("words"), False), (answer("words"), True)):
        assert not looks(body, engine, is_answer)
        if is_answer:
            engine.inspect(answer_segments(body, "choices"), "response", CHAT)
        else:
            engine.inspect(prompt_segments(body), "request", CHAT)
        assert looks(body, engine, is_answer)


@pytest.mark.parametrize("more", [{"outside": SimpleNamespace()}, {"pseudonyms": SimpleNamespace()}])
def test_some_requests_are_left_to_guardrails(more: dict[str, Any]) -> None:
    assert not looks(request("words"), made("mail"), **more)


def test_numbers_of_tokens_are_no_text() -> None:
    assert looks(b'{"model":"m","input":"words"}', made("mail"), operation="embeddings")
    assert not looks(b'{"model":"m","input":[1,2]}', made("mail"), operation="embeddings")
    assert not looks(b'{"model":"m","input":"a@b.co"}', made("mail"), operation="embeddings")


def test_answers_that_are_to_be_rewritten_are_left_to_guardrails() -> None:
    vault = Vault(bytes(16))
    vault.placeholder("a@b.co")
    assert not looks(answer("words"), made("mail"), answer=True, vault=vault)
    assert not looks(answer("words"), made("mail"), answer=True, outside=SimpleNamespace())
    told = answer("words").replace(b'"index":0', b'"index":0,"logprobs":{"content":[]}')
    assert not looks(told, made("mail"), answer=True)


def test_long_bodies_are_not_looked_at() -> None:
    assert not looks(request("x " * GLANCED), made("mail"))
    assert not looks(answer("x " * GLANCED), made("mail"), answer=True)
    engine = made("accuser", memory=True)
    for size, passes in ((GLANCED, True), (REMEMBERED, False)):
        body = request("x " * (size // 2))
        engine.inspect(prompt_segments(body), "request", CHAT)
        assert looks(body, engine) is passes
