"""Several workers, one set of figures: real processes that count, die and are counted on."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import Family, Page
from gateway.telemetry.share import Share

ROOT = Path(__file__).resolve().parents[3]
WORKER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from gateway.facts import Attempt, Caller, Exchange, Operation
    from gateway.telemetry.metrics import Metrics
    from gateway.telemetry.page import Family

    metrics = Metrics(Path(sys.argv[1]))
    metrics.pull_one(Family("tollway_workers", "Workers.", "gauge"), lambda: 1)
    written = 0
    metrics.pull_one(Family("tollway_journal_bytes", "Bytes.", "counter"), lambda: written)
    print("ready", flush=True)
    for line in sys.stdin:
        verb, _, number = line.strip().partition(" ")
        if verb == "count":
            for _ in range(int(number)):
                written += 10
                metrics.record(Exchange(id="", request_id="", received_ns=0, received_at=0.0, outcome="ok",
                                        operation=Operation("chat.completions", "openai"),
                                        caller=Caller(key_id="k", team="search"), provider="p", model="m",
                                        attempts=[Attempt(provider="p", model="m", status=200)]))
        elif verb == "publish":
            metrics._share.publish(metrics.page())
        elif verb == "scrape":
            body, _ = metrics.render(metrics.page())
            found = {}
            for row in body.decode().splitlines():
                if not row.startswith("#"):
                    found[row.partition("{")[0].split()[0]] = float(row.split()[-1])
            print(found["tollway_requests_total"], found["tollway_journal_bytes_total"], found["tollway_workers"])
        elif verb == "close":
            metrics.close()
        print("done", flush=True)
    """
)


class Worker:
    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._until("ready")

    def _until(self, end: str) -> list[str]:
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            if line.strip() == end:
                return lines
            lines.append(line.strip())
        raise AssertionError("the worker died")

    def tell(self, command: str) -> list[str]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self._until("done")

    def scrape(self) -> tuple[float, float, float]:
        """Requests, journal bytes, workers alive: of the whole gateway, as this worker tells it."""
        requests, written, workers = self.tell("scrape")[-1].split()
        return float(requests), float(written), float(workers)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(tmp_path / "metrics"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        for pipe in (worker.process.stdin, worker.process.stdout):
            assert pipe is not None
            pipe.close()


def test_any_worker_answers_for_all_and_no_counter_goes_back(start) -> None:
    first, second = start(), start()
    first.tell("count 5")
    second.tell("count 7")
    first.tell("publish")
    assert second.scrape() == (12, 120, 2)

    # What a scrape has shown is kept, though its worker is killed at once.
    first.tell("count 3")
    assert first.scrape() == (15, 150, 2)
    first.kill()
    assert second.scrape() == (15, 150, 1)

    third = start()
    third.tell("count 1")
    assert third.scrape() == (16, 160, 2)
    second.tell("count 2")
    second.tell("close")
    assert third.scrape() == (18, 180, 1)
    assert third.scrape() == (18, 180, 1)


def test_a_whole_gateway_begins_anew(start, tmp_path: Path) -> None:
    first = start()
    first.tell("count 5")
    assert first.scrape()[0] == 5
    first.kill()
    second = start()
    second.tell("count 1")
    assert second.scrape()[0] == 1
    assert len(list((tmp_path / "metrics").glob("*.live"))) == 1


def test_many_deaths_leave_few_files(start, tmp_path: Path) -> None:
    keeper = start()
    keeper.tell("count 1")
    for _ in range(3):
        dying = start()
        dying.tell("count 2")
        dying.tell("publish")
        dying.kill()
    assert keeper.scrape() == (7, 70, 1)
    assert len(list((tmp_path / "metrics").iterdir())) <= 4


def test_a_burial_that_was_cut_short_counts_nobody_twice(tmp_path: Path) -> None:
    keeper, dying = Share(tmp_path), Share(tmp_path)
    dying.close(Page(failures=4))
    page_of_the_dead = next(path for path in tmp_path.glob("*.page"))
    live_of_the_dead = page_of_the_dead.with_suffix(".live")
    saved = page_of_the_dead.read_bytes()
    assert keeper.gather(Page(failures=1, number=1)).failures == 5
    # As if the process had been killed before it could delete the dead one's files.
    page_of_the_dead.write_bytes(saved)
    live_of_the_dead.write_bytes(b"")
    assert keeper.gather(Page(failures=1, number=2)).failures == 5
    assert not page_of_the_dead.exists()
    keeper.close(Page())


def test_an_older_page_never_replaces_a_newer_one(tmp_path: Path) -> None:
    first, second = Share(tmp_path), Share(tmp_path)
    first.publish(Page(failures=2, number=2))
    first.publish(Page(failures=1, number=1))
    assert second.gather(Page(number=1)).failures == 2
    first.close(Page(number=3))
    second.close(Page(number=2))


def test_what_another_release_wrote_is_left_out(tmp_path: Path) -> None:
    share = Share(tmp_path)
    (tmp_path / "1-other.page").write_bytes(b"\xc1 not msgpack")
    assert share.gather(Page(failures=1, number=1)).failures == 1
    share.close(Page())


def test_a_scrape_fails_rather_than_forget_the_others(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    metrics = Metrics(directory)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    with pytest.raises(OSError, match="No such file"):
        metrics.render(metrics.page())


async def test_published_when_cancelled(tmp_path: Path) -> None:
    import asyncio

    written = 4
    metrics, other = Metrics(tmp_path), Share(tmp_path)
    metrics.pull_one(Family("bytes", "Bytes.", "counter"), lambda: written)
    task = asyncio.get_running_loop().create_task(metrics.keep_publishing(0.01))
    while not list(tmp_path.glob("*.page")):
        await asyncio.sleep(0.001)
    written = 5
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    gathered = other.gather(Page(number=1))
    assert gathered.pulled["bytes"].samples == {(): 5.0}
    other.close(Page())


async def test_publishing_goes_on_when_the_disk_is_back(tmp_path: Path) -> None:
    import asyncio

    directory = tmp_path / "metrics"
    metrics = Metrics(directory)
    away = tmp_path / "away"
    directory.rename(away)
    task = asyncio.get_running_loop().create_task(metrics.keep_publishing(0.001))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not task.done()
    away.rename(directory)
    while not list(directory.glob("*.page")):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_directory_that_cannot_be_used_keeps_nobody_from_counting(tmp_path: Path) -> None:
    """docs/recover.md: the workers of a gateway serve, whatever becomes of `server.runtime_dir`; figures come back with
    it."""
    directory = tmp_path / "run" / "metrics"
    (tmp_path / "run").write_text("in the way")
    metrics = Metrics(directory)
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        metrics.gathered(metrics.page())
    metrics.close()
    metrics = Metrics(directory)
    (tmp_path / "run").unlink()
    assert metrics.gathered(metrics.page()).failures == 0
    metrics.close()
