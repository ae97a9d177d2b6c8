"""What coordinator and workers say to each other survives the way."""

import msgspec
import pytest

from loadtest.generator.messages import Job, enc_hook, stages_of
from loadtest.generator.scenario import load_names, read_load
from loadtest.units import units_hook


@pytest.mark.parametrize("name", load_names())
def test_a_job_arrives_as_it_was_sent(name: str) -> None:
    job = Job(read_load(name), "http://127.0.0.1:1/v1", ["sk-a"], 0, 2, "id")
    assert msgspec.json.decode(msgspec.json.encode(job, enc_hook=enc_hook), type=Job, dec_hook=units_hook) == job


def test_the_warm_up_has_the_shape_of_the_first_stage() -> None:
    scenario = read_load("warmup: 2s\nstages:\n- {concurrency: 3, duration: 9s}\n- {rate: 3, duration: 9s}\n")
    stages = stages_of(scenario)
    assert [index for index, _ in stages] == [-1, 0, 1]
    assert (stages[0][1].concurrency, stages[0][1].duration) == (3, 2.0)
