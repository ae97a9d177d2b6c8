"""The database is away while the gateway is under load: requests do not notice, memory stays flat, nothing is lost."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from gateway.ledger.status import read_status
from tests.gateway.ledger.conftest import Postgres, postgres  # noqa: F401 - the fixture
from tests.support.raw import read_request
from tests.support.served import Gateway, wait_for

SAID = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}).encode()
ASK = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-search\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(SAID), SAID)
)
AWAY = 1500
"""Requests that are served while the database is away."""


def memory(pid: int) -> int:
    """Resident bytes of a process and its children, the ledger's loader among them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * 4096 for each in (pid, *children))


class Load:
    """Clients that ask one request after the other, and what they saw. They write bytes on a socket, because an HTTP
    client would take most of the time."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.served = 0
        self.failed: list[object] = []
        self.seconds: list[float] = []
        self.pause = 0.0
        """Seconds between two requests of a client."""
        self.stopped = asyncio.Event()

    async def client(self) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            while not self.stopped.is_set():
                begun = time.monotonic()
                writer.write(ASK)
                async with asyncio.timeout(60):
                    head, body = await read_request(reader)
                self.seconds.append(time.monotonic() - begun)
                if head.startswith(b"HTTP/1.1 200 "):
                    self.served += 1
                else:
                    self.failed.append((head, body[:200]))
                await asyncio.sleep(self.pause)
        except (OSError, EOFError) as error:
            self.failed.append(error)
        finally:
            writer.close()

    async def more(self, number: int) -> None:
        """Returns when so many more were served."""
        wanted = self.served + number
        await self.until(lambda: self.served >= wanted)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not condition() and not self.failed:
                await asyncio.sleep(0.01)


def database(gateway: Gateway) -> str:
    """What the loader says of its database."""
    status = read_status(gateway.data / "journal")
    return "" if status is None else status.database


def in_database(url: str) -> tuple[int, int]:
    """Events, and distinct ones among them."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT id) FROM events").fetchone()
    assert found is not None
    return found


async def test_a_database_that_is_away_under_load_loses_nothing(serve, tmp_path: Path, postgres: Postgres) -> None:  # noqa: F811
    """PostgreSQL is stopped as a crash stops it and started again. The journal is the buffer meanwhile."""
    url = postgres.new_database()
    gateway = serve(ledger={"url": url, "journal": str(tmp_path / "journal")})
    load = Load(gateway.url)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(load.client())
        await load.more(AWAY // 2)  # what a process needs to warm up is not growth
        await asyncio.to_thread(postgres.stop)
        await load.until(lambda: database(gateway) == "away")
        before = memory(gateway.pid)
        await load.more(AWAY)
        load.pause = 0.02  # always some under way, and a processor left to what must be loaded
        assert database(gateway) == "away"
        grown = memory(gateway.pid) - before
        await asyncio.to_thread(postgres.start)
        assert grown < 4 << 20, f"{grown} bytes for {AWAY} requests"
        await load.until(lambda: database(gateway) == "ok")
        load.stopped.set()

    assert load.failed == []
    late = sorted(load.seconds)[int(len(load.seconds) * 0.99)]
    assert late < 3, "99 of 100; a machine that pauses delays as many as there are clients"
    gateway.settled(load.served)
    wait_for(lambda: in_database(url)[0] >= load.served, "every event in the database")
    assert in_database(url) == (load.served, load.served)
    report = gateway.spend()["total"]
    assert report["requests"] == load.served
    log = (gateway.data / "gateway.log").read_text()
    assert "defect" not in log
