"""`kill -9` at random moments under load, twenty times: every request that was served is in the books exactly once."""

import asyncio
import json
import random
import signal
import sqlite3
import uuid
from pathlib import Path

import httpx

from tests.support.served import Gateway, get_json, wait_for

ROUNDS = 20


class Load:
    """Ten clients that ask without pause, each request with an id of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: set[str] = set()

    async def client(self, stop: asyncio.Event) -> None:
        async with httpx.AsyncClient(timeout=60) as http:
            while not stop.is_set():
                id_ = str(uuid.uuid4())
                stream = random.random() < 0.5
                body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
                try:
                    answer = await http.post(
                        self.url + "/chat/completions",
                        json={**body, "max_tokens": 5},
                        headers={"authorization": "Bearer sk-search", "x-request-id": id_},
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code == 200 and (not stream or b"[DONE]" in answer.content):
                    self.answered.add(id_)

    async def until_killed(self, gateway: Gateway) -> None:
        stop = asyncio.Event()
        clients = [asyncio.create_task(self.client(stop)) for _ in range(10)]
        floor = len(self.answered) + random.randint(1, 80)
        while len(self.answered) < floor:
            await asyncio.sleep(0.002)
        gateway.stop(signal.SIGKILL)
        stop.set()
        await asyncio.gather(*clients)


def events(data: Path) -> list[tuple[str, str, int, int]]:
    with sqlite3.connect(f"file:{data / 'tollway.db'}?mode=ro", uri=True) as db:
        return db.execute("SELECT request_id, outcome, input_tokens, output_tokens FROM events").fetchall()


async def test_the_books_survive_kill_9(serve, own_mock) -> None:
    mock = own_mock()
    gateway = serve(upstream=mock.url)
    load = Load(gateway.v1)
    for round_ in range(ROUNDS):
        await load.until_killed(gateway)
        if round_ < ROUNDS - 1:
            gateway = Gateway(gateway.config)
            load.url = gateway.v1
    gateway = Gateway(gateway.config)
    try:
        served = get_json(mock.url + "/stats/requests?since=0")
        completed = {row["id"]: row for row in served["requests"] if row["state"] == "completed"}
        assert load.answered <= completed.keys()

        def loaded() -> list[tuple[str, str, int, int]] | None:
            rows = events(gateway.data)
            return rows if completed.keys() <= {row[0] for row in rows} else None

        rows = wait_for(loaded, "every served request in the ledger")
        ids = [row[0] for row in rows]
        assert len(ids) == len(set(ids)), "an event was booked twice"
        ok = {row[0]: row for row in rows if row[1] == "ok"}
        # Whoever got a whole answer has a whole record with the provider's own figures; what was under way when the
        # process died is flagged, never missing.
        for id_, row in ok.items():
            assert (row[2], row[3]) == (completed[id_]["input_tokens"], completed[id_]["output_tokens"])
        flagged = {row[0] for row in rows if row[1] in ("interrupted", "client_left")}
        assert completed.keys() - ok.keys() <= flagged
        assert len(load.answered - ok.keys()) <= ROUNDS * 10
        total = json.loads(gateway.command("spend", "--json").stdout)["total"]
        assert total["requests"] == len(rows)
        assert total["input_tokens"] == sum(row[2] for row in rows)
        assert total["output_tokens"] == sum(row[3] for row in rows)
    finally:
        gateway.stop(signal.SIGKILL)
