"""What the mock truly served: exact counters, and the last requests by their `x-request-id`.

A request is counted when it was read whole; it is `completed` when the last byte of its whole answer was handed to the
socket (whatever its status), `aborted` when the connection ended before that or the scenario cut the answer. Tokens are
those that completed answers reported. `requests - completed - aborted` are under way.
"""

from collections import deque

import msgspec

RING = 100_000


class Record(msgspec.Struct):
    """One counted request. `id` is the `x-request-id` it came with; `visible` answer tokens went out so far."""

    seq: int
    id: str
    model: str
    operation: str
    status: int
    stream: bool
    input_tokens: int
    output_tokens: int
    visible: int = 0
    state: str = "open"


class Counters(msgspec.Struct):
    """Sums over requests; tokens of completed answers only."""

    requests: int = 0
    completed: int = 0
    aborted: int = 0
    streams: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class Totals(Counters):
    """The body of `GET /stats`."""

    by_model: dict[str, Counters] = msgspec.field(default_factory=dict[str, Counters])


class Stats:
    """Counters, their reset, and the ring of the last requests."""

    def __init__(self, ring: int = RING) -> None:
        self.totals = Totals()
        self._last: deque[Record] = deque(maxlen=ring)
        self._seq = 0
        self._epoch = 0

    def open(
        self,
        request_id: str,
        model: str,
        operation: str,
        status: int,
        stream: bool,
        input_tokens: int,
        output_tokens: int,
    ) -> Record:
        """Count a request and note it in the ring."""
        self._seq += 1
        record = Record(self._seq, request_id, model, operation, status, stream, input_tokens, output_tokens)
        self._last.append(record)
        for counters in (self.totals, self._of(model)):
            counters.requests += 1
            counters.streams += stream
        return record

    def close(self, record: Record, completed: bool) -> None:
        """Count how a request ended. One that was opened before a reset is not counted after it."""
        record.state = "completed" if completed else "aborted"
        if record.seq <= self._epoch:
            return
        for counters in (self.totals, self._of(record.model)):
            if completed:
                counters.completed += 1
                counters.input_tokens += record.input_tokens
                counters.output_tokens += record.output_tokens
            else:
                counters.aborted += 1

    def reset(self) -> None:
        """Start from zero."""
        self.totals = Totals()
        self._last.clear()
        self._epoch = self._seq

    def since(self, seq: int) -> list[Record]:
        """The noted requests with a sequence number above `seq`, oldest first."""
        return [record for record in self._last if record.seq > seq]

    @property
    def seq(self) -> int:
        """Sequence number of the newest request."""
        return self._seq

    def _of(self, model: str) -> Counters:
        found = self.totals.by_model.get(model)
        if found is None:
            found = self.totals.by_model[model] = Counters()
        return found
