"""Pieces of PromQL: matchers, numbers and durations as Prometheus writes them.

https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

_SPECIAL = re.compile(r"([\\.^$*+?()\[\]{}|])")


def one_of(names: Sequence[str]) -> str:
    """A matcher's value for any of `names`, with its operator: `="a"`, `=~"a|b"`. A name may end in `*`."""
    if len(names) == 1 and not names[0].endswith("*"):
        return f"={quoted(names[0])}"
    return f"=~{quoted('|'.join(_pattern(name) for name in names))}"


def quoted(text: str) -> str:
    """A string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def selector(metric: str, matchers: Mapping[str, str]) -> str:
    """`metric{label="value"}`; values of `matchers` begin with their operator."""
    if not matchers:
        return metric
    return f"{metric}{{{','.join(label + value for label, value in matchers.items())}}}"


def number(value: float) -> str:
    """Plain decimal notation, without the noise of binary fractions: 0.005, 14.4, 3."""
    text = format(Decimal(repr(round(value, 9))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def window(seconds: float) -> str:
    """A duration in Prometheus' units, whole and as large as they go: 5m, 36h, 3d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def _pattern(name: str) -> str:
    """RE2, which Prometheus anchors at both ends."""
    plain = _SPECIAL.sub(r"\\\1", name.removesuffix("*"))
    return plain + ".*" if name.endswith("*") else plain
