"""Pseudonyms that live as long as a conversation: two workers on one Redis, the store away, and whose they are."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.answers import chat, chat_stream, response
from tests.support.guarded import EMAIL, Guarded, guarded_gateway
from tests.support.redis_servers import RedisServer, running
from tests.support.scripted import Scripted, Seen, Wire, scripted, streamed, unary
from tests.support.served import key_hash, wait_for

_RULE = {
    "detect": "pii",
    "entities": ["EMAIL_ADDRESS"],
    "action": "pseudonymize",
    "mode": "enforce",
    "on": ["request"],
    "pseudonyms": {"scope": "conversation", "ttl": "10m"},
}
TEAMS = {
    team: {"guardrails": "talks", "keys": [{"id": key, "hash": key_hash(f"sk-{key}")} for key in keys]}
    for team, keys in {"talks": ["talks", "talks-2"], "others": ["others"]}.items()
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider
        assert provider.failures == []


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(provider: Scripted, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Two workers, which share what they keep."""
    directory = tmp_path_factory.mktemp("talks")
    started = guarded_gateway(
        provider.url,
        directory,
        guardrails={"talks": [_RULE]},
        teams=TEAMS,
        limits={"store": redis.url, "patience": "5s"},
        server={"host": "127.0.0.1", "port": 0, "drain": "2s", "workers": 2, "runtime_dir": str(directory / "run")},
    )
    yield started
    started.stop()


def ask(gateway: Guarded, said: str, talk: str, key: str = "talks", **more: object) -> httpx.Response:
    """On a connection of its own, so that either worker may get it."""
    headers = {"authorization": f"Bearer sk-{key}", "connection": "close"}
    if talk:
        headers["x-tollway-conversation"] = talk
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": said}], **more}
    return httpx.post(gateway.v1 + "/chat/completions", json=body, headers=headers, timeout=60)


def sent(provider: Scripted) -> str:
    return provider.last.json["messages"][0]["content"]


def told(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def test_a_value_keeps_its_placeholder_and_comes_back_in_later_answers(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    assert told(ask(gateway, EMAIL, "a")) == "hi"
    token = sent(provider)
    assert token.startswith("PSN")
    provider.says(chat(f"Shall I write to {token.lower()} or **{token}**?", calls=(json.dumps({"to": token}),)))
    for _ in range(4):
        answer = ask(gateway, "nobody named", "a")
        assert told(answer) == f"Shall I write to {EMAIL} or **{EMAIL}**?"
        call = answer.json()["choices"][0]["message"]["tool_calls"][0]
        assert json.loads(call["function"]["arguments"]) == {"to": EMAIL}
        ask(gateway, f"Not {EMAIL}", "a")
        assert sent(provider) == f"Not {token}"


def test_it_comes_back_in_a_later_stream(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    ask(gateway, EMAIL, "s")
    provider.says(streamed(chat_stream(chat(f"To {sent(provider)}."), 5), 30))
    body = ask(gateway, "who?", "s", stream=True).content
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    said = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    assert said == f"To {EMAIL}."


def test_the_body_may_name_it(gateway: Guarded, provider: Scripted) -> None:
    """ "`metadata.conversation_id`" in Chat Completions, "`conversation`" in Responses; they are one conversation."""
    provider.says(chat("hi"))
    ask(gateway, EMAIL, "", metadata={"conversation_id": "body"})
    token = sent(provider)
    provider.play = lambda wire, seen: unary(response(f"Hi {token}"))(wire, seen)
    answer = gateway.openai("talks").responses.create(model="gpt-4o-mini", input="x", conversation="body")
    assert answer.output_text == f"Hi {EMAIL}"


@pytest.mark.parametrize(("talk", "key"), [("mine", "others"), ("mine", "talks-2"), ("yours", "talks"), ("", "talks")])
def test_a_placeholder_of_another_is_never_restored(gateway: Guarded, provider: Scripted, talk: str, key: str) -> None:
    """Not for another team, another virtual key, another conversation, or a request that names none."""
    provider.says(chat("hi"))
    ask(gateway, EMAIL, "mine")
    token = sent(provider)
    provider.says(chat(f"It was {token}"))
    assert told(ask(gateway, "x@example.org asks", talk, key)) == f"It was {token}"
    ask(gateway, EMAIL, talk, key)
    assert sent(provider) != token


def test_nothing_can_be_read_in_the_store(gateway: Guarded, provider: Scripted, redis: RedisServer) -> None:
    """ "Who reads the store learns neither which conversations there are nor what was said in them.\""""
    provider.says(chat("hi"))
    ask(gateway, f"{EMAIL}, mary@example.org", "readable-name")
    keys = [key for key in redis.ask("KEYS", "*pseudonyms") if isinstance(key, bytes)]
    assert keys
    for key in keys:
        everything = key + b"".join(redis.ask("HGETALL", key))
        for private in (b"jane", b"mary", b"example", b"readable", b"talks"):
            assert private not in everything
        assert 0 < redis.ask("PTTL", key) <= 600_000


def test_a_header_that_is_no_id_is_refused(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    answer = ask(gateway, EMAIL, "two words")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_conversation")
    assert provider.seen == []


def test_the_header_does_not_leave(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    ask(gateway, EMAIL, "private-name")
    assert "x-tollway-conversation" not in provider.last.headers


def test_with_the_store_away_an_exchange_has_its_own(gateway: Guarded, provider: Scripted, redis: RedisServer) -> None:
    """Counted, and nobody waits; the same value has the same placeholder even then, and is kept again later."""
    provider.says(chat("hi"))
    ask(gateway, EMAIL, "away")
    token = sent(provider)

    def echo(wire: Wire, seen: Seen) -> None:
        unary(chat(f"{seen.json['messages'][0]['content']} {token}"))(wire, seen)

    redis.stop()
    provider.says(echo)
    assert told(ask(gateway, EMAIL, "away")) == f"{EMAIL} {EMAIL}"
    assert told(ask(gateway, "nobody", "away")) == f"nobody {token}"
    away = 'tollway_guardrail_conversations_total{outcome="away"}'
    wait_for(lambda: away in httpx.get(gateway.url + "/metrics").text, "the figure of the worker that was asked")
    redis.start()
    wait_for(lambda: told(ask(gateway, EMAIL, "away")) and "pseudonyms" in str(redis.ask("KEYS", "*")), "the store")
    wait_for(lambda: told(ask(gateway, "nobody", "away")) == f"nobody {EMAIL}", "the other worker to see it")


def test_no_log_names_a_value_a_placeholder_or_a_conversation(gateway: Guarded, provider: Scripted) -> None:
    provider.says(chat("hi"))
    answer = ask(gateway, EMAIL, "unspoken-name")
    token = sent(provider)
    gateway.row(answer.headers["x-request-id"])
    for path in Path(gateway.data).rglob("*"):
        if path.is_file() and path.name != "gateway.yaml":
            data = path.read_bytes()
            for private in (EMAIL, token, "unspoken-name"):
                assert private.encode() not in data, path.name
