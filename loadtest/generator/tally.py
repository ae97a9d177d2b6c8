"""What a stage measured, in a form that processes send each other and that adds up exactly."""

import msgspec

from loadtest.generator.histogram import Histogram


class Second(msgspec.Struct):
    """One second of a stage: answers, errors, and their latencies."""

    done: int = 0
    errors: int = 0
    latency: Histogram = msgspec.field(default_factory=Histogram)


class Tally(msgspec.Struct):
    """Sums and histograms of one stage.

    `latency` counts from when a request was due (open loop) or sent (closed loop), `service` from when it was sent;
    `ttft` is the first event of a stream or first byte of an answer, from when it was due; `gap` is between events.
    `in_time` are the answers that were complete before the stage's end. `lag` is how late requests were sent.
    """

    started: int = 0
    ok: int = 0
    in_time: int = 0
    errors: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    statuses: dict[int, int] = msgspec.field(default_factory=dict[int, int])
    events: int = 0
    bytes: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    connections: int = 0
    cpu_seconds: float = 0.0
    latency: Histogram = msgspec.field(default_factory=Histogram)
    service: Histogram = msgspec.field(default_factory=Histogram)
    ttft: Histogram = msgspec.field(default_factory=Histogram)
    gap: Histogram = msgspec.field(default_factory=Histogram)
    lag: Histogram = msgspec.field(default_factory=Histogram)
    seconds: dict[int, Second] = msgspec.field(default_factory=dict[int, Second])

    @property
    def failed(self) -> int:
        """All errors."""
        return sum(self.errors.values())

    def second(self, index: int) -> Second:
        """The bucket of a second since the stage's start."""
        found = self.seconds.get(index)
        if found is None:
            found = self.seconds[index] = Second()
        return found

    def merge(self, other: "Tally") -> None:
        """Add what another process measured of the same stage."""
        for name in ("started", "ok", "in_time", "events", "bytes", "input_tokens", "output_tokens", "connections"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        # The busiest process decides whether the generator itself was the limit.
        self.cpu_seconds = max(self.cpu_seconds, other.cpu_seconds)
        for kind, count in other.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + count
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        for name in ("latency", "service", "ttft", "gap", "lag"):
            mine: Histogram = getattr(self, name)
            mine.merge(getattr(other, name))
        for index, second in other.seconds.items():
            mine_second = self.second(index)
            mine_second.done += second.done
            mine_second.errors += second.errors
            mine_second.latency.merge(second.latency)
