"""Opens the limit store a URL names."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from gateway.errors import TollwayError
from gateway.limits.memory import MemoryStore
from gateway.seams import Clock, LimitStore

if TYPE_CHECKING:
    from gateway.limits.shared.redis_open import Gauges, SharedStore


class StoreAway(TollwayError):
    """The shared store cannot be asked now."""


PATIENCE = 0.05
"""Seconds a request waits for a shared store at the longest."""


def open_store(
    url: str,
    *,
    clock: Clock,
    worker: str,
    workers: int = 1,
    patience: float = PATIENCE,
    on_state: Callable[[bool, str], None] | None = None,
    lease: float = 0.0,
    restored: bool = False,
) -> LimitStore:
    """The store at `url`: `memory://`, or one of those `gateway.limits.shared.address` reads.

    `worker` names this process among all that share the limits (its host name and process id, say); `workers` is how
    many there are until the store has said so. `on_state(up, reason)` is told when a shared store comes and goes.
    `lease`: the share of a limit that this worker may take from a shared store in advance, 0 to 1; 0: none.
    `restored`: a shared store that has lost what it held waits for `gateway.recount` before it decides again.

    A shared store must be opened within the running event loop; it connects by itself, and until it has, decides as if
    Redis were away. Raises `address.AddressError` for a URL, or TLS files, that cannot be used.
    """
    if url in ("memory://", "memory:"):
        return MemoryStore(clock)
    from gateway.limits.shared.address import parse_address
    from gateway.limits.shared.lease import Terms
    from gateway.limits.shared.redis_open import SharedStore

    terms = Terms(lease) if lease else None
    return SharedStore(parse_address(url), clock, worker, workers, patience, on_state or _say_nothing, terms, restored)


async def log_in(store: LimitStore, url: str) -> str:
    """Go on with the user and password of `url`, where it names the servers that are in use; see
    `SharedStore.log_in`. Raises `address.AddressError` for a URL that cannot be read."""
    if isinstance(store, MemoryStore) or url.startswith("memory:"):
        return ""
    from gateway.limits.shared.address import parse_address

    return await cast("SharedStore", store).log_in(parse_address(url))


def is_up(store: LimitStore) -> bool:
    """Whether it decides for all who share it now."""
    gauges = gauges_of(store)
    return gauges is None or gauges.up


def gauges_of(store: LimitStore) -> "Gauges | None":
    """How a shared store is doing; None: it is this process's memory."""
    return None if isinstance(store, MemoryStore) else cast("SharedStore", store).gauges()


def expired(store: LimitStore) -> int:
    """Holds that nobody settled in time, since the start."""
    return store.expired if isinstance(store, MemoryStore) else cast("SharedStore", store).gauges().expired


def _say_nothing(up: bool, reason: str) -> None:
    """Nobody wants to know."""
