"""Load scenarios as written: stages of a request mix, closed (so many users) or open (so many arrivals a second)."""

import math
from pathlib import Path
from typing import Literal

import msgspec

from loadtest.markedyaml import ScenarioError, read_file, read_text
from loadtest.mock.scenario import bundled_directory
from loadtest.units import Seconds, Size, units_hook

Operation = Literal["chat", "completions", "responses", "messages", "embeddings"]


class RequestMix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked. Prompt sizes are drawn evenly between the two bounds, models and keys by weight."""

    operation: Operation = "chat"
    model: str = "mock"
    models: dict[str, float] = {}
    stream: bool = False
    prompt_bytes: tuple[Size, Size] = (Size(200), Size(200))
    max_tokens: int = 64
    key_weights: list[float] = []
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.prompt_bytes[0] > self.prompt_bytes[1]:
            raise ValueError("`prompt_bytes` is [least, most]")
        if not all(0 < weight < math.inf for weight in [*self.models.values(), *self.key_weights]):
            raise ValueError("weights are above 0")
        if self.stream and self.operation == "embeddings":
            raise ValueError("embeddings are not streamed")


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stretch of load. Closed: `concurrency` users ask, read, ask again. Open: `rate` requests a second arrive,
    whether or not earlier ones were answered, and latency counts from the moment a request was due."""

    duration: Seconds
    name: str = ""
    concurrency: int | None = None
    rate: float | None = None
    max_connections: int = 1000
    think: Seconds = Seconds(0)
    request: RequestMix | None = None

    def __post_init__(self) -> None:
        if (self.concurrency is None) == (self.rate is None):
            raise ValueError("a stage has either `concurrency` (closed loop) or `rate` (open loop)")
        load = self.rate if self.concurrency is None else self.concurrency
        if load is None or not 0 < load < math.inf or self.max_connections < 1:
            raise ValueError("`concurrency`, `rate` and `max_connections` are above 0")
        if self.duration <= 0:
            raise ValueError("`duration` is above 0")

    @property
    def label(self) -> str:
        """Its name, or what it does."""
        if self.name:
            return self.name
        return f"{self.concurrency} users" if self.concurrency is not None else f"{self.rate:g} requests/s"


class LoadScenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A load scenario. `timeout` bounds one request; `warmup` runs the first stage unmeasured."""

    stages: list[Stage]
    version: Literal[1] = 1
    name: str = ""
    description: str = ""
    processes: int = 1
    warmup: Seconds = Seconds(0)
    timeout: Seconds = Seconds(30)
    seed: int = 1
    request: RequestMix = RequestMix()

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("`stages` has at least one stage")
        if not 1 <= self.processes <= 64:
            raise ValueError("`processes` is between 1 and 64")


def load_names() -> list[str]:
    """Names of the bundled load scenarios."""
    return sorted(p.stem for p in bundled_directory().glob("load-*.yaml"))


def read_load(source: Path | str) -> LoadScenario:
    """A load scenario from a file, from the name of a bundled one, or from YAML text. Raises ScenarioError."""
    if isinstance(source, str):
        if "\n" in source:
            return read_text(source, LoadScenario, units_hook)
        if source in load_names():
            source = bundled_directory() / f"{source}.yaml"
        elif not Path(source).is_file():
            raise ScenarioError(f"no load scenario {source!r}: give a file, or one of: {', '.join(load_names())}")
    path = Path(source)
    scenario = read_file(path, LoadScenario, units_hook)
    return scenario if scenario.name else msgspec.structs.replace(scenario, name=path.stem)
