"""What models that judge cost: booked whatever becomes of the request and of the verdict, and counted to budgets."""

import json
import socket
import sqlite3
from contextlib import closing
from decimal import Decimal

import httpx
import pytest

from tests.support.detector_services import PUZZLE, UNTOLD
from tests.support.guarded import Guarded
from tests.support.outside import SAID, Services, post
from tests.support.scripted import Scripted
from tests.support.served import wait_for

pytestmark = pytest.mark.usefixtures("zoo", "model")

COST = 260_000
"""Nano-dollars of one judgement (`tests/support/outside.py`)."""


def judgements(gateway: Guarded, request_id: str) -> list[sqlite3.Row]:
    """Those of one request that are in the ledger."""
    with closing(sqlite3.connect(f"file:{gateway.data}/tollway.db?mode=ro", uri=True)) as books:
        books.row_factory = sqlite3.Row
        try:
            return books.execute(
                "SELECT * FROM events WHERE request_id = ? AND operation = 'guardrail'", (request_id,)
            ).fetchall()
        except sqlite3.OperationalError:
            return []


def judged(gateway: Guarded, request_id: str) -> sqlite3.Row:
    """The one of a request, once it is there."""
    wait_for(lambda: judgements(gateway, request_id), f"the judgement of {request_id}")
    (row,) = judgements(gateway, request_id)
    return row


def test_an_answer_that_is_no_verdict_is_paid_for(gateway: Guarded) -> None:
    refused = post(gateway, "judged", f"an {PUZZLE}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "guardrail_unavailable")
    assert judged(gateway, refused.headers["x-request-id"])["cost_nanos"] == COST


def test_usage_that_is_not_told_is_estimated_and_not_nothing(gateway: Guarded) -> None:
    """ "A price that is not known is `None`, not 0": tokens are counted where a provider tells none."""
    answer = post(gateway, "judged", f"a {UNTOLD} " + "and words " * 20)
    assert answer.status_code == 200
    row = judged(gateway, answer.headers["x-request-id"])
    assert row["estimated"] == 1
    assert 20 < row["input_tokens"] < 200
    assert row["cost_nanos"] > 0


def test_a_judgement_is_booked_though_the_provider_fails(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    def fails(wire, _) -> None:
        wait_for(lambda: zoo.asked, "the detector to be asked")
        wire.whole(b"{}", 500)

    model.says(fails)
    answer = post(gateway, "judged", "bad day")
    assert answer.status_code == 500
    assert judged(gateway, answer.headers["x-request-id"])["cost_nanos"] == COST


def test_a_judgement_is_booked_though_the_client_left(gateway: Guarded, model: Scripted) -> None:
    """The model is still at work when the verdict is there, and nobody comes to ask for it."""
    model.says(lambda wire, _: wire.wait_until_left() and None)
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "gone"}]}).encode()
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-judged\r\n"
            b"x-request-id: judged-and-gone\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert judged(gateway, "judged-and-gone")["cost_nanos"] == COST


def test_a_judgement_that_is_cut_off_is_booked(gateway: Guarded, model: Scripted, zoo: Services) -> None:
    """The client left while the judge was at work: its prompt is paid for, and is in the budget as in the ledger."""
    post(gateway, "judged", "name yourself")
    model.says(lambda wire, _: wire.wait_until_left() and None)
    zoo.gate.clear()
    asked = zoo.asked
    body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "gone early"}]}).encode()
    url = httpx.URL(gateway.url)
    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-judged\r\n"
            b"x-request-id: judge-cut-off\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        wait_for(lambda: zoo.asked > asked, "the judge to be asked")
    row = judged(gateway, "judge-cut-off")
    zoo.gate.set()
    assert (row["estimated"], row["output_tokens"], row["judged"]) == (1, 0, "chat.completions")
    assert row["cost_nanos"] == row["input_tokens"] * 1000 > 0


def test_budgets_count_judgements_as_the_ledger_does(gateway: Guarded) -> None:
    """A blocked request costs its judgement. Counters, and what they are rebuilt from, agree; requests and tokens of
    the client's own are what is rationed."""
    assert post(gateway, "judged", SAID).status_code == 400

    def used(*asked: str) -> Decimal:
        told = gateway.command("budgets", "--team", "judged", "--json", *asked)
        assert told.returncode == 0, told.stderr
        (budget,) = json.loads(told.stdout)["budgets"]
        return Decimal(budget["used"])

    def ledger() -> Decimal:
        return Decimal(gateway.spend("--team", "judged")["total"]["cost_usd"])

    wait_for(lambda: used("--admin-key", "sk-admin") == used() == ledger() > 0, "counters and ledger to agree")
