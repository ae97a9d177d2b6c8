"""Asks one external detector: deadline, breaker, bounded concurrency and queue, cache. Failures are reported.

    check = detector.check(segments, context)      # starts; nothing is awaited
    report = await check.report()                  # at once (`before`), or when the answer is there (`alongside`)
    check.cancel()                                 # if nobody will ask any more

Calls that fail count towards the breaker, but not those our own queue or one client's text is to blame for.
"""

import asyncio
import re
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

from gateway.clock import Ids
from gateway.inspection.cache import VerdictCache
from gateway.inspection.check import Check
from gateway.inspection.external.breaker import Breaker, State
from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import TOGETHER, Context, Reply, Shape, Stamp, Text, WrongAnswer
from gateway.inspection.external.shapes import shape_of
from gateway.inspection.external.transport import Unreachable, Wire
from gateway.inspection.report import Outcome, Report, Spend, Spent
from gateway.inspection.windows import clean, merged, shifted, windows
from gateway.seams import Clock
from gateway.tasks import TaskGroup
from guardrails.detector import Match
from guardrails.interface import Finding, Segment

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]{0,127}")
_MOST_REMEMBERED = 256
"""Matches a verdict in the cache may have."""


class _Failed(Exception):
    """One call came to nothing; carries no text."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome


class ExternalDetector:
    """One external detector, for the life of its configuration."""

    def __init__(self, config: ExternalConfig, *, clock: Clock, tasks: TaskGroup, key: bytes) -> None:
        """`key`: secret under which texts are hashed for the cache, 16 to 64 bytes."""
        self.config = config
        self._shape: Shape = shape_of(config)
        self._clock = clock
        self._tasks = tasks
        self._ids = Ids()
        self._wire = Wire(
            config.base_url,
            config.headers,
            connections=config.concurrency,
            max_answer=config.max_answer,
            ca_file=config.ca_file,
        )
        self._breaker = Breaker(config.failures, config.back_off, config.longest_back_off)
        self._places = asyncio.Semaphore(config.concurrency)
        self._cache = VerdictCache[Reply](key, entries=config.cache_entries, seconds=config.cache_seconds)
        self.waiting = 0
        """Calls that wait for a free place."""

    @property
    def state(self) -> State:
        """The circuit's."""
        return self._breaker.state(self._clock.monotonic())

    @property
    def remembered(self) -> tuple[int, int, int]:
        """Verdicts in the cache, and its hits and misses so far."""
        return len(self._cache), self._cache.hits, self._cache.misses

    def check(self, segments: Sequence[Segment], context: Context, spend: Spend | None = None) -> Check:
        """Start to inspect `segments`, the texts of one body."""
        run = _Run(self._clock, spend)
        return Check(self._tasks.start(self._inspect(segments, context, run), f"guardrail {self.config.name}"), run.cut)

    async def aclose(self) -> None:
        """Close the connections. Checks under way are their task group's to end."""
        await self._wire.aclose()

    async def _inspect(self, segments: Sequence[Segment], context: Context, run: "_Run") -> Report:
        kept = [segment for segment in segments if segment.text]
        try:
            if sum(len(segment.text) for segment in kept) > self.config.max_text:
                raise _Failed("too_large", f"more than {self.config.max_text} characters")
            texts = [Text(segment.role, clean(segment.text), segment.path) for segment in kept]
            if texts:
                ask = self._alone if self._shape.alone else self._together
                await ask(texts, context, run)
        except _Failed as error:
            run.outcome, run.error = error.outcome, str(error)
        except Exception as error:
            run.outcome, run.error = "defect", type(error).__name__
        return self._report(run, kept)

    async def _together(self, texts: list[Text], context: Context, run: "_Run") -> None:
        parts = [part for text in texts for part in (text.role, text.text)]
        told = (context.direction, context.team, context.key_id, context.model, context.operation)
        digest = self._cache.digest(*told, *parts)
        reply = self._cache.get(digest, self._clock.monotonic())
        if reply is not None:
            run.cached += 1
        else:
            reply = await self._call(texts, context, run)
            self._remember(digest, reply)
        run.take(reply)

    async def _alone(self, texts: list[Text], context: Context, run: "_Run") -> None:
        now = self._clock.monotonic()
        digests = [self._cache.digest(context.direction, text.text) for text in texts]
        unknown: list[int] = []
        for index, digest in enumerate(digests):
            reply = self._cache.get(digest, now)
            if reply is None:
                unknown.append(index)
            else:
                run.cached += 1
                run.take(_at(reply, index))
        asked = _batches([texts[index] for index in unknown], self._shape.window, self._shape.batch)
        replies = await self._ask_all([[text for _, _, text in batch] for batch in asked], context, run)
        answered = [(batch, reply) for batch, reply in zip(asked, replies, strict=True) if isinstance(reply, Reply)]
        complete = len(answered) == len(asked)
        for place, reply in _by_text(answered):
            run.take(_at(reply, unknown[place]))
            if complete:
                self._remember(digests[unknown[place]], reply)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply

    async def _ask_all(
        self, asked: list[list[Text]], context: Context, run: "_Run"
    ) -> list[Reply | BaseException | None]:
        """The reply to each request, or why there is none; None: not asked, because another had failed by then. No
        inspection fills the queue alone, however many texts it has."""
        replies: list[Reply | BaseException | None] = [None] * len(asked)
        left = iter(range(len(asked)))

        async def ask_on() -> None:
            for at in left:
                try:
                    replies[at] = await self._call(asked[at], context, run)
                except Exception as error:
                    replies[at] = error
                    for _ in left:
                        pass
                    return

        await asyncio.gather(*(ask_on() for _ in range(min(len(asked), self.config.concurrency))))
        return replies

    def _remember(self, digest: bytes, reply: Reply) -> None:
        """Unless it holds text."""
        if not reply.rewrites and not reply.message and len(reply.matches) <= _MOST_REMEMBERED:
            known = msgspec.structs.replace(reply, spent=None)
            self._cache.put(digest, known, self._clock.monotonic())

    async def _call(self, texts: list[Text], context: Context, run: "_Run") -> Reply:
        """One request. Raises `_Failed`."""
        until = run.loop_started + self.config.deadline
        if self._places.locked() and self.waiting >= self.config.queue:
            raise _Failed("overloaded", f"{self.waiting} calls are waiting already")
        self.waiting += 1
        try:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        except TimeoutError:
            raise _Failed("overloaded", "no place within the deadline") from None
        finally:
            self.waiting -= 1
        try:
            return await self._exchange(texts, context, run, until)
        finally:
            self._places.release()

    async def _exchange(self, texts: list[Text], context: Context, run: "_Run", until: float) -> Reply:
        if not self._breaker.allow(self._clock.monotonic()):
            raise _Failed("open", "failed too often; the circuit is open")
        run.calls += 1
        began = self._clock.monotonic()
        retry_after: float | None = None
        paid = _Paid(self._shape.charged, began)
        try:
            stamp = Stamp(self._clock.now_ns(), self._ids.uuid7(self._clock.now_ns()))
            outgoing = self._shape.request(texts, context, stamp)
            async with asyncio.timeout_at(until):
                status, body, retry_after = await self._wire.send(outgoing, lambda: run.open(paid))
            run.opened.discard(paid)
            reply = self._shape.reply(texts, status, body)
        except TimeoutError:
            self._breaker.failed(self._clock.monotonic())
            run.cut(paid)
            raise _Failed("timeout", f"no answer within {self.config.deadline:g} s") from None
        except Unreachable as error:
            self._breaker.failed(self._clock.monotonic())
            run.cut(paid)
            raise _Failed("unavailable", str(error)) from None
        except WrongAnswer as error:
            if error.fault:
                self._breaker.failed(self._clock.monotonic(), retry_after)
            else:
                self._breaker.abandoned()
            run.opened.discard(paid)
            run.pay(error.spent, self._clock.monotonic() - began)
            raise _Failed("wrong_answer", str(error)) from None
        except BaseException:
            self._breaker.abandoned()
            run.cut(paid)
            raise
        self._breaker.succeeded()
        run.pay(reply.spent, self._clock.monotonic() - began)
        return reply

    def _rule(self, rule: str) -> str:
        """The id of a rule of ours, with what the service calls it."""
        ours = f"{self.config.name}/"
        return ours + _named(rule.removeprefix(ours))

    def _report(self, run: "_Run", segments: list[Segment]) -> Report:
        threshold = self.config.threshold
        counted = [(index, m) for index, m in run.matches if threshold is None or m.score >= threshold]
        return Report(
            detector=self.config.name,
            outcome=run.outcome,
            flagged=run.flagged if threshold is None else bool(counted),
            refused=run.outcome != "ok" and self.config.on_failure == "closed",
            findings=tuple(
                Finding(_named(m.type), "" if index == TOGETHER else segments[index].path, m.start, m.end, m.score,
                        self._rule(m.rule), m.evidence)
                for index, m in sorted(counted, key=lambda item: (item[0], item[1].start, item[1].end))
            ),
            rewrites=tuple(msgspec.structs.replace(segments[index], text=text) for index, text in run.rewrites),
            message=run.message,
            error=run.error,
            calls=run.calls,
            cached=run.cached,
            seconds=self._clock.monotonic() - run.started,
        )  # fmt: skip


def _named(given: str) -> str:
    """A name that a service gives, if it looks like one. What does not may quote the text, and would stand in headers,
    metrics, the ledger and the text's own place."""
    return given if _NAME.fullmatch(given) else "FLAGGED"


class _Paid:
    """A call that costs: the model ("": none), and when it began."""

    def __init__(self, model: str, began: float) -> None:
        self.model = model
        self.began = began


class _Run:
    """What one inspection has gathered so far."""

    def __init__(self, clock: Clock, spend: Spend | None) -> None:
        self._clock = clock
        self.started = clock.monotonic()
        self._spend = spend
        self.opened: set[_Paid] = set()
        """Calls that the service has and has not answered."""
        self.loop_started = asyncio.get_running_loop().time()
        self.outcome: Outcome = "ok"
        self.error = ""
        self.flagged = False
        self.matches: list[tuple[int, Match]] = []
        self.rewrites: list[tuple[int, str]] = []
        self.message = ""
        self.calls = 0
        self.cached = 0

    def pay(self, spent: Spent | None, seconds: float) -> None:
        """Tell of what a call used that took so long."""
        if spent is not None and self._spend is not None:
            self._spend(spent, seconds)

    def open(self, paid: _Paid) -> None:
        """The service has the whole request."""
        if paid.model:
            self.opened.add(paid)

    def cut(self, paid: _Paid | None = None) -> None:
        """Nobody waits for this call, or any, any more. Its prompt is paid for all the same, once."""
        for each in [paid] if paid is not None else list(self.opened):
            if each in self.opened:
                self.opened.discard(each)
                self.pay(Spent(each.model, 0, 0, told=False), self._clock.monotonic() - each.began)

    def take(self, reply: Reply) -> None:
        self.flagged |= reply.flagged
        self.matches += reply.matches
        self.rewrites += reply.rewrites
        self.message = self.message or reply.message


def _at(reply: Reply, index: int) -> Reply:
    """A reply about one text, said of text `index`."""
    matches = tuple((index, match) for _, match in reply.matches)
    return msgspec.structs.replace(reply, matches=matches, rewrites=tuple((index, text) for _, text in reply.rewrites))


def _batches(texts: Sequence[Text], size: int, limit: int) -> list[list[tuple[int, int, Text]]]:
    """Requests' worth of (index of the text, start of the window, window): at most `limit` in each."""
    pieces = [
        (index, start, Text(text.role, piece, text.path))
        for index, text in enumerate(texts)
        for start, piece in windows(text.text, size)
    ]
    return [pieces[at : at + limit] for at in range(0, len(pieces), max(limit, 1))]


def _by_text(answered: list[tuple[list[tuple[int, int, Text]], Reply]]) -> list[tuple[int, Reply]]:
    """Replies to batches of windows, as one reply to each text, matches at its own offsets.

    A service says for a batch whether it flagged anything; each text of it counts as flagged that has a match, or all
    of them if none has. What a service would have in the place of a window cannot be put into the whole.
    """
    found: list[tuple[int, int, Reply]] = []
    for batch, reply in answered:
        guilty = {at for at, _ in reply.matches}
        for at, (index, start, _) in enumerate(batch):
            matches = tuple((0, shifted(match, start)) for which, match in reply.matches if which == at)
            rewrites = tuple((0, new) for which, new in reply.rewrites if which == at)
            flagged = reply.flagged and (at in guilty or not guilty)
            found.append((index, start, Reply(flagged, matches, rewrites, reply.message)))
    out: list[tuple[int, Reply]] = []
    for index, group in groupby(sorted(found, key=itemgetter(0, 1)), key=itemgetter(0)):
        parts = [reply for _, _, reply in group]
        matches = tuple((0, match) for match in merged(match for part in parts for _, match in part.matches))
        rewrites = parts[0].rewrites if len(parts) == 1 else ()
        message = next((part.message for part in parts if part.message), "")
        out.append((index, Reply(any(part.flagged for part in parts), matches, rewrites, message)))
    return out
