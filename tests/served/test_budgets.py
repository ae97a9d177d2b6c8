"""A budget on the road: used up, told of, raised, restored after a restart, and every figure the ledger's."""

import http.server
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.webhooks.test_deliver import SECRET
from tests.gateway.webhooks.test_signing import independent
from tests.support.served import Gateway, get_json, key_hash, wait_for

ADMIN = {"authorization": "Bearer sk-fin"}


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[http.server.HTTPServer]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_what_was_downgraded_counts_the_same_after_a_restart(serve: Callable[..., Gateway]) -> None:
    """A chain: gpt-4o by its budget to gpt-4o-mini, and that by its own to gpt-4.1-nano."""
    amounts = {"gpt-4o": "0.0027 USD", "gpt-4o-mini": "0.0002 USD"}
    chain = {"gpt-4o": "gpt-4o-mini", "gpt-4o-mini": "gpt-4.1-nano"}
    budgets = [{"amount": "1 USD"}] + [
        {"name": model[-4:], "amount": amounts[model], "models": [model], "when_exhausted": {"downgrade": cheaper}}
        for model, cheaper in chain.items()
    ]
    sections = {
        "teams": {"search": {"keys": [{"id": "search-dev", "hash": key_hash("sk-search")}], "budget": budgets}},
        "models": {model: {"targets": [{"provider": "mock"}]} for model in (*chain, "gpt-4.1-nano")},
        "admin": {"keys": [{"id": "fin", "role": "finops", "hash": key_hash("sk-fin")}]},
    }
    gateway = serve(**sections)
    for _ in range(8):
        assert ask(gateway) == 200

    def used() -> list[str]:
        return [each["used"] for each in get_json(gateway.url + "/admin/v1/budgets", ADMIN)["budgets"]]

    before = used()
    assert before[0] == before[1], "all that was asked of gpt-4o"
    assert float(before[2]) > 0.0002, "what the second and the third model served"
    gateway.stop(signal.SIGKILL)
    gateway = serve(**sections)
    assert used() == before


def ask(gateway: Gateway) -> int:
    body = json.dumps({"model": "gpt-4o", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]})
    request = urllib.request.Request(
        gateway.v1 + "/chat/completions",
        body.encode(),
        {"authorization": "Bearer sk-search", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def budget(gateway: Gateway) -> dict:
    return get_json(gateway.url + "/admin/v1/budgets", ADMIN)["budgets"][0]


def test_a_budget_on_the_road(serve: Callable[..., Gateway], receiver: http.server.HTTPServer) -> None:
    teams = {
        "search": {
            "keys": [{"id": "search-dev", "hash": key_hash("sk-search")}],
            "budget": {"amount": "0.003 USD", "soft": "20%"},
        }
    }
    sections = {
        "teams": teams,
        "admin": {"keys": [{"id": "fin", "role": "finops", "hash": key_hash("sk-fin")}]},
        "webhooks": [{"url": f"http://127.0.0.1:{receiver.server_port}/hook", "secret": SECRET}],
    }
    gateway = serve(**sections)
    served = 0
    while (status := ask(gateway)) == 200:
        served += 1
    assert (served > 1, status) == (True, 402)
    wait_for(lambda: len(receiver.got) == 2, "both webhooks")  # type: ignore[attr-defined]
    kinds = set()
    for headers, body in receiver.got:  # type: ignore[attr-defined]
        fields = {name.lower(): value for name, value in headers.items()}
        kinds.add(json.loads(body)["type"])
        signature = independent(SECRET, fields["webhook-id"], fields["webhook-timestamp"], body)
        assert fields["webhook-signature"] == f"v1,{signature}"
        told = json.loads(body)["data"]
        assert 0 < float(told["used"]) + float(told["reserved"]) <= 0.003
    assert kinds == {"budget.soft", "budget.exhausted"}
    used = budget(gateway)["used"]

    def booked() -> bool:
        return gateway.spend("--by", "team", "--team", "search")["total"]["cost_usd"] == used

    wait_for(booked, "the ledger to say the same")
    gateway.stop(signal.SIGKILL)
    gateway = serve(**sections)
    assert budget(gateway)["used"] == used, "a restart forgets nothing"
    assert ask(gateway) == 402
    raised = gateway.command("budgets", "raise", "teams.search.budget", "1 USD", "--for", "1h", "--reason", "demo")
    assert raised.returncode == 0, raised.stderr
    wait_for(lambda: ask(gateway) == 200, "the raise")
    verified = gateway.command("audit", "verify")
    assert verified.returncode == 0, verified.stdout
