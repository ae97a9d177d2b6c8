"""Detectors outside of the engine, for the life of their configuration: services and worker processes, made once, kept
over reloads that leave them alone, and closed when the last exchange that may ask them is over.
"""

import asyncio
import os
from collections.abc import Mapping

from gateway.errors import ConfigError
from gateway.inspection.check import Check
from gateway.inspection.external.config import ExternalConfig
from gateway.inspection.external.shape import Context
from gateway.inspection.ner.config import NerConfig
from gateway.inspection.report import Report, Spend
from gateway.seams import Clock
from gateway.settings.outside_rules import OutsideRules, Source
from gateway.tasks import TaskGroup
from gateway.telemetry.logs import alert, info
from guardrails.interface import Segment

_KEY_BYTES = 32


class Asked:
    """One detector, whichever it is."""

    def __init__(self, source: Source, clock: Clock, tasks: TaskGroup, key: bytes) -> None:
        """Takes up to a tenth of a second (certificates, word lists): not for the event loop."""
        self.source = source
        self._failing = False
        if isinstance(source.config, NerConfig):
            from gateway.inspection.ner.pool import NerPool

            self._ner = NerPool(source.config, clock=clock, tasks=tasks, key=key)
            self._external = None
        elif isinstance(source.config, ExternalConfig):
            from gateway.inspection.external.detector import ExternalDetector

            self._ner = None
            self._external = ExternalDetector(source.config, clock=clock, tasks=tasks, key=key)
        else:
            raise TypeError(type(source.config).__name__)

    @property
    def starts(self) -> bool:
        """It has to be started, and is not ready at once."""
        return self._ner is not None

    async def start(self) -> None:
        """Wait until it can be asked. What keeps it from that is logged: its rules fail then."""
        if self._ner is not None:
            try:
                await self._ner.start()
            except ConfigError as error:
                alert("guardrail_detector_unusable", detector=self.source.name, reason=str(error))

    def check(self, segments: list[Segment], context: Context, spend: Spend | None = None) -> Check:
        """Start to inspect; `spend` is told what that costs."""
        if self._ner is not None:
            return self._ner.check(segments)
        assert self._external is not None
        return self._external.check(segments, context, spend)

    def told(self, report: Report) -> None:
        """Say in the log when it begins to fail for good, and when it is well again; single failures are counted by
        metrics alone."""
        if self._external is None:
            return
        failing = self._external.state != "closed"
        if failing and not self._failing:
            alert("guardrail_detector_open", detector=self.source.name, reason=report.error)
        elif self._failing and not failing:
            info("guardrail_detector_closed", detector=self.source.name)
        self._failing = failing

    async def aclose(self) -> None:
        """End it."""
        if self._ner is not None:
            await self._ner.aclose()
        if self._external is not None:
            await self._external.aclose()


class DetectorSet:
    """The detectors of one configuration, by name. `users`: exchanges that may still ask them."""

    def __init__(self, outside: OutsideRules, by_name: dict[str, Asked]) -> None:
        self.outside = outside
        self.by_name = by_name
        self.users = 0


class Detectors:
    """Keeps the set in force, and older ones while somebody uses them. Not for several threads."""

    def __init__(self, clock: Clock, tasks: TaskGroup) -> None:
        self._clock = clock
        self._tasks = tasks
        self._key = os.urandom(_KEY_BYTES)
        self._lock = asyncio.Lock()
        self._current: DetectorSet | None = None
        self._old: list[DetectorSet] = []

    @property
    def current(self) -> Mapping[str, Asked]:
        """Those in force."""
        return {} if self._current is None else self._current.by_name

    async def prepare(self, outside: OutsideRules, *, patient: bool) -> None:
        """Make what `outside` asks for. `patient`: and wait until it is ready."""
        starting = [self._start(made, asked) for made, asked in await self._make_current(outside)]
        if patient:
            await asyncio.gather(*starting)
        else:
            for start in starting:
                self._tasks.start(start, "start detector")

    async def lease(self, outside: OutsideRules) -> DetectorSet:
        """The detectors of this configuration, until `release`. Only awaits anything after a reload."""
        if self._current is None or self._current.outside is not outside:
            await self.prepare(outside, patient=False)
        found = self._current
        assert found is not None
        found.users += 1
        return found

    def release(self, leased: DetectorSet) -> None:
        """The exchange asks no more."""
        leased.users -= 1
        if leased is not self._current and leased.users <= 0:
            self._retire()

    async def aclose(self) -> None:
        """End all of them."""
        every = {id(asked): asked for each in self._sets() for asked in each.by_name.values()}
        self._current, self._old = None, []
        for asked in every.values():
            await asked.aclose()

    def _sets(self) -> list[DetectorSet]:
        return self._old if self._current is None else [*self._old, self._current]

    async def _make_current(self, outside: OutsideRules) -> list[tuple[DetectorSet, Asked]]:
        """Those that are to be started, with their set. One that replaces another is not in it before it is ready."""
        async with self._lock:
            before = self._current
            if before is not None and before.outside is outside:
                return []
            known = {} if before is None else before.by_name
            made = DetectorSet(outside, {})
            fresh: list[tuple[DetectorSet, Asked]] = []
            for name, source in outside.sources.items():
                if not isinstance(source.config, ExternalConfig | NerConfig):
                    continue
                asked = known.get(name)
                if asked is None or asked.source != source:
                    new = await asyncio.to_thread(Asked, source, self._clock, self._tasks, self._key)
                    if new.starts:
                        fresh.append((made, new))
                    asked = asked if asked is not None and new.starts else new
                made.by_name[name] = asked
            self._current = made
            if before is not None:
                self._old.append(before)
                self._retire()
            return fresh

    async def _start(self, made: DetectorSet, asked: Asked) -> None:
        await asked.start()
        before = made.by_name[asked.source.name]
        made.by_name[asked.source.name] = asked
        if before is not asked:
            self._close_unused([before])

    def _retire(self) -> None:
        """Close what no set in use has any more."""
        gone = [each for each in self._old if each.users <= 0]
        self._old = [each for each in self._old if each.users > 0]
        self._close_unused([asked for each in gone for asked in each.by_name.values()])

    def _close_unused(self, candidates: list[Asked]) -> None:
        kept = {id(asked) for each in self._sets() for asked in each.by_name.values()}
        for asked in {id(asked): asked for asked in candidates if id(asked) not in kept}.values():
            self._tasks.start(asked.aclose(), "close detector")
