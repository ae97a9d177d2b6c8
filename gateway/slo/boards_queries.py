"""What expressions of several boards are made of, and the colours of their figures."""

from gateway.slo.rules import OBJECTIVE, RATIO

RATE = "[$__rate_interval]"
MINE = '{team=~"$team"}'
GOOD_IS_MANY = ((0.0, "red"), (0.99, "orange"), (0.995, "green"))
LOW_IS_GOOD = ((0.0, "green"), (1.0, "red"))
ALL_IS_GOOD = ((0.0, "red"), (1.0, "green"))
BUDGET = ((0.0, "red"), (0.25, "orange"), (0.5, "green"))


def quantile(fraction: float, metric: str, by: str = "", matchers: str = "") -> str:
    """The quantile of a histogram's rate, by the labels `by`."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({fraction:g}, sum by ({labels}) (rate({metric}_bucket{matchers}{RATE})))"


def burn(window: str) -> str:
    """How many times faster than allowed each objective's budget is being spent over a window."""
    return f"{RATIO}{window} / on (slo, sli) (1 - {OBJECTIVE})"


def ours(figure: str) -> str:
    """The sum over gateways of what every process exports under the same name."""
    return f"sum({figure} and on (job, instance) tollway_workers)"
