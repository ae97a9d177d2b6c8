"""A provider of limited capacity behind a served gateway: who is served, who waits, who is turned away."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.gateway.ledger.helpers import journal_lines
from tests.support.raw import STREAM_HEAD, USAGE, chunk, delta, raw_server, read_request, sse
from tests.support.served import key_hash, wait_for

ADMIN = {"authorization": "Bearer sk-admin"}
ANSWER = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
).encode()


class Slow:
    """A provider that answers when it is told to."""

    def __init__(self) -> None:
        self.at_work: list[str] = []
        """What is asked of it now: the content of the messages."""
        self.most = 0
        self._go: dict[str, asyncio.Event] = {}
        self.url = ""

    async def handle(self, state: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = json.loads((await read_request(reader))[1])
            name = asked["messages"][0]["content"]
            self.at_work.append(name)
            self.most = max(self.most, len(self.at_work))
            go = self._go[name] = asyncio.Event()
            try:
                if asked.get("stream"):
                    writer.write(STREAM_HEAD + chunk(sse(delta("one"))))
                gone = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({gone, asyncio.ensure_future(go.wait())}, return_when="FIRST_COMPLETED")
                if gone.done():
                    return
                gone.cancel()
                await asyncio.wait({gone})
            finally:
                self.at_work.remove(name)
            if asked.get("stream"):
                writer.write(chunk(sse(delta("two", "stop"), USAGE, "[DONE]")) + b"0\r\n\r\n")
            else:
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER)
                )
                writer.write(ANSWER)
            await writer.drain()

    async def answer(self, name: str) -> None:
        """Answer this one, which must be at work."""
        assert name in self.at_work
        self._go.pop(name).set()
        await until(lambda: name not in self.at_work)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


class There:
    """A gateway in front of one slow provider (`p`) and one quick one (`spare`), and its clients."""

    def __init__(self, gateway: Any, slow: Slow, http: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.slow = slow
        self.http = http
        self.answers: dict[str, httpx.Response] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, name: str, team: str, model: str = "m", *, stream: bool = False) -> None:
        self.tasks[name] = asyncio.ensure_future(self._ask(name, team, model, stream))

    async def _ask(self, name: str, team: str, model: str, stream: bool) -> None:
        body = {"model": model, "messages": [{"role": "user", "content": name}], "stream": stream}
        headers = {"authorization": f"Bearer sk-{team}"}
        self.answers[name] = await self.http.post(self.gateway.v1 + "/chat/completions", json=body, headers=headers)

    async def figures(self) -> dict[str, float]:
        """Of the slow provider: limit, in_use, waiting, full, late, granted."""
        text = (await self.http.get(self.gateway.url + "/metrics", headers=ADMIN)).text
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            if family.name.startswith("tollway_capacity") and family.type != "histogram":
                for sample in family.samples:
                    if sample.labels["provider"] == "p":
                        key = sample.labels.get("state") or sample.labels.get("reason") or "granted"
                        found[key] = sample.value
        return found

    async def waiting(self, number: int) -> None:
        """Returns when so many requests wait for a place."""
        async with asyncio.timeout(60):
            while (await self.figures()).get("waiting") != number:
                await asyncio.sleep(0.005)

    async def reload(self, **capacity: object) -> None:
        """With these options of the slow provider's capacity."""
        written = yaml.safe_load(self.gateway.config.read_text())
        written["providers"]["p"]["capacity"].update(capacity)
        self.gateway.config.write_text(yaml.safe_dump(written))
        (await self.http.post(self.gateway.url + "/admin/v1/reload", headers=ADMIN)).raise_for_status()


@asynccontextmanager
async def there(serve: Callable[..., Any], **capacity: object) -> AsyncIterator[There]:
    slow = Slow()
    async with raw_server(slow.handle) as state, httpx.AsyncClient(timeout=60) as http:
        gateway = serve(
            providers={
                "p": {"dialect": "openai", "base_url": state.url + "/v1", "api_key": "k", "capacity": capacity},
                "spare": {"dialect": "openai", "base_url": state.url + "/v1", "api_key": "k"},
                "gone": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1"},
            },
            models={
                "m": {"targets": [{"provider": "p"}]},
                "backed": {"targets": [{"provider": "p"}], "fallbacks": ["spare"]},
                "spare": {"targets": [{"provider": "spare"}]},
                "gone": {"targets": [{"provider": "gone"}], "fallbacks": ["m"]},
            },
            teams={
                name: {"keys": [{"id": name, "hash": key_hash(f"sk-{name}")}], **more}
                for name, more in {"noisy": {}, "quiet": {}, "jobs": {"priority": "batch"}}.items()
            },
        )
        yield There(gateway, slow, http)


async def test_teams_share_a_provider_and_batch_waits_behind_them(serve) -> None:
    """Never more than `concurrent` at the provider; a team that asks for more than its share does not push back
    another; batch is served when nothing interactive waits."""
    async with there(serve, concurrent=2, queue=100, wait="60s") as t:
        for at in range(2):
            t.ask(f"jobs{at}", "jobs")
        await until(lambda: len(t.slow.at_work) == 2)
        for at in range(2, 4):
            t.ask(f"jobs{at}", "jobs")
        await t.waiting(2)
        for at in range(7):
            t.ask(f"noisy{at}", "noisy")
        await t.waiting(9)
        for at in range(2):
            t.ask(f"quiet{at}", "quiet")
        await t.waiting(11)
        order: list[str] = []
        while len(t.answers) < 13:
            order.append(t.slow.at_work[0])
            await t.slow.answer(order[-1])
            await until(lambda: len(t.answers) == len(order))
            await until(lambda: len(t.slow.at_work) == min(2, 13 - len(order)))
        assert t.slow.most == 2
        assert {name.rstrip("0123456789") for name in order[:2]} == {"jobs"}
        assert {"quiet0", "quiet1"} < set(order[2:7]), order
        assert sorted(order[-2:]) == ["jobs2", "jobs3"], order
        assert {answer.status_code for answer in t.answers.values()} == {200}
        assert await t.figures() == {"limit": 2, "in_use": 0, "waiting": 0, "full": 0, "late": 0, "granted": 13}


async def test_who_finds_no_place_moves_on_or_is_told_when_to_come_back(serve) -> None:
    """A full line, or a wait that is over, is as an overloaded provider: the next target is tried; if there is none,
    503 with `retry-after` and the code `provider_capacity`."""
    async with there(serve, concurrent=1, queue=1, wait="10m") as t:
        t.ask("first", "quiet", stream=True)
        await until(lambda: t.slow.at_work)
        t.ask("waits", "quiet")
        await t.waiting(1)
        t.ask("full", "quiet")
        await until(lambda: "full" in t.answers)
        refused = t.answers["full"]
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "provider_capacity")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert "the line is full" in refused.json()["error"]["message"]
        t.ask("backed", "quiet", "backed")
        await until(lambda: "backed" in t.slow.at_work)
        await t.slow.answer("backed")
        await until(lambda: "backed" in t.answers)
        assert t.answers["backed"].headers["x-tollway-provider"] == "spare"
        t.tasks["waits"].cancel()
        await t.waiting(0)
        await t.reload(wait="100ms")
        t.ask("late", "quiet")
        await until(lambda: "late" in t.answers)
        assert "no place came free within 0.1 s" in t.answers["late"].json()["error"]["message"]
        assert t.slow.at_work == ["first"], "a stream holds its place to its end"
        await t.slow.answer("first")
        t.ask("next", "quiet")
        await until(lambda: "next" in t.slow.at_work)
        await t.slow.answer("next")
        await until(lambda: "next" in t.answers)
        figures = await t.figures()
        assert (figures["in_use"], figures["late"], figures["granted"]) == (0, 1, 2)


def ended(journal: Path) -> list[dict[str, Any]]:
    """Finished exchanges, once there are any."""
    lines = wait_for(lambda: [line for line in journal_lines(journal) if line["t"] == "end"], "an end in the journal")
    assert isinstance(lines, list)
    return lines


async def test_who_leaves_frees_its_place_and_a_reload_opens_the_turnstile(serve) -> None:
    async with there(serve, concurrent=1, queue=10, wait="60s") as t:
        t.ask("first", "quiet")
        await until(lambda: t.slow.at_work)
        for name in ("second", "third", "fourth", "fifth"):
            t.ask(name, "quiet", "gone" if name == "second" else "m")
            await t.waiting(len(t.tasks) - 1)
        t.tasks["second"].cancel()
        await t.waiting(3)
        ends = await asyncio.to_thread(ended, t.gateway.data / "journal")
        assert [(end["outcome"], end["attempts"][0]["error"], end.get("usage")) for end in ends] == [
            ("client_left", "ConnectFailed", None)
        ], "no provider was at work on it: nothing is billed"
        t.tasks["first"].cancel()
        await until(lambda: t.slow.at_work == ["third"])
        await t.reload(concurrent=3)
        await until(lambda: sorted(t.slow.at_work) == ["fifth", "fourth", "third"])
        for name in ("third", "fourth", "fifth"):
            await t.slow.answer(name)
        await until(lambda: len(t.answers) == 3)
        assert (await t.figures())["in_use"] == 0
