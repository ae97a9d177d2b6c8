"""Delivery to receivers that fail, hang, are down and come back; and through a kill -9 between event and delivery."""

import asyncio
import base64
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock, SystemClock
from gateway.tasks import TaskGroup
from gateway.webhooks.deliver import Deliverer, DeliveryOptions
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Event, Spool
from tests.gateway.webhooks.test_signing import independent

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()
FAST = DeliveryOptions(poll=0.01, patience=0.3, first_back_off=0.01, most_back_off=0.05)


class Receiver:
    """An HTTP server that answers as it is told, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        """Statuses to answer with, None: never; then 204."""
        self.headers = b""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook?token=t0ken"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.got.append(({**headers, "": head[0]}, body))
                status = self.answers.pop(0) if self.answers else 204
                if status is None:
                    await reader.read()
                    break
                writer.write(b"HTTP/1.1 %d X\r\n%scontent-length: 0\r\n\r\n" % (status, self.headers))
        writer.close()


class Rig:
    """A spool, its deliverer, and what it reported."""

    def __init__(self, directory: Path, urls: Callable[[], list[str]]) -> None:
        self.spool = Spool(directory)
        self.urls = urls
        self.endpoints = lambda: [Endpoint(url, KEY, frozenset({"budget.soft"})) for url in self.urls()]
        self.reports: list[tuple[str, dict]] = []
        self.tasks = TaskGroup(lambda _name, error: self.reports.append(("failed", {"error": error})))
        self.deliverer = self.make(SystemClock(), FAST)

    def make(self, clock: SystemClock | ManualClock, options: DeliveryOptions) -> Deliverer:
        return Deliverer(self.spool, self.endpoints, clock, self.report, options, random.Random(1))

    def report(self, name: str, /, **fields: str | int) -> None:
        self.reports.append((name, fields))

    def put(self, name: str = "evt_1", **changes: object) -> Event:
        endpoints = tuple(endpoint.id for endpoint in self.endpoints())
        fields: dict[str, object] = {
            "id": name, "kind": "budget.soft", "at_ns": time.time_ns(), "forget_ns": 2**62, "endpoints": endpoints,
            "body": '{"type":"budget.soft","n":"ü"}',
        }  # fmt: skip
        event = Event(**{**fields, **changes})  # type: ignore[arg-type]
        self.spool.put(event)
        self.deliverer.wake()
        return event

    def run(self) -> None:
        self.tasks.start(self.deliverer.run(), "deliver")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def rig(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Rig]:
    made = Rig(tmp_path, lambda: [receiver.url])
    yield made
    await made.tasks.close()


async def test_a_delivery_is_signed(rig: Rig, receiver: Receiver) -> None:
    rig.run()
    event = rig.put()
    await until(lambda: rig.deliverer.delivered)
    ((headers, body),) = receiver.got
    assert headers[""] == "POST /hook?token=t0ken HTTP/1.1"
    assert body == event.body.encode()
    assert headers["webhook-id"] == "evt_1"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signature = independent(SECRET, "evt_1", headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["content-type"] == "application/json"
    assert rig.reports == []
    assert rig.spool.progress("evt_1", event.endpoints[0]).outcome == "delivered"


async def test_a_draft_waits_to_be_amended_and_what_follows_waits_for_it(rig: Rig, receiver: Receiver) -> None:
    """«Until then it may be said better, and is not told»: neither because another event woke the deliverer, nor is it
    overtaken by a later one of its stream; one that nobody amends is told when its time has passed."""
    draft = rig.put("evt_draft", stream="one", at_ns=1, draft_until_ns=2**62)
    rig.put("evt_after", stream="one", at_ns=2)
    left = time.time_ns() + 50_000_000
    rig.put("evt_left", stream="two", at_ns=1, draft_until_ns=left)
    rig.put("evt_other", stream="three")
    rig.run()
    await until(lambda: len(receiver.got) == 2)
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"evt_left", "evt_other"}
    assert time.time_ns() >= left
    rig.spool.amend(msgspec.structs.replace(draft, body='{"said":"better"}', draft_until_ns=0))
    rig.deliverer.wake()
    await until(lambda: len(receiver.got) == 4)
    assert [headers["webhook-id"] for headers, _ in receiver.got[2:]] == ["evt_draft", "evt_after"]
    assert receiver.got[2][1] == b'{"said":"better"}'


async def test_a_stream_comes_in_its_order(rig: Rig, receiver: Receiver) -> None:
    """What resolves waits while what opened is tried again; another stream waits for neither."""
    receiver.answers = [500, 500]
    rig.put("evt_open", stream="one", at_ns=1)
    rig.put("evt_over", stream="one", at_ns=2)
    rig.deliverer = rig.make(SystemClock(), msgspec.structs.replace(FAST, give_up=2.0**62))
    rig.run()
    await until(lambda: rig.deliverer.delivered == 2)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == ["evt_open"] * 3 + ["evt_over"]
    rig.put("evt_other", stream="two")
    await until(lambda: rig.deliverer.delivered == 3)


async def test_one_that_fails_is_tried_again_and_taken_once(rig: Rig, receiver: Receiver) -> None:
    receiver.answers = [500, 302, 429, 503]
    rig.run()
    rig.put()
    await until(lambda: rig.deliverer.delivered)
    assert len(receiver.got) == 5
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {"evt_1"}
    assert rig.deliverer.failed == 4
    assert [name for name, _ in rig.reports] == ["webhook_failed"]
    assert "t0ken" not in str(rig.reports)


async def test_one_that_hangs_holds_up_nobody_else(tmp_path: Path, receiver: Receiver) -> None:
    other = Receiver()
    await other.start()
    rig = Rig(tmp_path, lambda: [receiver.url, other.url])
    rig.deliverer = rig.make(SystemClock(), DeliveryOptions(poll=0.01, patience=60, first_back_off=0.01))
    receiver.answers = [None] * 20
    rig.run()
    for number in range(10):
        rig.put(f"evt_{number}")
    await until(lambda: len(other.got) == 10)
    assert len(receiver.got) <= 4, "at_once"
    await rig.tasks.close()
    await other.stop()


async def test_one_that_hangs_is_left_after_a_while(rig: Rig, receiver: Receiver) -> None:
    receiver.answers = [None]
    rig.run()
    rig.put()
    await until(lambda: rig.deliverer.delivered)
    assert rig.reports[0][1]["reason"] in ("TimeoutError", "ReadTimeout")


async def test_one_that_is_down_gets_it_when_it_is_back(rig: Rig, receiver: Receiver) -> None:
    await receiver.stop()
    rig.run()
    rig.put()
    await until(lambda: rig.deliverer.failed >= 3)
    assert receiver.got == []
    await receiver.start()
    await until(lambda: rig.deliverer.delivered)
    assert len(receiver.got) == 1


async def test_the_others_state_is_taken_over(rig: Rig, receiver: Receiver) -> None:
    """The worker that delivers dies: another one goes on where it left off, and repeats nothing that was taken."""
    first = rig.make(SystemClock(), FAST)
    task = rig.tasks.start(first.run(), "first")
    rig.put("evt_1")
    await until(lambda: first.delivered)
    rig.run()
    task.cancel()
    rig.put("evt_2")
    await until(lambda: rig.deliverer.delivered)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == ["evt_1", "evt_2"]


async def test_410_ends_it_at_once(rig: Rig, receiver: Receiver) -> None:
    receiver.answers = [410]
    rig.run()
    event = rig.put()
    await until(lambda: rig.deliverer.dead)
    (dead,) = rig.spool.dead()
    assert (dead.event, dead.error, dead.attempts) == (event, "status 410", 1)
    assert rig.reports == [("webhook_dead_letter", {"webhook": "evt_1", "kind": "budget.soft", "reason": "status 410"})]


async def test_after_days_it_is_a_dead_letter(rig: Rig, receiver: Receiver) -> None:
    receiver.answers = [500] * 100
    rig.run()
    rig.put(at_ns=time.time_ns() - 4 * 86400 * 10**9)
    await until(lambda: rig.deliverer.dead)
    assert len(receiver.got) == 1
    assert rig.spool.dead()[0].error == "status 500"


async def test_a_receiver_that_is_down_for_days_gets_all_of_it_in_order_and_another_never(
    rig: Rig, receiver: Receiver
) -> None:
    """Two and a half days, while a budget ends each of them; the other's three days are over, and a month later its
    letters are gone, which is said."""
    clock, day = ManualClock(time.time_ns()), 86_400.0
    other = Receiver()
    await other.start()
    rig.urls = lambda: [receiver.url, other.url]
    rig.deliverer = rig.make(clock, DeliveryOptions(poll=0.01, patience=0.3, sweep=0))
    await receiver.stop()
    await other.stop()
    rig.run()
    for number in range(6):
        rig.put(f"evt_{number}", at_ns=clock.now_ns(), stream="teams.search.budget")
        clock.advance(day / 2 - 7200)
        # At most an hour and a half to the next attempt, and only the first of a stream is tried.
        await tried(rig)
    assert (rig.deliverer.delivered, rig.deliverer.dead) == (0, 0)
    await receiver.start()
    while rig.deliverer.delivered < 6:
        clock.advance(60)
        await asyncio.sleep(0.005)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [f"evt_{number}" for number in range(6)]
    while rig.deliverer.dead < 6:
        clock.advance(600)
        await asyncio.sleep(0.005)
    assert rig.deliverer.pending == 0
    assert rig.deliverer.dead_letters == len(rig.spool.dead()) == 6
    clock.advance(31 * day)
    rig.deliverer.wake()
    await until(lambda: not rig.spool.dead())
    await until(lambda: ("webhook_dead_letters_dropped", {"letters": 6}) in rig.reports)
    assert rig.deliverer.dead_letters == 0


async def tried(rig: Rig) -> None:
    """Until what is due now was tried once more."""
    before = rig.deliverer.failed
    rig.deliverer.wake()
    await until(lambda: rig.deliverer.failed > before)


async def test_a_receiver_that_is_not_configured_any_more(rig: Rig) -> None:
    rig.run()
    rig.put("evt_1", endpoints=("f" * 16,), at_ns=time.time_ns() - 4 * 86400 * 10**9)
    rig.put("evt_2", endpoints=("f" * 16,))
    await until(lambda: rig.deliverer.dead)
    assert rig.spool.dead()[0].error == "the receiver is not configured"
    assert rig.deliverer.dead == 1, "the younger one waits: a reload may bring it back"


async def test_what_may_be_told_again_is_forgotten(rig: Rig, receiver: Receiver) -> None:
    rig.deliverer = rig.make(SystemClock(), DeliveryOptions(poll=0.01, sweep=0))
    rig.run()
    rig.put("evt_1", forget_ns=time.time_ns() - 1)
    rig.put("evt_2")
    await until(lambda: rig.spool.names() == ["evt_2"])
    await until(lambda: rig.deliverer.delivered == 2)
    assert rig.deliverer.pending == 0


async def test_back_off_grows_with_jitter_and_heeds_retry_after(rig: Rig, receiver: Receiver) -> None:
    """«After about 5 s, 10 s, 20 s … an hour, each time between half and one and a half of that; longer if
    `retry-after` says so.»"""
    clock = ManualClock(time.time_ns())
    deliverer = rig.deliverer = rig.make(clock, DeliveryOptions(poll=0.005))
    receiver.answers = [500] * 14
    rig.run()
    event = rig.put(at_ns=clock.now_ns())
    for attempt in range(1, 13):
        await until(lambda: rig.spool.progress("evt_1", event.endpoints[0]).attempts == attempt)  # noqa: B023
        due = rig.spool.progress("evt_1", event.endpoints[0]).next_ns - clock.now_ns()
        about = min(5 * 2 ** (attempt - 1), 3600)
        assert 0.49 * about <= due / 1e9 <= 1.51 * about, attempt
        clock.advance(due / 1e9 + 0.001)
        deliverer.wake()
    receiver.headers = b"retry-after: 3000\r\n"
    await until(lambda: rig.spool.progress("evt_1", event.endpoints[0]).attempts == 14 or clock.advance(5400))
    assert rig.spool.progress("evt_1", event.endpoints[0]).next_ns - clock.now_ns() >= 2999 * 10**9


async def test_a_disk_that_fails_is_said_once_and_survived(
    rig: Rig, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").mkdir()
    tried: list[object] = []
    sole = rig.spool.sole
    monkeypatch.setattr(rig.spool, "sole", lambda: tried.append(1) or sole())
    rig.run()
    rig.put()
    await until(lambda: len(tried) > 5)
    assert [name for name, _ in rig.reports] == ["webhook_spool_failed"]
    (tmp_path / "lock").rmdir()
    await until(lambda: rig.deliverer.delivered)
    assert [name for name, _ in rig.reports] == ["webhook_spool_failed", "webhook_spool_well"]
    assert rig.reports[1][1]["failures"] > 1


CHILD = """
import os, signal, sys
from gateway.budget_events import BudgetEvents, Figures
from gateway.clock import SystemClock
from gateway.quota import Bound, Calendar, Rule
from gateway.webhooks.signing import Endpoint
from gateway.webhooks.spool import Spool

endpoint = Endpoint(sys.argv[2], b"k" * 32, frozenset({"budget.exhausted"}))
events = BudgetEvents(Spool(sys.argv[1]), lambda: (endpoint,), SystemClock(), lambda *a, **f: None)
rule = Rule(id="teams.search.budget", measure="usd", amount=10**9, window=Calendar("month"))
events.emit("budget.exhausted", Bound(rule, rule.id), Figures(used=10**9))
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_killed_between_the_event_and_its_delivery(rig: Rig, receiver: Receiver, tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), receiver.url], cwd=os.getcwd(), timeout=120)
    assert child.returncode == -signal.SIGKILL
    assert receiver.got == []
    rig.run()
    await until(lambda: rig.deliverer.delivered)
    ((headers, body),) = receiver.got
    assert b'"type":"budget.exhausted"' in body
    signature = independent(SECRET, headers["webhook-id"], headers["webhook-timestamp"], body)
    assert headers["webhook-signature"] == f"v1,{signature}"
