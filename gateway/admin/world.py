"""What the admin API needs of the World: a narrow view, so that its tests need no gateway."""

from collections.abc import Sequence, Sized
from typing import Protocol

from gateway.books import Books
from gateway.conversation import Conversations
from gateway.ledger.journal import Journal
from gateway.limits.tally import Tally
from gateway.limits.turnstile import Turnstiles
from gateway.limits.waiting import WaitingRoom
from gateway.routing.circuits import Circuits
from gateway.routing.health import Health
from gateway.routing.troubles import Troubles
from gateway.seams import Clock, LimitStore
from gateway.settings.reload import Configuration, ReloadResult
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces
from gateway.transport.pool import OriginStats
from gateway.webhooks.deliver import Deliverer
from guardrails.governor import Governor


class AdminWorld(Protocol):
    """`gateway.world.World` satisfies this."""

    leaving: bool
    draining: bool

    @property
    def configuration(self) -> Configuration: ...

    @property
    def metrics(self) -> Metrics | None: ...

    @property
    def traces(self) -> Traces | None: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def journal(self) -> Journal | None: ...

    @property
    def books(self) -> Books: ...

    @property
    def health(self) -> Health: ...

    @property
    def circuits(self) -> Circuits: ...

    @property
    def troubles(self) -> Troubles: ...

    @property
    def limits(self) -> LimitStore: ...

    @property
    def conversations(self) -> Conversations: ...

    @property
    def tally(self) -> Tally: ...

    @property
    def turnstiles(self) -> Turnstiles: ...

    @property
    def waiting_room(self) -> WaitingRoom: ...

    @property
    def live(self) -> Sized:
        """Exchanges under way."""
        ...

    @property
    def deliverer(self) -> Deliverer | None:
        """Who delivers webhooks."""
        ...

    @property
    def governor(self) -> Governor | None:
        """Who demotes guardrail rules that are beyond their bounds."""
        ...

    def pool_stats(self) -> Sequence[OriginStats]: ...

    async def reload(self, reason: str) -> ReloadResult: ...
