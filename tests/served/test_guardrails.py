"""Guardrails on requests, with the real SDKs: what the provider gets, and what the client is told."""

import gzip
import json

import anthropic
import httpx
import openai
import pytest

from tests.support.answers import chat, message, response
from tests.support.guarded import CARD, CLAUDE, EMAIL, SECRET, Guarded
from tests.support.scripted import Scripted, unary

SAID = [{"role": "user", "content": f"I am {EMAIL}, card {CARD}."}]
MASKED = "I am <EMAIL_ADDRESS>, card <CREDIT_CARD>."


def ask(guarded: Guarded, team: str, messages: list | None = None, **more: object):
    raw = guarded.openai(team).chat.completions.with_raw_response
    return raw.create(model="gpt-4o-mini", messages=messages or SAID, **more)


@pytest.fixture
def fine(provider: Scripted) -> Scripted:
    provider.says(chat("fine"))
    return provider


def test_every_surface_of_a_chat_request_is_masked(guarded: Guarded, fine: Scripted) -> None:
    arguments = json.dumps({"to": EMAIL, "n": [1, {"cc": f"x {EMAIL}"}], "quote": f'"{EMAIL}"\n'})
    messages = [
        {"role": "system", "content": f"Answer {EMAIL} only."},
        {"role": "user", "name": "someone", "content": [{"type": "text", "text": f"My card: {CARD}"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "mail", "arguments": arguments}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": f"sent to {EMAIL}, key {SECRET}"},
    ]
    parameters = {"type": "object", "properties": {"to": {"type": "string", "description": f"such as {EMAIL}"}}}
    tool = {"name": "mail", "description": f"Mails {EMAIL}", "parameters": parameters}
    ask(guarded, "masked", messages, tools=[{"type": "function", "function": tool}], metadata={"note": EMAIL})
    body = fine.last.json
    assert EMAIL.encode() not in fine.last.body
    assert CARD.encode() not in fine.last.body
    assert SECRET.encode() not in fine.last.body
    assert body["messages"][0]["content"] == "Answer <EMAIL_ADDRESS> only."
    assert body["messages"][1]["content"][0]["text"] == "My card: <CREDIT_CARD>"
    mailed = json.loads(body["messages"][2]["tool_calls"][0]["function"]["arguments"])
    expected = {
        "to": "<EMAIL_ADDRESS>",
        "n": [1, {"cc": "x <EMAIL_ADDRESS>"}],
        "quote": '"<EMAIL_ADDRESS>"\n',
    }
    assert mailed == expected
    assert body["messages"][3]["content"].startswith("sent to <EMAIL_ADDRESS>, key <")
    described = body["tools"][0]["function"]
    assert described["description"] == "Mails <EMAIL_ADDRESS>"
    assert described["parameters"]["properties"]["to"]["description"] == "such as <EMAIL_ADDRESS>"
    assert body["model"] == "gpt-4o-mini"


def test_embeddings_moderations_and_completions_are_masked(guarded: Guarded, provider: Scripted) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.1]}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    provider.says({"object": "list", "data": [vector], "model": "m", "usage": usage})
    client = guarded.openai("masked")
    client.embeddings.create(model="text-embedding-3-small", input=["one", EMAIL], encoding_format="float")
    assert provider.last.json["input"] == ["one", "<EMAIL_ADDRESS>"]
    client.moderations.create(model="omni-moderation-latest", input=f"mail {EMAIL}")
    assert provider.last.json["input"] == "mail <EMAIL_ADDRESS>"
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt=[f"From {EMAIL}", "and"])
    assert provider.last.json["prompt"] == ["From <EMAIL_ADDRESS>", "and"]


def test_responses_are_masked(guarded: Guarded, provider: Scripted) -> None:
    provider.says(response("fine"))
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": f"I am {EMAIL}"}]},
        {"type": "function_call", "call_id": "c", "name": "mail", "arguments": json.dumps({"to": EMAIL})},
        {"type": "function_call_output", "call_id": "c", "output": f"mailed {EMAIL}"},
    ]
    guarded.openai("masked").responses.create(model="gpt-4o-mini", instructions=f"Help {EMAIL}", input=items)
    body = provider.last.json
    assert EMAIL.encode() not in provider.last.body
    assert body["instructions"] == "Help <EMAIL_ADDRESS>"
    assert json.loads(body["input"][1]["arguments"]) == {"to": "<EMAIL_ADDRESS>"}
    assert body["input"][2]["output"] == "mailed <EMAIL_ADDRESS>"


def test_anthropic_messages_are_masked(guarded: Guarded, provider: Scripted) -> None:
    provider.says(message("fine"))
    messages = [
        {"role": "user", "content": [{"type": "text", "text": f"I am {EMAIL}"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "mail", "input": {"to": EMAIL}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": f"mailed {EMAIL}"}]},
    ]
    system = [{"type": "text", "text": f"Help {EMAIL}"}]
    guarded.anthropic("masked").messages.create(model=CLAUDE, max_tokens=9, system=system, messages=messages)
    body = provider.last.json
    assert EMAIL.encode() not in provider.last.body
    assert body["system"][0]["text"] == "Help <EMAIL_ADDRESS>"
    assert body["messages"][1]["content"][0]["input"] == {"to": "<EMAIL_ADDRESS>"}
    assert body["messages"][2]["content"][0]["content"] == "mailed <EMAIL_ADDRESS>"


def test_a_blocked_request_is_a_bad_request_and_goes_nowhere(guarded: Guarded, fine: Scripted) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(guarded, "refused")
    assert (caught.value.status_code, caught.value.code) == (400, "content_filter")
    assert "no-mail" in caught.value.message
    assert EMAIL not in caught.value.response.text
    assert fine.seen == []
    row = guarded.row(caught.value.request_id)
    assert (row["outcome"], row["status"], row["input_tokens"], row["output_tokens"]) == ("blocked", 400, 0, 0)
    assert row["cost_nanos"] in (0, None)
    assert json.loads(row["guardrails"])[0]["enforced"] == "block"
    assert EMAIL not in json.dumps(row)


def test_a_blocked_stream_request_is_refused_the_same_way(guarded: Guarded, fine: Scripted) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(guarded, "refused", stream=True)
    assert caught.value.code == "content_filter"
    assert fine.seen == []


def test_a_block_has_the_envelope_of_anthropic_on_messages(guarded: Guarded, fine: Scripted) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        guarded.anthropic("refused").messages.create(model=CLAUDE, max_tokens=9, messages=SAID)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "invalid_request_error"
    assert EMAIL not in caught.value.response.text
    assert fine.seen == []


def test_a_block_says_the_rules_own_words(guarded: Guarded, fine: Scripted) -> None:
    with pytest.raises(openai.BadRequestError, match="Please leave personal data out"):
        ask(guarded, "canned")


def test_a_block_may_have_an_answer_of_its_own(guarded: Guarded, fine: Scripted) -> None:
    """docs/guardrails.md: "With `answer: TEXT` the client gets that text instead, with 200, as the model's answer"."""
    for stream in (False, True):
        asked = {"model": "gpt-4o-mini", "messages": SAID, "stream": stream}
        got = httpx.post(guarded.v1 + "/chat/completions", json=asked, headers={"authorization": "Bearer sk-answered"})
        assert (got.status_code, "I cannot talk about that." in got.text) == (200, True)
        assert got.headers["content-type"].startswith("text/event-stream" if stream else "application/json")
        assert got.headers["x-tollway-guardrails"].startswith("request=block:")
    assert fine.seen == []
    refused = httpx.post(
        guarded.v1 + "/embeddings",
        json={"model": "text-embedding-3-small", "input": EMAIL},
        headers={"authorization": "Bearer sk-answered"},
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "content_filter")


@pytest.mark.parametrize("team", ["shadow", "warn", "free"])
def test_shadow_warn_and_no_policy_change_nothing(guarded: Guarded, provider: Scripted, team: str) -> None:
    """Not a byte: a request that needs no other model name arrives as it was sent."""
    answer = json.dumps(chat(f"You are {EMAIL}.")).encode()
    provider.says(unary(answer))
    body = json.dumps({"model": "gpt-4o-mini", "messages": SAID}).encode()
    got = httpx.post(guarded.v1 + "/chat/completions", content=body, headers={"authorization": f"Bearer sk-{team}"})
    assert provider.last.body == body
    assert got.content == answer
    told = got.headers.get("x-tollway-guardrails", "")
    if team == "warn":
        assert "request=warn-mask:CREDIT_CARD+EMAIL_ADDRESS" in told or "EMAIL_ADDRESS+CREDIT_CARD" in told
        assert "response=warn-mask:EMAIL_ADDRESS" in told
    else:
        assert told == ""
    row = guarded.row(got.headers["x-request-id"])
    assert ("EMAIL_ADDRESS" in row["guardrails"]) is (team != "free")
    assert EMAIL not in json.dumps(row)


def test_enforced_masks_are_told_in_the_header(guarded: Guarded, fine: Scripted) -> None:
    told = ask(guarded, "masked").headers["x-tollway-guardrails"]
    assert told.startswith("request=mask:")
    assert "EMAIL_ADDRESS" in told


def test_a_finding_reroutes_to_another_model(guarded: Guarded, fine: Scripted) -> None:
    """The text itself stays; what served is told."""
    assert ask(guarded, "rerouted").headers["x-tollway-model"] == "gpt-4o"
    assert fine.last.json["model"] == "gpt-4o"
    assert EMAIL in fine.last.json["messages"][0]["content"]
    assert ask(guarded, "rerouted", [{"role": "user", "content": "hi"}]).headers["x-tollway-model"] == "gpt-4o-mini"


def test_a_rollout_is_a_share_of_the_keys_and_no_client_can_choose(guarded: Guarded, fine: Scripted) -> None:
    """`rollout`: share of the virtual keys; the same ones each time, whatever request id the client gives."""
    enforced: dict[int, set[bool]] = {}
    for key in range(16):
        for attempt in range(3):
            ask(guarded, f"half-{key}", extra_headers={"x-request-id": f"mine-{attempt}"})
            enforced.setdefault(key, set()).add(fine.last.json["messages"][0]["content"] == MASKED)
    assert all(len(seen) == 1 for seen in enforced.values())
    assert set().union(*enforced.values()) == {True, False}


def test_what_is_longer_than_max_scan_meets_what_the_rule_says(guarded: Guarded, fine: Scripted) -> None:
    long = [{"role": "user", "content": f"{EMAIL} {'word ' * 60}{EMAIL}"}]
    ask(guarded, "head", long)
    assert fine.last.json["messages"][0]["content"] == f"<EMAIL_ADDRESS> {'word ' * 60}{EMAIL}"
    with pytest.raises(openai.BadRequestError) as caught:
        ask(guarded, "capped", long)
    assert caught.value.code == "content_filter"
    assert len(fine.seen) == 1
    ask(guarded, "capped")
    assert fine.last.json["messages"][0]["content"] == MASKED


def test_an_upload_that_cannot_be_read_is_refused(guarded: Guarded, fine: Scripted) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        guarded.openai("masked").files.create(file=("a.txt", EMAIL.encode()), purpose="batch")
    assert caught.value.code == "guardrail_cannot_read"
    assert fine.seen == []
    assert guarded.row(caught.value.request_id)["outcome"] == "blocked"


def test_an_upload_passes_where_the_rule_is_for_other_operations(guarded: Guarded, provider: Scripted) -> None:
    provider.says({"id": "file-1", "object": "file", "filename": "a.txt", "bytes": 1, "purpose": "batch"})
    guarded.openai("narrow").files.create(file=("a.txt", EMAIL.encode()), purpose="batch")
    assert EMAIL.encode() in provider.last.body
    provider.says(chat("fine"))
    ask(guarded, "narrow")
    assert provider.last.json["messages"][0]["content"] == MASKED


def test_a_json_body_of_an_operation_that_passes_through_is_masked(guarded: Guarded, provider: Scripted) -> None:
    provider.says({"created": 1, "data": [{"url": "u", "revised_prompt": f"for {EMAIL}"}]})
    answer = guarded.openai("masked").images.generate(model="gpt-4o-mini", prompt=f"A card for {EMAIL}")
    assert provider.last.json["prompt"] == "A card for <EMAIL_ADDRESS>"
    assert int(provider.last.headers["content-length"]) == len(provider.last.body)
    assert answer.data[0].revised_prompt == "for <EMAIL_ADDRESS>"


@pytest.mark.parametrize("path", ["/chat/completions", "/images/generations"])
def test_a_compressed_body_is_read_decoded(guarded: Guarded, fine: Scripted, path: str) -> None:
    """Guardrails see the text, and the provider gets what they left of it, without a coding."""
    body = gzip.compress(json.dumps({"model": "gpt-4o-mini", "prompt": EMAIL, "messages": SAID}).encode())
    client = guarded.openai("masked")
    headers = {"authorization": f"Bearer {client.api_key}", "content-encoding": "gzip"}
    httpx.post(
        f"{client.base_url}".rstrip("/") + path, content=body, headers={**headers, "content-type": "application/json"}
    )
    assert fine.last.json["messages"][0]["content"] == MASKED
    assert EMAIL.encode() not in fine.last.body


def test_an_image_of_a_megabyte_stays_beside_texts_that_are_masked(guarded: Guarded, provider: Scripted) -> None:
    """A huge body is read by its outline: what its long strings are goes on byte for byte, or masked, both ways."""
    url = "data:image/png;base64," + "iVBORw0KGgoAAAAN" * 65_536
    prose = "The committee met in the old library. " * 4_000
    said = [
        {"type": "text", "text": f"What does {EMAIL} show?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": prose + EMAIL + " " + prose},
    ]
    provider.says(chat(prose + EMAIL + " " + prose + 'é\n"' * 30_000))
    answer = guarded.openai("masked").chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": said}]
    )
    parts = provider.last.json["messages"][0]["content"]
    assert parts[0]["text"] == "What does <EMAIL_ADDRESS> show?"
    assert parts[1]["image_url"]["url"] == url
    assert parts[2]["text"] == f"{prose}<EMAIL_ADDRESS> {prose}"
    assert b"\x7f" not in provider.last.body
    assert answer.choices[0].message.content == prose + "<EMAIL_ADDRESS> " + prose + 'é\n"' * 30_000


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/audio/speech"])
def test_a_huge_body_whose_last_string_does_not_end_is_refused_at_once(
    guarded: Guarded, provider: Scripted, path: str
) -> None:
    """A string that does not end, full of escaped quotes, behind a long one and many commas: a body to be read in its
    length, not in the square of it."""
    body = b'{"model":"gpt-4o-mini","a":"%b","b":"%b","c":"%b' % (b"x" * 80_000, b"," * 1_100_000, b'\\"' * 400_000)
    answer = httpx.post(
        guarded.url + path,
        content=body,
        headers={"authorization": "Bearer sk-masked", "content-type": "application/json"},
        timeout=60,
    )
    assert answer.status_code in (400, 403)
    assert not provider.seen
