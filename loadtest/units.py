"""Units as people write them in scenario files: durations, byte sizes, and delay distributions."""

import math
import random
import re
from typing import Any

import msgspec

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(us|ms|s|m|h)?$")
_SCALE = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}
_SIZE = re.compile(r"^(\d+)\s*(B|KB|MB|GB|KiB|MiB|GiB)?$")
_BYTES = {"B": 1, "KB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, None: 1}


class Seconds(float):
    """A duration: `20ms`, `1.5s`, `2m`, or a plain number of seconds."""

    @classmethod
    def parse(cls, value: object) -> "Seconds":
        """Raises ValueError with what is allowed."""
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and math.isfinite(value):
            return cls(value)
        found = _DURATION.match(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"{value!r} is not a duration; write 20ms, 1.5s, 2m, or a number of seconds")
        return cls(float(found[1]) * _SCALE[found[2]])


class Size(int):
    """A number of bytes: `512`, `64KiB`, `1MB`."""

    @classmethod
    def parse(cls, value: object) -> "Size":
        """Raises ValueError with what is allowed."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        found = _SIZE.match(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"{value!r} is not a size; write 512, 64KiB or 1MB")
        return cls(int(found[1]) * _BYTES[found[2]])


class Lognormal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The usual shape of provider latency: `median` seconds, `sigma` of the logarithm, cut off at `max` seconds."""

    median: Seconds
    sigma: float = 0.5
    max: Seconds = Seconds(60)


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution of delays: exactly one of the three."""

    fixed: Seconds | None = None
    uniform: tuple[Seconds, Seconds] | None = None
    lognormal: Lognormal | None = None

    def __post_init__(self) -> None:
        given = (self.fixed is not None) + (self.uniform is not None) + (self.lognormal is not None)
        if given != 1:
            raise ValueError("a distribution is exactly one of `fixed`, `uniform`, `lognormal`")
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            raise ValueError("`uniform` is [low, high]")

    def sample(self, rng: random.Random) -> float:
        """One delay in seconds."""
        if self.fixed is not None:
            return self.fixed
        if self.uniform is not None:
            return rng.uniform(*self.uniform)
        shape = self.lognormal
        if shape is None:
            return 0.0
        if shape.median == 0:
            return 0.0
        return min(float(shape.max), rng.lognormvariate(math.log(shape.median), shape.sigma))


class Delay:
    """A distribution, or the duration that stands for a fixed one."""

    # A plain class, not a Struct: msgspec then hands both spellings to `units_hook`.
    __slots__ = ("spread",)

    def __init__(self, spread: Spread) -> None:
        self.spread = spread

    @classmethod
    def parse(cls, value: object) -> "Delay":
        """Raises ValueError with what is allowed."""
        if isinstance(value, dict):
            try:
                return cls(msgspec.convert(value, Spread, dec_hook=units_hook))
            except msgspec.ValidationError as error:
                # A plain ValueError, so that msgspec adds the path from the file's root.
                raise ValueError(str(error)) from None
        return cls(Spread(fixed=Seconds.parse(value)))

    def sample(self, rng: random.Random) -> float:
        """One delay in seconds."""
        return self.spread.sample(rng)


def units_hook(kind: type, value: Any) -> Any:
    """msgspec `dec_hook` for the units of this module."""
    if kind is Seconds:
        return Seconds.parse(value)
    if kind is Size:
        return Size.parse(value)
    if kind is Delay:
        return Delay.parse(value)
    raise TypeError(f"no unit called {kind.__name__}")
