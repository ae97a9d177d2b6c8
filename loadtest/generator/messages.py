"""What the coordinator and the generator processes say to each other, one JSON line each."""

import msgspec

from loadtest.generator.scenario import LoadScenario, Stage
from loadtest.generator.tally import Tally

PAUSE = 0.2  # seconds between stages, for the last answers of one to end before the next starts


class Job(msgspec.Struct):
    """What a worker is to do."""

    scenario: LoadScenario
    base_url: str
    keys: list[str]
    share: int
    shares: int
    run_id: str


class Start(msgspec.Struct):
    """When the first stage starts."""

    start: float


class Ready(msgspec.Struct):
    """The worker has made its requests and waits for the start."""

    ready: bool = True


class Progress(msgspec.Struct):
    """How far a worker is; `stage` counts from 0, -1 is the warm-up."""

    stage: int
    started: int
    ok: int
    failed: int


class Done(msgspec.Struct):
    """Everything a worker measured, one tally per stage."""

    tallies: list[Tally]


def stages_of(scenario: LoadScenario) -> list[tuple[int, Stage]]:
    """All stretches in order: the unmeasured warm-up (index -1) in the shape of the first stage, then the stages."""
    first = scenario.stages[0]
    stages = list(enumerate(scenario.stages))
    if not scenario.warmup:
        return stages
    return [(-1, msgspec.structs.replace(first, duration=scenario.warmup, name="warm-up")), *stages]


def enc_hook(value: object) -> object:
    """Units are numbers on the wire."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{type(value).__name__} is not sent between processes")
