"""What guardrails cannot read at all: uploads, speech, numbers of tokens, answers that are no JSON. Kept back where an
enforced rule is closed; passed on as they came where none is, because only an enforced rule acts."""

import gzip
import json
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.support.answers import chat
from tests.support.guarded import EMAIL, Guarded
from tests.support.scripted import Scripted, unary
from tests.support.served import wait_for

PASSING = ("lenient", "warn", "shadow")
"""Teams whose rule is open, or not enforced."""
HUGE = json.dumps(chat(EMAIL + " " + "word " * (9 << 18))).encode()
TOKENS = {"model": "text-embedding-3-small", "input": [[9906, 1917], [3]]}
CHAT, OTHER = "/chat/completions", "/unknown"
UNREADABLE = [
    *((path, b"{no JSON", {}) for path in (CHAT, OTHER)),
    *((path, b"\x00\x01br", {"content_encoding": "br"}) for path in (CHAT, OTHER)),
    *((path, b"[" * 2000, {}) for path in (CHAT, OTHER)),
    (CHAT, HUGE, {}),
]
"""Paths, bodies of answers, and their header fields."""


def post(gateway: Guarded, team: str, path: str, **given: object) -> httpx.Response:
    fields = {"authorization": f"Bearer sk-{team}", "content-type": "application/json"}
    return httpx.post(gateway.v1 + path, headers=fields, timeout=60, **given)


def pieces_of(body: bytes) -> Iterator[bytes]:
    """A body that httpx sends in chunks."""
    yield from (body[at : at + (1 << 20)] for at in range(0, len(body), 1 << 20))


def ask(gateway: Guarded, team: str) -> httpx.Response:
    said = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    return post(gateway, team, CHAT, json=said)


@pytest.mark.parametrize("team", PASSING)
def test_an_upload_passes_where_no_enforced_rule_is_closed(guarded: Guarded, provider: Scripted, team: str) -> None:
    """`on_failure: open` lets it pass; "a rule in shadow or warn never blocks"."""
    provider.says({"id": "file-1", "object": "file", "filename": "a.txt", "bytes": 1, "purpose": "batch"})
    guarded.openai(team).files.create(file=("a.txt", EMAIL.encode()), purpose="batch")
    assert EMAIL.encode() in provider.last.body
    counted = 'tollway_guardrail_failures_total{detector="engine",outcome="open"}'
    wait_for(lambda: counted in httpx.get(guarded.url + "/metrics").text, "the failure to be counted")


@pytest.mark.parametrize("team", PASSING)
def test_speech_and_files_come_back_where_no_enforced_rule_is_closed(
    guarded: Guarded, provider: Scripted, team: str
) -> None:
    provider.says(unary(b"ID3\x00", content_type="audio/mpeg"))
    spoken = guarded.openai(team).audio.speech.create(model="gpt-4o-mini", voice="alloy", input="hi")
    assert spoken.content == b"ID3\x00"
    assert post(guarded, "masked", "/audio/speech", json={"model": "gpt-4o-mini", "input": "hi"}).status_code == 502


@pytest.mark.parametrize(("path", "body", "fields"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_answer_that_is_not_readable_passes_as_it_came(
    guarded: Guarded, provider: Scripted, path: str, body: bytes, fields: dict
) -> None:
    provider.says(unary(body, **fields))
    said = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    for team in PASSING:
        with httpx.stream(
            "POST", guarded.v1 + path, json=said, headers={"authorization": f"Bearer sk-{team}"}, timeout=60
        ) as answer:
            assert answer.status_code == 200
            assert b"".join(answer.iter_raw()) == body
    assert post(guarded, "masked", path, json=said).status_code == 502


def test_a_refusal_that_is_not_readable_passes_as_it_came(guarded: Guarded, provider: Scripted) -> None:
    provider.says(unary(b"upstream says no", 503, content_type="text/plain"))
    for team in PASSING:
        answer = ask(guarded, team)
        assert (answer.status_code, answer.content) == (503, b"upstream says no")
    assert ask(guarded, "masked").json()["error"]["code"] == "provider_error_withheld"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/embeddings", TOKENS), ("/completions", {"model": "gpt-4o-mini", "prompt": [1, 2] * 4000})],
    ids=["embeddings", "completions"],
)
def test_numbers_of_tokens_are_no_way_around_a_rule(
    guarded: Guarded, provider: Scripted, path: str, body: dict
) -> None:
    """Embeddings and completions take a text as the numbers of its tokens, which no rule can read."""
    provider.says(chat("fine"))
    refused = post(guarded, "masked", path, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "guardrail_cannot_read")
    assert provider.seen == []
    assert guarded.row(refused.headers["x-request-id"])["outcome"] == "blocked"
    for team in (*PASSING, "free"):
        assert post(guarded, team, path, json=body).status_code == 200
    assert len(provider.seen) == 4
    with pytest.raises(openai.BadRequestError) as caught:
        guarded.openai("refused").embeddings.create(model="text-embedding-3-small", input=[[1, 2]])
    assert "numbers of tokens" in caught.value.message


def test_a_json_body_too_large_to_be_read_passes_where_no_rule_is_enforced(
    guarded: Guarded, provider: Scripted
) -> None:
    """What is passed through may be as large as an upload; only what a rule must read has to fit `max_body`."""
    provider.says({"ok": True})
    large = json.dumps({"model": "gpt-4o-mini", "input": EMAIL + " " + "word " * (7 << 20)}).encode()
    for team in ("shadow", "warn"):
        assert post(guarded, team, OTHER, content=large).status_code == 200
        assert provider.last.body == large
    provider.says({"ok": True})
    for team in ("lenient", "masked"):
        assert post(guarded, team, OTHER, content=large).status_code == 413
        assert post(guarded, team, OTHER, content=pieces_of(large)).status_code == 413
    assert provider.seen == []


@pytest.mark.parametrize("team", ["free", "shadow", "warn"])
def test_a_large_json_body_whose_length_is_not_told_passes_too(guarded: Guarded, provider: Scripted, team: str) -> None:
    """A rule that only watches changes no outcome."""
    provider.says({"ok": True})
    large = json.dumps({"model": "gpt-4o-mini", "input": EMAIL + " " + "word " * (5 << 20)}).encode()
    assert post(guarded, team, OTHER, content=pieces_of(large)).status_code == 200
    packed = gzip.compress(large, 1)
    fields = {"content-encoding": "gzip", "content-type": "application/json", "authorization": f"Bearer sk-{team}"}
    assert httpx.post(guarded.v1 + OTHER, headers=fields, content=packed, timeout=60).status_code == 413


def test_what_acted_is_told_of_operations_that_pass_through(guarded: Guarded, provider: Scripted) -> None:
    """`x-tollway-guardrails`: what acted."""
    provider.says({"data": [{"revised_prompt": f"for {EMAIL}"}]})
    answer = post(guarded, "masked", "/images/generations", json={"model": "gpt-4o-mini", "prompt": f"for {EMAIL}"})
    assert answer.headers["x-tollway-guardrails"] == "request=mask:EMAIL_ADDRESS, response=mask:EMAIL_ADDRESS"


def test_a_blocked_answer_of_an_operation_that_passes_through_says_so(guarded: Guarded, provider: Scripted) -> None:
    provider.says({"data": [{"revised_prompt": f"for {EMAIL}"}]})
    answer = post(guarded, "refused", "/images/generations", json={"model": "gpt-4o-mini", "prompt": "hi"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
    assert "no-mail" in answer.json()["error"]["message"]
