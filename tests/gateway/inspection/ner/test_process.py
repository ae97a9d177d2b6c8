"""One worker process as the gateway sees it."""

import asyncio

from gateway.inspection.ner.process import WorkerProcess
from gateway.inspection.ner.protocol import Answer
from gateway.tasks import TaskGroup


async def test_a_child_is_ready_answers_and_is_gone_when_its_keeper_ends() -> None:
    tasks = TaskGroup(lambda name, error: None)
    worker, ready = WorkerProcess("tests.support.fake_ner:model"), asyncio.Event()
    assert await worker.ask(["x"], 1.0) == Answer(error="WorkerDied")
    tasks.start(worker.run(ready.set), "worker")
    await asyncio.wait_for(ready.wait(), 120)
    assert worker.ready
    assert not worker.busy
    answer = await worker.ask(["Zorana"], 10.0)
    assert [len(matches) for matches in answer.matches] == [1]
    await tasks.close()
    assert not worker.ready
    assert await worker.ask(["x"], 1.0) == Answer(error="WorkerDied")
