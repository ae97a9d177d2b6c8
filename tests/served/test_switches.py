"""Kill switches as applications meet them: two workers, real SDKs, the command line."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anthropic
import httpx
import openai
import pytest
import yaml

from gateway.ledger.audit import entries, verify
from gateway.ledger.store import open_engine
from tests.support.served import Gateway, Process, configuration, wait_for

ADMIN = {"authorization": "Bearer sk-admin"}
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
BOTH = 12
"""Connections of their own that reach two workers, but for one time in two thousand."""


@pytest.fixture(scope="module")
def gateway(mock: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("switches")
    tree = configuration(mock.url, data)
    tree["models"]["gpt-4o"]["fallbacks"] = ["gpt-4o-mini"]
    tree["guardrails"] = {"strict": [{"detect": "secrets", "on": ["request"], "action": "block", "mode": "enforce"}]}
    tree["teams"]["search"]["guardrails"] = "strict"
    (data / "gateway.yaml").write_text(yaml.safe_dump(tree))
    started = Gateway(data / "gateway.yaml", "--workers", "2")
    yield started
    started.stop()


def post(gateway: Gateway, path: str, **body: object) -> httpx.Response:
    return httpx.post(f"{gateway.url}/admin/v1/switches{path}", json=body, headers=ADMIN)


@pytest.fixture
def switch(gateway: Gateway) -> Iterator[Callable[..., dict]]:
    """Sets switches, and clears what is left of them."""

    def set_(kind: str, scope: str, name: str = "", **more: object) -> dict:
        answer = post(gateway, "", kind=kind, scope=scope, name=name, **{"reason": "a drill", **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    yield set_
    for each in httpx.get(gateway.url + "/admin/v1/switches", headers=ADMIN).json()["switches"]:
        post(gateway, f"/{each['id']}/clear")
    wait_for(lambda: set(statuses(gateway)) == {200}, "the switches to be off")


PLAIN = httpx.create_ssl_context(verify=False)
"""Made once: it costs more than a request."""


def ask(gateway: Gateway, key: str = "sk-search", **changes: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.post(gateway.v1 + "/chat/completions", json={**ASK, **changes}, headers=headers, verify=PLAIN)


def statuses(gateway: Gateway, **changes: object) -> list[int]:
    """Of requests on connections of their own, several at a time, so that every worker has some."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: ask(gateway, **changes).status_code, range(BOTH)))


def effective(gateway: Gateway, status: int = 503, **changes: object) -> None:
    """Wait until every worker answers with `status`. How soon that is: test_switches_watch."""
    wait_for(lambda: set(statuses(gateway, **changes)) == {status}, f"status {status} of all workers")


def test_a_stopped_team_gets_the_sdks_own_exception_and_the_reason(gateway, switch) -> None:
    """A switch is in force in every worker within a second; the other teams go on; cleared, all is as before."""
    made = switch("stop", "team", "search", reason="runaway agent", **{"for": "30m"})
    effective(gateway)
    with pytest.raises(openai.InternalServerError) as caught:
        openai.OpenAI(base_url=gateway.v1, api_key="sk-search", max_retries=5).chat.completions.create(**ASK)
    error = caught.value
    assert (error.status_code, error.code) == (503, "stopped_by_operator")
    assert "The team 'search' was stopped by an operator until" in error.message
    assert error.message.endswith("runaway agent")
    assert 1700 <= int(error.response.headers["retry-after"]) <= 1800
    assert ask(gateway, key="sk-support").status_code == 200
    with pytest.raises(anthropic.APIStatusError) as met:
        anthropic.Anthropic(base_url=gateway.url, api_key="sk-search", max_retries=5).messages.create(
            model="claude-3-7-sonnet-20250219", messages=ASK["messages"], max_tokens=5
        )
    assert met.value.status_code == 503
    assert met.value.response.json()["error"]["type"] == "overloaded_error"
    assert "runaway agent" in met.value.message
    assert post(gateway, f"/{made['id']}/clear", reason="fixed").json()["state"] == "cleared"
    effective(gateway, 200)


@pytest.mark.parametrize(
    ("scope", "name", "what"),
    [
        ("gateway", "", "This gateway"),
        ("key", "search-dev", "The key 'search-dev'"),
        ("operation", "chat.completions", "The operation 'chat.completions'"),
        ("model", "gpt-4o-mini", "The model 'gpt-4o-mini'"),
        ("model", "gpt-4o-m*", "The model 'gpt-4o-mini'"),
        ("provider", "mock", "The provider 'mock'"),
    ],
)
def test_everything_that_can_be_stopped_is_stopped(gateway, switch, scope: str, name: str, what: str) -> None:
    switch("stop", scope, name)
    effective(gateway)
    refused = ask(gateway).json()["error"]
    assert refused["code"] == "stopped_by_operator"
    assert refused["message"].startswith(f"{what} was stopped by an operator until ")
    assert refused["message"].endswith(": a drill")


def test_a_switch_ends_by_itself(gateway, switch) -> None:
    for seconds in (2, 4, 8, 16, 32):
        ends = time.monotonic() + seconds
        switch("stop", "team", "search", **{"for": f"{seconds}s"})
        while (status := ask(gateway).status_code) == 200 and time.monotonic() < ends:
            pass
        if status == 503:
            break  # else it was over before it was met: the machine needs one that lasts longer
    assert status == 503
    effective(gateway, 200)


def test_a_forced_fallback_serves_another_model(gateway, switch) -> None:
    switch("fallback", "model", "gpt-4o", to="mock-echo")
    wait_for(
        lambda: {ask(gateway, model="gpt-4o").headers["x-tollway-model"] for _ in range(BOTH)} == {"mock-echo"},
        "the other model to serve",
    )


def test_a_guardrail_policy_is_forced_to_shadow(gateway, switch) -> None:
    """What it blocked goes through and is still counted; when the switch is over, it blocks again."""
    leak = [{"role": "user", "content": "key AKIAQ3EGRHYBDCE7XSQT"}]
    assert ask(gateway, messages=leak).json()["error"]["code"] == "content_filter"
    made = switch("guardrail", "policy", "strict", to="shadow")
    effective(gateway, 200, messages=leak)
    post(gateway, f"/{made['id']}/clear")
    effective(gateway, 400, messages=leak)


def test_a_stopped_provider_stops_what_is_passed_through(gateway, switch) -> None:
    switch("stop", "provider", "mock")
    headers = {"authorization": "Bearer sk-search"}
    wait_for(
        lambda: (
            {httpx.get(gateway.v1 + "/files", headers=headers, verify=PLAIN).status_code for _ in range(BOTH)} == {503}
        ),
        "files to be refused",
    )


def test_a_reload_keeps_switches(gateway, switch) -> None:
    switch("stop", "team", "search")
    effective(gateway)
    tree = yaml.safe_load(gateway.config.read_text())
    tree["teams"]["third"] = {}
    gateway.config.write_text(yaml.safe_dump(tree))
    assert httpx.post(gateway.url + "/admin/v1/reload", headers=ADMIN).status_code == 200
    assert set(statuses(gateway)) == {503}


def test_the_command_line_sets_lists_and_clears(gateway, switch) -> None:
    """Without an admin key, on the ledger itself; and every change is in the audit log, whose chain is right."""
    done = gateway.command("switch", "set", "stop", "team", "search", "--reason", "by hand", "--for", "10m", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    effective(gateway)
    listed = gateway.command("switch", "list")
    assert made["id"] in listed.stdout
    assert "by hand" in listed.stdout
    assert gateway.command("switch", "clear", made["id"], "--reason", "over").returncode == 0
    effective(gateway, 200)
    wrong = gateway.command("switch", "set", "stop", "team", "serch", "--reason", "x")
    assert wrong.returncode == 2
    assert "There is no team 'serch'. Did you mean 'search'?" in wrong.stderr
    engine = open_engine(f"sqlite:///{gateway.data}/tollway.db")
    told = [(each.action, each.object, each.reason) for each in entries(engine)][-2:]
    assert told == [("switches.stop", "team search", "by hand"), ("switches.clear", "team search", "over")]
    assert verify(engine).broken is None
    engine.dispose()
