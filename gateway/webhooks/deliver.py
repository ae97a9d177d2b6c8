"""Delivery: every spooled event to each of its receivers, at least once, until it is taken or given up.

A 2xx takes it. Anything else, and no answer within `patience`, is tried again: after about 5 s, 10 s, 20 s … an hour
(each time between half and one and a half of that; longer if `retry-after` says so), for three days; then it is a dead
letter. 410 says that nobody is there any more, and ends it at once. Redirects are not followed. An answer that was
lost, or a crash behind it, has the event delivered again, under the same `webhook-id`.

A few deliveries to each receiver run at one time, so that one that hangs keeps nobody but itself waiting.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from gateway.seams import Clock
from gateway.tasks import TaskGroup
from gateway.webhooks.signing import Endpoint, signed_headers
from gateway.webhooks.spool import Event, Progress, Spool
from gateway.webhooks.trouble import Report, SpoolTrouble

if TYPE_CHECKING:
    import httpx


class DeliveryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    poll: float = 1.0
    patience: float = 15.0
    """For one attempt, from connecting to the head of the answer."""
    first_back_off: float = 5.0
    most_back_off: float = 3600.0
    give_up: float = 3 * 86400.0
    """After the event."""
    at_once: int = 4
    """Deliveries to one receiver at one time."""
    sweep: float = 600.0


class Deliverer:
    """Delivers one spool. `run` it in every worker: who gets the lock delivers, the others wait for its end."""

    def __init__(
        self,
        spool: Spool,
        endpoints: Callable[[], Sequence[Endpoint]],
        clock: Clock,
        report: Report,
        options: DeliveryOptions | None = None,
        chance: random.Random | None = None,
    ) -> None:
        """`endpoints`: those of the configuration in force."""
        self.delivered = self.failed = self.dead = 0
        """Deliveries, attempts that failed, and dead letters of this process."""
        self.dead_letters = 0
        """Those that are kept for a person, as far as this process looks after them."""
        self._spool = spool
        self._endpoints = endpoints
        self._clock = clock
        self._report = report
        self._reading, self._noting = SpoolTrouble(report, clock), SpoolTrouble(report, clock)
        self._options = options or DeliveryOptions()
        self._chance = chance or random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._open: dict[str, Event] = {}
        self._finished: dict[str, int] = {}
        """Events with nothing left to do, and when they may be forgotten."""
        self._progress: dict[tuple[str, str], Progress] = {}
        self._under_way: dict[tuple[str, str], str] = {}
        self._woken = asyncio.Event()
        self._sweep_at = 0.0

    @property
    def spool(self) -> Spool:
        """What it delivers."""
        return self._spool

    @property
    def pending(self) -> int:
        """Deliveries of this process that are due, under way, or wait for their next attempt."""
        return sum(not progress.outcome for progress in list(self._progress.values()))

    def wake(self) -> None:
        """Look now: an event was spooled."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver until cancelled. Survives a disk that does not take it."""
        while True:
            try:
                with self._spool.sole() as held:
                    if held:
                        await self._deliver()
                    self._reading.well()
            except OSError as error:
                self._reading.failed(error)
            await asyncio.sleep(self._options.poll)

    async def _deliver(self) -> None:
        # What another worker delivered meanwhile is in the spool.
        self._open, self._finished, self._progress = {}, {}, {}
        tasks = TaskGroup(lambda _name, error: self._report("webhook_defect", error=type(error).__name__))
        client: httpx.AsyncClient | None = None
        try:
            while True:
                self._woken.clear()
                await asyncio.to_thread(self._look)
                self._reading.well()
                if client is None and self._open:
                    client = _client(self._options.patience)
                if client is not None:
                    self._begin(tasks, client)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._options.poll):
                        await self._woken.wait()
        finally:
            await tasks.close()
            if client is not None:
                await client.aclose()

    def _look(self) -> None:
        """Take up what is new in the spool, on a thread; now and then drop what may be forgotten."""
        for name in self._spool.names():
            known = self._open.get(name)
            if name in self._finished or (known is not None and not known.draft_until_ns):
                continue
            event = self._spool.event(name)
            if event is None:
                continue
            if known is not None:
                self._open[name] = event
                continue
            self._spool.sync(name)
            for endpoint in event.endpoints:
                self._progress[name, endpoint] = self._spool.progress(name, endpoint)
            self._open[name] = event
            self._close_if_done(event)
        now = self._clock.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + self._options.sweep
            self._sweep()

    def _sweep(self) -> None:
        now_ns = self._clock.now_ns()
        for name in [name for name, forget_ns in list(self._finished.items()) if forget_ns <= now_ns]:
            del self._finished[name]
            if (event := self._spool.event(name)) is not None:
                self._spool.forget(event)
        self.dead_letters, gone = self._spool.bury(now_ns)
        if gone:
            self._report("webhook_dead_letters_dropped", letters=gone)

    def _begin(self, tasks: TaskGroup, client: "httpx.AsyncClient") -> None:
        """Start what is due."""
        endpoints = {endpoint.id: endpoint for endpoint in self._endpoints()}
        now_ns = self._clock.now_ns()
        busy = list(self._under_way.values())
        behind: set[tuple[str, str]] = set()
        for event in sorted(self._open.values(), key=lambda event: event.at_ns):
            for endpoint_id in event.endpoints:
                progress = self._progress[event.id, endpoint_id]
                if progress.outcome:
                    continue
                if event.stream:
                    # What resolves must not arrive before what opened, which may be waiting for its next attempt.
                    if (event.stream, endpoint_id) in behind:
                        continue
                    behind.add((event.stream, endpoint_id))
                if event.draft_until_ns > now_ns:
                    continue
                if (event.id, endpoint_id) in self._under_way or progress.next_ns > now_ns:
                    continue
                endpoint = endpoints.get(endpoint_id)
                if endpoint is None:
                    if self._too_old(event):
                        self._settle(event, endpoint_id, self._given_up(progress, "the receiver is not configured"))
                elif busy.count(endpoint_id) < self._options.at_once:
                    busy.append(endpoint_id)
                    self._under_way[event.id, endpoint_id] = endpoint_id
                    tasks.start(self._attempt(client, event, endpoint), "deliver webhook")

    async def _attempt(self, client: "httpx.AsyncClient", event: Event, endpoint: Endpoint) -> None:
        try:
            error, wait = await self._post(client, event, endpoint)
            before = self._progress[event.id, endpoint.id]
            progress = Progress(attempts=before.attempts + 1, outcome="" if error else "delivered", error=error)
            if error:
                self.failed += 1
                progress = self._after_failure(event, progress, wait)
            else:
                self.delivered += 1
            self._settle(event, endpoint.id, progress)
        finally:
            self._under_way.pop((event.id, endpoint.id), None)
            self._woken.set()

    async def _post(self, client: "httpx.AsyncClient", event: Event, endpoint: Endpoint) -> tuple[str, float]:
        """What went wrong ("": nothing), and how long the receiver asks to be left alone, in seconds."""
        body = endpoint.filled(event.body)
        headers = signed_headers(endpoint.key, event.id, self._clock.now_ns() // 10**9, body)
        try:
            async with (
                asyncio.timeout(self._options.patience),
                client.stream("POST", endpoint.url, content=body, headers=headers) as answer,
            ):
                if answer.is_success:
                    return "", 0.0
                asked = answer.headers.get("retry-after", "")
                return f"status {answer.status_code}", float(asked) if asked.isascii() and asked.isdigit() else 0.0
        except Exception as error:  # whatever it is, it is one attempt that failed
            # By its name only: its text may quote the URL.
            return type(error).__name__, 0.0

    def _after_failure(self, event: Event, progress: Progress, wait: float) -> Progress:
        if progress.error == "status 410" or self._too_old(event):
            return self._given_up(progress, progress.error)
        options = self._options
        back_off = min(options.first_back_off * 2 ** min(progress.attempts - 1, 30), options.most_back_off)
        back_off = max(back_off * self._chance.uniform(0.5, 1.5), min(wait, options.most_back_off))
        return msgspec.structs.replace(progress, next_ns=self._clock.now_ns() + round(back_off * 1e9))

    def _too_old(self, event: Event) -> bool:
        return self._clock.now_ns() - event.at_ns >= self._options.give_up * 1e9

    def _given_up(self, progress: Progress, error: str) -> Progress:
        return msgspec.structs.replace(progress, outcome="dead", error=error)

    def _settle(self, event: Event, endpoint: str, progress: Progress) -> None:
        """A small write, on the loop: after it a crash repeats nothing."""
        self._progress[event.id, endpoint] = progress
        if progress.outcome == "dead":
            self.dead += 1
            self.dead_letters += 1
            self._report("webhook_dead_letter", webhook=event.id, kind=event.kind, reason=progress.error)
        elif progress.attempts == 1 and progress.error:
            self._report("webhook_failed", webhook=event.id, kind=event.kind, reason=progress.error)
        try:
            self._spool.note(event, endpoint, progress)
            self._noting.well()
        except OSError as error:
            self._noting.failed(error)
        self._close_if_done(event)

    def _close_if_done(self, event: Event) -> None:
        if all(self._progress[event.id, endpoint].outcome for endpoint in event.endpoints):
            del self._open[event.id]
            self._finished[event.id] = event.forget_ns
            for endpoint in event.endpoints:
                del self._progress[event.id, endpoint]


def _client(patience: float) -> "httpx.AsyncClient":
    """Without the proxies and credentials of the environment: it goes where the configuration says. Imported by those
    who have something to deliver only."""
    import httpx

    return httpx.AsyncClient(timeout=patience, follow_redirects=False, trust_env=False)
