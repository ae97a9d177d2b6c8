"""What the mock provider does to whom: rules matched by model, operation, count and chance.

A scenario is a seed, `defaults`, and an ordered list of `rules`; the first rule whose every condition holds is merged
over the defaults. Counting (`nth`, `every`, `first`) is per rule and over the requests that met the rule's other
conditions, so a scenario replays the same way for the same seed and order of requests.
"""

import random
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from loadtest.markedyaml import ScenarioError, read_file, read_text
from loadtest.units import Delay, Seconds, Size, units_hook

Operation = Literal[
    "chat",
    "completions",
    "responses",
    "embeddings",
    "moderations",
    "models",
    "messages",
    "count_tokens",
    "files",
    "audio",
    "images",
    "other",
]

FaultKind = Literal[
    "reset_before_headers",  # TCP RST instead of an answer
    "close_before_headers",  # FIN instead of an answer
    "reset_during_body",  # RST after `after` events, or half of a unary body
    "close_during_body",  # FIN there, without the end of the chunked body
    "stall_before_headers",  # never answers
    "stall_before_first_event",  # headers, then silence
    "stall_mid_stream",  # silence after `after` events
    "malformed_sse",  # one event whose data is not JSON, and one line that is no field
    "missing_done",  # whole stream, properly ended, without `[DONE]` or `message_stop`
    "missing_finish",  # properly ended after `after` events: no finish reason, no usage, no `[DONE]`
    "close_after_finish",  # FIN after the finish reason: no `[DONE]`, no end of the chunked body
    "error_event",  # an error envelope as an event after `after` events, then a proper end
    "huge_event",  # one event of `bytes`
    "content_length_short",  # content-length says less than what follows
    "content_length_long",  # content-length says more than what follows, then FIN
    "bad_chunk_size",  # a chunk-size line that is no hexadecimal number
]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an answer breaks. `after` counts whole events; `bytes` sizes `huge_event`."""

    kind: FaultKind
    after: int = 2
    bytes: Size = Size(2 * 1024 * 1024)


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error status with the dialect's own envelope; `retry_after` in seconds becomes a header."""

    status: int
    retry_after: float | None = None
    message: str | None = None
    type: str | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError("`status` of an error is 400 to 599")


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is answered. `tokens: request` means the request's own maximum (16 without one), at most 256.

    `rich`: chats, Responses and messages hold everything their APIs know beside the text, and a call of each tool.
    """

    tokens: int | Literal["request"] = "request"
    chars_per_token: int = 4
    text: str | None = None
    echo: bool = False
    rich: bool = False

    def __post_init__(self) -> None:
        if self.chars_per_token < 1:
            raise ValueError("`chars_per_token` is at least 1")
        if isinstance(self.tokens, int) and self.tokens < 0:
            raise ValueError("`tokens` is not negative")


class Meters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens reported beyond the visible ones. `input` replaces the counted prompt; cache meters are part of it."""

    input: int | None = None
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    service_tier: str | None = None
    omit: bool = False


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lawful but unusual ways to put the same answer on the wire."""

    split: int = 0  # write the body in pieces of so many bytes, each in a TCP segment (and chunk) of its own
    line_end: Literal["lf", "crlf", "cr"] = "lf"
    bom: bool = False
    informational: tuple[int, ...] = ()
    trailers: bool = False
    gzip: bool = False
    chunked: bool = False  # chunked framing for unary bodies too
    close: bool = False  # `connection: close`
    http10: bool = False  # HTTP/1.0 status line and a body that ends with the connection
    comments: Seconds | None = None  # a keep-alive comment so often while waiting, before and between events
    redirect: str | None = None  # status 307 with this location
    headers: dict[str, str] = {}


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a rule can set. A field that is absent keeps what the defaults say."""

    latency: Delay | None = None
    first_event: Delay | None = None
    gap: Delay | None = None
    token_rate: float | None = None
    output: Output | None = None
    usage: Meters | None = None
    error: Failure | None = None
    fault: Fault | None = None
    wire: Wire | None = None

    def __post_init__(self) -> None:
        if self.gap is not None and self.token_rate is not None:
            raise ValueError("`gap` and `token_rate` say the same thing: give one of them")
        if self.token_rate is not None and self.token_rate <= 0:
            raise ValueError("`token_rate` is tokens per second, above 0")

    def over(self, base: "Behaviour") -> "Behaviour":
        """This behaviour where it says something, `base` elsewhere."""
        paced = self.gap is not None or self.token_rate is not None
        return Behaviour(
            latency=self.latency or base.latency,
            first_event=self.first_event or base.first_event,
            gap=self.gap if paced else base.gap,
            token_rate=self.token_rate if paced else base.token_rate,
            output=self.output or base.output,
            usage=self.usage or base.usage,
            error=self.error or base.error,
            fault=self.fault or base.fault,
            wire=self.wire or base.wire,
        )


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions of a rule; all must hold. `model` is a shell pattern; `nth` counts from 1."""

    model: str | None = None
    operation: Operation | list[Operation] | None = None
    stream: bool | None = None
    nth: int | None = None
    every: int | None = None
    first: int | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError("`probability` is between 0 and 1")
        for name in ("nth", "every", "first"):
            value: int | None = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` counts from 1")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`then` for the requests that meet `when`."""

    then: Behaviour
    when: When = When()


class ScenarioFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario as written."""

    version: Literal[1] = 1
    description: str = ""
    seed: int = 1
    defaults: Behaviour = Behaviour()
    rules: list[Rule] = []


class Scenario:
    """A scenario in use: it counts, and throws its own seeded dice."""

    def __init__(self, name: str, written: ScenarioFile) -> None:
        self.name = name
        self.rng = random.Random(written.seed)
        self._defaults = written.defaults
        self._rules = [(rule.when, rule.then.over(written.defaults)) for rule in written.rules]
        self._met = [0] * len(self._rules)

    def decide(self, model: str, operation: str, stream: bool) -> Behaviour:
        """The behaviour for the next request; counts it on every rule it was compared with."""
        for index, (when, behaviour) in enumerate(self._rules):
            if not _applies(when, model, operation, stream):
                continue
            self._met[index] += 1
            if _counts(when, self._met[index]) and (when.probability is None or self.rng.random() < when.probability):
                return behaviour
        return self._defaults


def _applies(when: When, model: str, operation: str, stream: bool) -> bool:
    if when.model is not None and not fnmatchcase(model, when.model):
        return False
    if when.stream is not None and when.stream is not stream:
        return False
    wanted = when.operation
    if wanted is None:
        return True
    return operation == wanted if isinstance(wanted, str) else operation in wanted


def _counts(when: When, met: int) -> bool:
    if when.nth is not None and met != when.nth:
        return False
    if when.every is not None and met % when.every:
        return False
    return when.first is None or met <= when.first


def load_scenario(source: Path | str | ScenarioFile | None, name: str | None = None) -> Scenario:
    """A scenario from a file, from YAML text (a string with a line break or a colon), from a bundled name, or empty.

    Raises ScenarioError.
    """
    if source is None:
        return Scenario(name or "default", ScenarioFile())
    if isinstance(source, ScenarioFile):
        return Scenario(name or "given", source)
    if isinstance(source, Path):
        return Scenario(name or source.stem, read_file(source, ScenarioFile, units_hook))
    if "\n" in source or ": " in source:
        return Scenario(name or "text", read_text(source, ScenarioFile, units_hook))
    path = bundled_directory() / f"{source}.yaml"
    if source in bundled_names():
        return Scenario(name or source, read_file(path, ScenarioFile, units_hook))
    raise ScenarioError(f"no scenario called {source!r}; bundled are: {', '.join(bundled_names())}")


def bundled_directory() -> Path:
    """Where the scenarios of this package lie."""
    return Path(__file__).resolve().parent.parent / "scenarios"


def bundled_names() -> list[str]:
    """Names of the bundled provider scenarios (load scenarios start with `load-`)."""
    return sorted(p.stem for p in bundled_directory().glob("*.yaml") if not p.stem.startswith("load-"))
