"""One generator process, spoken to as the coordinator does."""

import subprocess
import sys
from time import perf_counter

import msgspec

from loadtest.generator.messages import Done, Job, Ready, Start, enc_hook
from loadtest.generator.scenario import read_load


def test_it_says_ready_waits_for_the_start_and_ends_with_its_tallies() -> None:
    scenario = read_load("warmup: 50ms\nstages:\n- {rate: 50, duration: 100ms}\n")
    job = msgspec.json.encode(Job(scenario, "http://127.0.0.1:1/v1", [], 1, 2, "id"), enc_hook=enc_hook)
    command = [sys.executable, "-m", "loadtest.generator.worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(job + b"\n")
        worker.stdin.flush()
        assert msgspec.json.decode(worker.stdout.readline(), type=Ready).ready
        worker.stdin.write(msgspec.json.encode(Start(perf_counter())) + b"\n")
        worker.stdin.flush()
        last = worker.stdout.read().splitlines()[-1]
        assert worker.wait(60) == 0
    tallies = msgspec.json.decode(last, type=Done).tallies
    assert len(tallies) == 1
    # Arrivals 1 and 3 of 0 to 4: the other half is the other process's. Nobody listens there.
    assert (tallies[0].started, tallies[0].errors) == (2, {"connect": 2})
