"""Limits and budgets as applications meet them: real SDKs, a served gateway, the books afterwards."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import httpx
import openai
import pytest
import yaml
from openai import OpenAI

from tests.support.scripted import Scripted, Seen, Wire, scripted
from tests.support.served import Gateway, Process, configuration, key_hash, wait_for

PRICES = {
    "models": [
        {"model": "gpt-*", "usd_per_million_tokens": {"input": "1", "output": "10"}},
    ]
}


def teams(**search: object) -> dict:
    return {"search": {"keys": [{"id": "search-dev", "hash": key_hash("sk-search")}], **search}}


def ask(client: OpenAI, **changes: object):
    arguments = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
    return client.chat.completions.with_raw_response.create(**{**arguments, **changes})


def sdk(gateway, team: str = "search", retries: int = 0) -> OpenAI:
    return OpenAI(base_url=gateway.v1, api_key=f"sk-{team}", max_retries=retries)


LIMITED = {
    "counted": {"requests_per_minute": 3, "tokens_per_minute": 100_000},
    "patient": {"requests_per_second": 1},
    "anthropic": {"requests_per_minute": 1},
    "small": {"tokens_per_minute": 1000},
    "lavish": {"tokens_per_minute": 1500},
    "alone": {"concurrent": 1, "streams": 1},
    "warned": {},
    "ruled": {},
    "passing": {"requests_per_minute": 2},
}
"""Teams of the gateway that tests share, one for each test, so that none sees what another used up."""
RULES = [
    {"name": "soft-cap", "match": {"team": "warned"}, "requests": 2, "per": "hour", "when_exhausted": "warn"},
    {"name": "tagged", "match": {"team": "ruled", "tag": {"app": "web"}}, "requests": 1, "per": "hour"},
    {"name": "embed", "match": {"team": "ruled", "operation": "embeddings"}, "requests": 1, "per": "hour"},
]


@pytest.fixture(scope="module")
def provider() -> Iterator[Scripted]:
    """What is behind `scripted-mini`, and behind what is passed through."""
    with scripted() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(provider: Scripted, mock: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("limits")
    tree = configuration(mock.url, data, limits={"rules": RULES}, passthrough="scripted")
    tree["providers"]["scripted"] = {"dialect": "openai", "base_url": provider.url + "/v1", "api_key": "k"}
    tree["models"]["scripted-mini"] = {"targets": [{"provider": "scripted", "model": "gpt-4o-mini"}]}
    tree["teams"] = {
        team: {"keys": [{"id": f"{team}-dev", "hash": key_hash(f"sk-{team}")}], "limits": limits}
        for team, limits in LIMITED.items()
    }
    (data / "gateway.yaml").write_text(yaml.safe_dump(tree))
    started = Gateway(data / "gateway.yaml")
    yield started
    started.stop()


def answer(tokens: int = 20) -> dict:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens},
    }


def metric(gateway, name: str, **labels: str) -> float:
    """The sum of what has these labels."""
    text = httpx.get(gateway.url + "/metrics").text
    wanted = {f'{key}="{value}"' for key, value in labels.items()}
    found = [line for line in text.splitlines() if line.startswith(name + "{")]
    return sum(float(line.rpartition(" ")[2]) for line in found if all(label in line for label in wanted))


def decisions(gateway: Gateway, decision: str) -> float:
    return metric(gateway, "tollway_limit_decisions_total", decision=decision)


def test_headers_count_down_and_the_refusal_is_the_sdks_own_exception(gateway: Gateway) -> None:
    before = decisions(gateway, "refused")
    client = sdk(gateway, "counted")
    left = [ask(client).headers["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(openai.RateLimitError) as raised:
        ask(client)
    refused = raised.value
    assert refused.code == "rate_limit_exceeded"
    assert "teams.counted.requests_per_minute" in refused.message
    assert 1 <= int(refused.response.headers["retry-after"]) <= 61
    assert refused.response.headers["x-ratelimit-limit-requests"] == "3"
    assert decisions(gateway, "refused") - before == 1


def test_the_sdks_own_retry_gets_through(gateway: Gateway) -> None:
    """The SDK waits what `retry-after-ms` says, and is admitted then."""
    client = sdk(gateway, "patient", retries=2)
    for _ in range(3):
        assert ask(client).parse().choices


def test_anthropics_envelope(gateway: Gateway) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, api_key="sk-anthropic", max_retries=0)
    hello = {"model": "claude-3-7-sonnet-20250219", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    client.messages.create(**hello)
    with pytest.raises(anthropic.RateLimitError) as raised:
        client.messages.create(**hello)
    assert raised.value.body["error"]["type"] == "rate_limit_error"
    assert "retry-after" in raised.value.response.headers


def test_what_can_never_be_admitted_is_not_sent_again(gateway: Gateway) -> None:
    before = decisions(gateway, "refused")
    with pytest.raises(openai.RateLimitError, match="never be admitted") as raised:
        ask(sdk(gateway, "small", retries=5), max_tokens=5000)
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert decisions(gateway, "refused") - before == 1


def test_requests_at_work_together_cannot_pass_a_budget(serve) -> None:
    """Fifty at once, streamed or not, each of which alone would fit: what is spent never exceeds the budget."""
    arrived = threading.Semaphore(0)
    go = threading.Event()

    def play(wire: Wire, seen: Seen) -> None:
        arrived.release()
        go.wait(60)
        if not seen.json.get("stream"):
            return wire.whole(json.dumps(answer()).encode())
        wire.open_stream()
        for _ in range(20):
            wire.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n')
        usage = json.dumps({"choices": [], "usage": answer()["usage"]}).encode()
        end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
        wire.chunk(end + b"data: " + usage + b"\n\ndata: [DONE]\n\n")
        wire.end()

    budget = Decimal("0.003")
    with scripted(play) as provider:
        gateway = serve(
            upstream=provider.url, prices=PRICES, teams=teams(budget={"amount": f"{budget} USD", "per": "month"})
        )

        client = sdk(gateway)

        def one(number: int) -> int:
            try:
                asked = ask(client, stream=number % 2 == 1)
            except openai.APIStatusError as error:
                return 0 if (error.status_code, error.code) == (402, "budget_exhausted") else 1000
            content = asked.parse()
            if number % 2:
                assert [chunk for chunk in content if chunk.choices]
            return 1

        with ThreadPoolExecutor(50) as pool:
            asked = [pool.submit(one, number) for number in range(50)]
            assert arrived.acquire(timeout=60)
            wait_for(lambda: sum(future.done() for future in asked) + len(provider.seen) >= 50, "all asked")
            go.set()
            served = sum(future.result() for future in asked)
    assert 0 < served < 50
    total = gateway.settled(served)["total"]
    assert Decimal(total["cost_usd"]) == served * Decimal("0.00021")
    assert Decimal(total["cost_usd"]) <= budget


def test_what_was_reserved_too_much_is_given_back(gateway: Gateway, provider: Scripted) -> None:
    provider.says(answer(tokens=1))
    for _ in range(8):
        assert ask(sdk(gateway, "lavish"), model="scripted-mini", max_tokens=1000).parse().choices


def test_an_exhausted_budget_goes_on_with_the_cheaper_model(serve) -> None:
    budget = {"amount": "0.001 USD", "per": "day", "soft": "20%", "when_exhausted": {"downgrade": "gpt-4o-mini"}}
    with scripted() as provider:
        provider.says(answer())
        gateway = serve(upstream=provider.url, prices=PRICES, teams=teams(budget=budget))
        client = sdk(gateway)
        answers = [ask(client, model="gpt-4o") for _ in range(6)]
    served = [each.headers["x-tollway-model"] for each in answers]
    assert served[0] == "gpt-4o"
    assert served[-1] == "gpt-4o-mini"
    assert answers[-1].headers["x-tollway-downgraded"] == "teams.search.budget"
    assert any("teams.search.budget" in each.headers.get("x-tollway-limit-warning", "") for each in answers)
    assert provider.last.json["model"] == "gpt-4o-mini"


def test_a_stream_past_its_budget_is_cut_with_an_event_and_settled(serve) -> None:
    """`on_overrun: cut`: a model whose maximum nobody knows, and a budget that is used up while it streams."""
    # Large, so that what the gateway reads at once after a pause of the machine holds few tokens.
    event = json.dumps(
        {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}], "p": "p" * 4000}
    )

    def play(wire: Wire, _: Seen) -> None:
        wire.open_stream()
        for _ in range(3000):
            wire.chunk(f"data: {event}\n\n".encode())
        wire.chunk(b"data: [DONE]\n\n")
        wire.end()

    budget = {"amount": "0.0045 USD", "per": "day", "on_overrun": "cut"}
    models = {"gpt-4o-mini": {"targets": [{"provider": "mock"}], "max_output_tokens": 400}}
    with scripted(play) as provider:
        gateway = serve(upstream=provider.url, prices=PRICES, models=models, teams=teams(budget=budget))
        with pytest.raises(openai.APIError) as raised:
            list(ask(sdk(gateway), stream=True, max_tokens=openai.NOT_GIVEN).parse())
        assert raised.value.code == "budget_exhausted"
        assert provider.left.wait(60)
    spend = gateway.settled(1)
    assert spend["total"]["estimated_requests"] == 1
    assert 0 < Decimal(spend["total"]["cost_usd"]) < Decimal("0.0065")
    assert [row["outcome_cut"] for row in spend["rows"]] == [1]


def test_places_are_given_back_by_clients_that_leave(gateway: Gateway, provider: Scripted) -> None:
    gone = threading.Event()

    def play(wire: Wire, seen: Seen) -> None:
        if not seen.json.get("stream"):
            return wire.whole(json.dumps(answer()).encode())
        wire.open_stream()
        wire.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]}\n\n')
        if wire.wait_until_left():
            gone.set()

    provider.says(play)
    client = sdk(gateway, "alone")
    stream = ask(client, model="scripted-mini", stream=True).parse()
    next(iter(stream))
    with pytest.raises(openai.RateLimitError, match="at one time"):
        ask(client, model="scripted-mini")
    stream.close()
    assert gone.wait(60)

    def admitted() -> bool:
        try:
            return bool(ask(client, model="scripted-mini").parse().choices)
        except openai.RateLimitError:
            return False

    wait_for(admitted, "the place that was left")


def test_a_rule_that_warns_lets_through_and_says_so(gateway: Gateway) -> None:
    before = decisions(gateway, "over")
    warned = [ask(sdk(gateway, "warned")).headers.get("x-tollway-limit-warning") for _ in range(4)]
    assert warned[:2] == [None, None]
    assert "soft-cap" in warned[3]
    assert decisions(gateway, "over") - before == 2


def test_rules_by_key_model_operation_and_tag(gateway: Gateway) -> None:
    client = sdk(gateway, "ruled")
    web = {"extra_headers": {"x-tollway-tags": "app=web"}}
    ask(client, **web)
    with pytest.raises(openai.RateLimitError, match="tagged"):
        ask(client, **web)
    ask(client)
    client.embeddings.create(model="text-embedding-3-small", input="a")
    with pytest.raises(openai.RateLimitError, match="embed"):
        client.embeddings.create(model="text-embedding-3-small", input="a")


def test_what_is_passed_through_is_limited_too(gateway: Gateway, provider: Scripted) -> None:
    provider.says(lambda wire, _: wire.whole(b'{"data":[]}'))
    client = sdk(gateway, "passing")
    client.files.list()
    client.files.list()
    with pytest.raises(openai.RateLimitError):
        client.files.list()


def test_a_budget_is_changed_live(serve, tmp_path) -> None:
    gateway = serve(teams=teams(limits={"requests_per_minute": 1}))
    ask(sdk(gateway))
    with pytest.raises(openai.RateLimitError):
        ask(sdk(gateway))
    config = tmp_path / "gateway.yaml"
    config.write_text(config.read_text().replace("requests_per_minute: 1", "requests_per_minute: 2"))

    def admitted() -> bool:
        try:
            return bool(ask(sdk(gateway)).parse().choices)
        except openai.RateLimitError:
            return False

    wait_for(admitted, "the new limit")
    with pytest.raises(openai.RateLimitError):
        ask(sdk(gateway))


def test_a_provider_that_is_limited_gives_way_to_the_fallback(serve) -> None:
    """A rule by provider is asked at every attempt: the next target serves, and only without one is it a refusal."""
    with scripted() as one, scripted() as other:
        one.says(answer())
        other.says(answer())
        providers = {
            name: {"dialect": "openai", "base_url": each.url + "/v1", "api_key": "k"}
            for name, each in (("one", one), ("other", other))
        }
        models = {
            "gpt-4o-mini": {"targets": [{"provider": "one"}], "fallbacks": ["gpt-4o"]},
            "gpt-4o": {"targets": [{"provider": "other"}]},
        }
        rules = [
            {"name": "narrow", "match": {"provider": "one"}, "requests": 1, "per": "hour"},
            {"name": "wide", "match": {"provider": "other"}, "each": ["team"], "requests": 2, "per": "hour"},
        ]
        gateway = serve(providers=providers, models=models, teams=teams(), limits={"rules": rules})
        client = sdk(gateway)
        served = [ask(client).headers["x-tollway-provider"] for _ in range(3)]
        assert served == ["one", "other", "other"]
        with pytest.raises(openai.RateLimitError, match=r"limits\.rules\.wide"):
            ask(client)
        assert (len(one.seen), len(other.seen)) == (1, 2)
