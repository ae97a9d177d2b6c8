"""The watcher sees every way in which a file becomes another one."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.settings.reload import Configuration, ReloadResult
from gateway.settings.sources import Sources
from gateway.settings.watch import watch_files
from gateway.tasks import TaskGroup

LIMIT = 60.0


class Watched:
    """A configuration under watch, and the reloads that came of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.configuration = Configuration(path, clock=ManualClock(), env={})
        self.results: list[ReloadResult] = []
        self.drain = self.configuration.snapshot.server.drain

    async def reload(self, reason: str) -> None:
        self.results.append(await asyncio.to_thread(self.configuration.reload, reason))
        self.drain = self.configuration.snapshot.server.drain  # in force already, in a thread; now it is told too

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.01)


@pytest.fixture
async def watched(write: Callable[..., Path], minimal: str) -> AsyncIterator[Watched]:
    text = minimal + "prices: off\ninclude: [extra/*.yaml]\nserver: {drain: 10s}\n"
    watched = Watched(write(text, extra__a="teams: {a: {}}\n"))
    failures: list[BaseException] = []
    tasks = TaskGroup(lambda _name, error: failures.append(error))
    tasks.start(watch_files(watched.configuration, watched.reload), "watch")
    yield watched
    await tasks.close()
    assert failures == []


def edited(path: Path, drain: str) -> str:
    return path.read_text().replace("drain: 10s", f"drain: {drain}")


def replace(path: Path, text: str) -> None:
    """In one step, so that no look can find half a file and count as a reload more."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


async def test_a_file_written_in_place(watched: Watched) -> None:
    watched.path.write_text(edited(watched.path, "2s"))
    await watched.until(lambda: watched.drain == 2)
    assert watched.results[-1].reason == "file change"


async def test_a_file_replaced_as_editors_do(watched: Watched) -> None:
    """Write a new file, rename it over the old one; then again, by way of a back-up name."""
    new = watched.path.with_suffix(".new")
    new.write_text(edited(watched.path, "2s"))
    os.replace(new, watched.path)
    await watched.until(lambda: watched.drain == 2)
    text = watched.path.read_text()
    os.replace(watched.path, watched.path.with_suffix(".yaml~"))
    watched.path.write_text(text.replace("drain: 2s", "drain: 3s"))
    await watched.until(lambda: watched.drain == 3)


async def test_a_file_that_begins_to_be_included(watched: Watched) -> None:
    (watched.path.parent / "extra" / "b.yaml").write_text("teams: {b: {}}\n")
    await watched.until(lambda: "b" in watched.configuration.written.root.teams)
    (watched.path.parent / "extra" / "b.yaml").unlink()
    await watched.until(lambda: "b" not in watched.configuration.written.root.teams)


async def test_a_bad_file_is_tried_once_and_its_repair_is_seen(watched: Watched) -> None:
    good = watched.path.read_text()
    replace(watched.path, good + "servr: {}\n")
    await watched.until(lambda: watched.results and watched.configuration.last_error)
    tried = len(watched.results)
    (watched.path.parent / "unrelated").write_text("x")
    replace(watched.path, edited(watched.path, "2s").replace("servr: {}\n", ""))
    await watched.until(lambda: watched.drain == 2)
    assert watched.configuration.last_error is None
    assert [result.ok for result in watched.results[tried:]] == [True]


async def test_what_is_beside_it_does_not_matter(watched: Watched) -> None:
    for number in range(5):
        (watched.path.parent / f"journal-{number}").write_text("x")
    replace(watched.path, edited(watched.path, "2s"))
    await watched.until(lambda: watched.drain == 2)
    assert len(watched.results) == 1


async def test_a_moment_without_memory_or_threads_does_not_end_it(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It watches as long as the process lives; a look that could not be taken is taken later."""
    changed, wants = Sources.changed, [MemoryError(), RuntimeError("can't start new thread")]

    def looks(self: Sources) -> bool:
        if wants:
            raise wants.pop()
        return changed(self)

    monkeypatch.setattr(Sources, "changed", looks)
    replace(watched.path, edited(watched.path, "2s"))
    await watched.until(lambda: watched.drain == 2)
    assert wants == []


async def test_files_that_come_back_are_taken_up(watched: Watched) -> None:
    text = edited(watched.path, "2s")
    watched.path.unlink()
    await watched.until(lambda: watched.results and watched.configuration.last_error)
    assert watched.drain == 10
    watched.path.write_text(text)
    await watched.until(lambda: watched.drain == 2)
