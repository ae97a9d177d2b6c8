"""Guardrails on whole answers, with the real SDKs: masked, counted and priced as before, or refused; and pseudonyms."""

import gzip
import json

import httpx
import openai
import pytest

from tests.support.answers import chat, completion, message, response
from tests.support.guarded import CARD, CLAUDE, EMAIL, Guarded
from tests.support.scripted import Scripted, Wire, unary

HI = [{"role": "user", "content": "hi"}]
ANSWER = chat(f"You are {EMAIL}.", f"Or pay with {CARD}!", calls=(json.dumps({"to": EMAIL, "é": ["☃", EMAIL]}),))


def ask(guarded: Guarded, team: str, messages: list | None = None, model: str = "gpt-4o-mini", **headers: str):
    """Not through an SDK: its bytes and headers matter."""
    return httpx.post(
        guarded.v1 + "/chat/completions",
        json={"model": model, "messages": messages or HI},
        headers={"authorization": f"Bearer sk-{team}", **headers},
        timeout=60,
    )


def test_an_answer_is_masked_in_every_choice_and_call(guarded: Guarded, provider: Scripted) -> None:
    provider.says(ANSWER)
    answer = guarded.openai("masked").chat.completions.create(model="gpt-4o-mini", messages=HI, n=2)
    first, second = answer.choices
    assert first.message.content == "You are <EMAIL_ADDRESS>."
    assert second.message.content == "Or pay with <CREDIT_CARD>!"
    called = json.loads(first.message.tool_calls[0].function.arguments)
    assert called == {"to": "<EMAIL_ADDRESS>", "é": ["☃", "<EMAIL_ADDRESS>"]}
    assert answer.usage.total_tokens == 120


def test_usage_and_cost_are_those_of_the_provider(guarded: Guarded, provider: Scripted) -> None:
    provider.says(ANSWER)
    masked, free = ask(guarded, "masked"), ask(guarded, "free")
    assert int(masked.headers["content-length"]) == len(masked.content) < len(free.content)
    assert masked.headers["x-tollway-cost-usd"] == free.headers["x-tollway-cost-usd"]
    rows = [guarded.row(answer.headers["x-request-id"]) for answer in (masked, free)]
    for meter in ("input_tokens", "output_tokens", "cost_nanos", "estimated", "outcome", "status"):
        assert rows[0][meter] == rows[1][meter]
    assert (rows[0]["input_tokens"], rows[0]["output_tokens"], rows[0]["outcome"]) == (100, 20, "ok")
    assert rows[0]["cost_nanos"] > 0


def test_completions_responses_and_messages_are_masked(guarded: Guarded, provider: Scripted) -> None:
    client = guarded.openai("masked")
    provider.says(completion(f"Mail {EMAIL}", CARD))
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="x")
    assert [choice.text for choice in answer.choices] == ["Mail <EMAIL_ADDRESS>", "<CREDIT_CARD>"]
    provider.says(response(f"Mail {EMAIL}", json.dumps({"to": EMAIL})))
    answer = client.responses.create(model="gpt-4o-mini", input="x")
    assert answer.output_text == "Mail <EMAIL_ADDRESS>"
    assert json.loads(answer.output[1].arguments) == {"to": "<EMAIL_ADDRESS>"}
    provider.says(message(f"Mail {EMAIL}", {"to": EMAIL}))
    answer = guarded.anthropic("masked").messages.create(model=CLAUDE, max_tokens=9, messages=HI)
    assert answer.content[0].text == "Mail <EMAIL_ADDRESS>"
    assert answer.content[1].input == {"to": "<EMAIL_ADDRESS>"}
    assert answer.usage.output_tokens == 20


def test_an_answer_compressed_unasked_is_masked_and_leaves_plain(guarded: Guarded, provider: Scripted) -> None:
    """Identity is asked for; some providers compress all the same."""
    provider.says(unary(gzip.compress(json.dumps(ANSWER).encode()), content_encoding="gzip"))
    answer = ask(guarded, "masked", **{"accept-encoding": "gzip"})
    assert provider.last.headers["accept-encoding"] == "identity"
    assert "content-encoding" not in answer.headers
    assert answer.json()["choices"][0]["message"]["content"] == "You are <EMAIL_ADDRESS>."
    assert guarded.row(answer.headers["x-request-id"])["output_tokens"] == 20


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"\x00\x01not gzip", "gzip"), (b"secret " + EMAIL.encode(), "br"), (b"<p>" + EMAIL.encode(), "identity")],
)
def test_an_answer_nobody_can_read_does_not_pass(
    guarded: Guarded, provider: Scripted, body: bytes, encoding: str
) -> None:
    provider.says(unary(body, content_encoding=encoding))
    answer = ask(guarded, "masked")
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_error"
    assert EMAIL not in answer.text
    assert guarded.row(answer.headers["x-request-id"])["outcome"] == "upstream_error"


def test_a_huge_answer_nobody_can_hold_does_not_pass(guarded: Guarded, provider: Scripted) -> None:
    provider.says(chat(f"{EMAIL} " + "word " * (9 << 18)))
    answer = ask(guarded, "masked")
    assert answer.status_code == 502
    assert EMAIL not in answer.text
    assert EMAIL in ask(guarded, "free").text


def test_a_blocked_answer_is_a_bad_request_and_costs_what_it_cost(guarded: Guarded, provider: Scripted) -> None:
    provider.says(chat("Eat the forbidden fruit."))
    with pytest.raises(openai.BadRequestError) as caught:
        guarded.openai("answers").chat.completions.create(model="gpt-4o-mini", messages=HI)
    assert caught.value.code == "content_filter"
    assert "no-fruit" in caught.value.message
    assert "forbidden fruit" not in caught.value.response.text
    assert len(provider.seen) == 1
    row = guarded.row(caught.value.request_id)
    assert (row["outcome"], row["status"], row["input_tokens"], row["output_tokens"]) == ("blocked", 400, 100, 20)
    assert row["cost_nanos"] > 0


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_providers_refusal_passes_as_it_is(guarded: Guarded, provider: Scripted, status: int) -> None:
    body = json.dumps({"error": {"message": "no such parameter", "type": "invalid_request_error"}}).encode()
    provider.says(unary(body, status))
    answer = ask(guarded, "answers")
    assert (answer.status_code, answer.content) == (status, body)
    assert guarded.row(answer.headers["x-request-id"])["outcome"] == "upstream_status"


def test_pseudonyms_go_out_and_come_back(guarded: Guarded, provider: Scripted) -> None:
    """The provider sees one placeholder for one value; text and tool arguments get the value back."""

    def echo(wire: Wire, seen) -> None:
        said = seen.json["messages"][0]["content"]
        unary(chat(f"So: {said}", calls=(json.dumps({"said": [said]}),)))(wire, seen)

    provider.says(echo)
    text = f'{EMAIL} and "o\'neil@example.org", again {EMAIL}'
    answer = ask(guarded, "pseudo", [{"role": "user", "content": text}]).json()["choices"][0]["message"]
    sent = provider.last.json["messages"][0]["content"]
    assert "example" not in sent
    assert sent.split()[0] == sent.split()[-1]
    assert answer["content"] == f"So: {text}"
    assert json.loads(answer["tool_calls"][0]["function"]["arguments"]) == {"said": [text]}


def test_pseudonyms_of_an_exchange_are_nobody_elses(guarded: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    ask(guarded, "pseudo", [{"role": "user", "content": EMAIL}])
    first = provider.last.json["messages"][0]["content"]
    provider.says(chat(f"You are {first}"))
    answer = ask(guarded, "pseudo", [{"role": "user", "content": EMAIL}])
    assert provider.last.json["messages"][0]["content"] != first
    assert answer.json()["choices"][0]["message"]["content"] == f"You are {first}"


def test_pseudonyms_come_back_in_every_dialect(guarded: Guarded, provider: Scripted) -> None:
    def last_word(value: object) -> str:
        return json.dumps(value).rstrip('"]}').rsplit(" ", 1)[1]

    provider.play = lambda wire, seen: unary(message("hi", {"to": last_word(seen.json["messages"])}))(wire, seen)
    ask = {"role": "user", "content": f"I am {EMAIL}"}
    answer = guarded.anthropic("pseudo").messages.create(model=CLAUDE, max_tokens=9, messages=[ask])
    assert EMAIL.encode() not in provider.last.body
    assert answer.content[1].input == {"to": EMAIL}
    provider.play = lambda wire, seen: unary(response(f"Hi {last_word(seen.json['input'])}"))(wire, seen)
    answer = guarded.openai("pseudo").responses.create(model="gpt-4o-mini", input=f"I am {EMAIL}")
    assert EMAIL.encode() not in provider.last.body
    assert answer.output_text == f"Hi {EMAIL}"
