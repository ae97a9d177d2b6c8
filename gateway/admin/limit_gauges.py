"""What limits have to say when somebody scrapes: decisions of rules, and how the store that counts them is doing."""

from collections.abc import Callable

from gateway.admin.world import AdminWorld
from gateway.limits.stores import expired, gauges_of
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.page import Family

DECISIONS = Family(
    "tollway_limit_decisions",
    "Requests that a rule refused, sent to a cheaper model (downgraded), let through beyond its amount (over), or that "
    "passed its soft threshold (soft).",
    "counter",
    ("rule", "decision"),
)
CROWDED = Family(
    "tollway_limit_crowded",
    "Times that a value which clients chose found no counter of its own since the last reload, and counted with all "
    "others.",
    "gauge",
    ("rule",),
)
EXPIRED = Family(
    "tollway_limit_holds_expired", "Reservations that nobody settled in time and that were given back.", "counter"
)
UP = Family("tollway_limit_store_up", "1 while every worker counts limits in the shared store.", "gauge", (), "min")
OUTAGES = Family("tollway_limit_store_outages", "Times a worker lost the shared limit store.", "counter")
ALONE = Family(
    "tollway_limit_store_alone", "Requests decided without the shared store, while it was away.", "counter", ("how",)
)
TIMEOUTS = Family("tollway_limit_store_timeouts", "Questions the store did not answer in time.", "counter")
OWED = Family("tollway_limit_store_owed", "Settlements that the store must still be told.", "gauge")
DROPPED = Family(
    "tollway_limit_store_dropped", "Settlements it was never told, because there were too many.", "counter"
)
LEASED = Family(
    "tollway_limit_store_leased", "Requests admitted on a lease, without asking the shared store.", "counter"
)
LEASES = Family("tollway_limit_store_leases", "Counters of which workers have a lease now.", "gauge")
SHARERS = Family("tollway_limit_store_workers", "Live workers that share the limits.", "gauge", (), "max")


def join_limits(world: AdminWorld, metrics: Metrics) -> None:
    """Register what limits have to say. A shared store is only there once the World has started."""
    metrics.pull(DECISIONS, lambda: list(world.tally.counts.items()))
    metrics.pull(CROWDED, lambda: _crowded(world))
    metrics.pull_one(EXPIRED, lambda: expired(world.limits))
    for family, name in (
        (UP, "up"),
        (OUTAGES, "outages"),
        (TIMEOUTS, "timeouts"),
        (OWED, "owed"),
        (DROPPED, "dropped"),
        (LEASED, "leased"),
        (LEASES, "leases"),
        (SHARERS, "workers"),
    ):
        metrics.pull(family, _of_shared(world, name))
    metrics.pull(ALONE, lambda: _alone(world))


def _of_shared(world: AdminWorld, name: str) -> Callable[[], list[tuple[tuple[str, ...], float]]]:
    def read() -> list[tuple[tuple[str, ...], float]]:
        gauges = gauges_of(world.limits)
        return [] if gauges is None else [((), float(getattr(gauges, name)))]

    return read


def _crowded(world: AdminWorld) -> list[tuple[tuple[str, ...], float]]:
    limits = world.configuration.snapshot.limits
    crowds = None if limits is None else limits.crowds
    return [] if crowds is None else [((rule,), float(times)) for rule, times in list(crowds.turned_away.items())]


def _alone(world: AdminWorld) -> list[tuple[tuple[str, ...], float]]:
    gauges = gauges_of(world.limits)
    if gauges is None:
        return []
    return [(("decided",), gauges.alone), (("refused",), gauges.refused_away)]
