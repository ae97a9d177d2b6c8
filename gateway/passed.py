"""What an answer that was passed through cost: booked when it was made, and not again whenever it is read."""

from collections.abc import Callable

from gateway.client import Client
from gateway.dialects.ending import Ending, reported_by_events
from gateway.dialects.jobs import Job, costs_nothing, job_in, job_in_stream
from gateway.dialects.results import Line, Results, added, batch_of
from gateway.dialects.tail import duration, reported
from gateway.facts import UNPRICED, Cost, Exchange, Usage
from gateway.ledger.bills import Bills
from gateway.measured import Measured, settle_measured
from gateway.routing.table import Provider
from gateway.seams import Headers
from gateway.settings.snapshot import Snapshot
from gateway.settle import DEFERRED, FREE_OF_CHARGE, NO_COST, cost_of, decoded
from gateway.wire.headers import header

FILES = ("/content",)
"""How paths of files end. Nothing is looked for in them, so they may come compressed."""
TAIL = 64 * 1024
"""Bytes of an answer that are kept to find its usage in."""
EVENTS = 1024 * 1024
"""The same of a stream, whose last event may hold all of an answer."""
_TRANSCRIPTS = ("/v1/audio/transcriptions", "/v1/audio/translations")
"""What answers these may tell the length of the audio, and does so at its beginning."""
_STORED = "/v1/chat/completions/"
_READS = frozenset(("GET", "HEAD", "DELETE"))


class Tally:
    """What the requests of a message batch used and cost, summed up while its file of results passes."""

    def __init__(self, batch: str, price: Callable[[Line], Cost]) -> None:
        self.batch = batch
        self.model = ""
        """Of the first request; a batch may ask several, each of which is priced by its own."""
        self.tier: str | None = None
        self.usage: Usage | None = None
        self.cost = NO_COST
        self._price = price
        self._results = Results()

    def add(self, chunk: bytes) -> None:
        for line in self._results.feed(chunk):
            cost, so_far = self._price(line), self.cost
            if self.usage is None:
                self.model, self.tier, self.usage = line.model, line.tier, line.usage
            else:
                self.usage = added(self.usage, line.usage)
            if so_far.nanos is None or cost.nanos is None:
                self.cost = UNPRICED
            else:
                self.cost = Cost(nanos=so_far.nanos + cost.nanos, price_version=cost.price_version)


def keeps(
    client: Client, x: Exchange, snapshot: Snapshot, provider: Provider, headers: Headers
) -> Ending | Tally | None:
    """What to keep of an answer below 400 with these `headers`; None: nothing in it could tell usage. An answer that is
    read may show a job: it is kept whole, up to half of what a body may have."""
    batch = batch_of(client.path) if client.method == "GET" else None
    if batch is not None:
        return Tally(batch, lambda line: _price(x, snapshot, provider, line))
    most = snapshot.server.max_body
    kind = header(headers, b"content-type") or b""
    if b"event-stream" in kind:
        return Ending(EVENTS)
    if b"json" not in kind or client.path.endswith(FILES):
        return None
    if client.path in _TRANSCRIPTS:
        return Ending(EVENTS)
    return Ending(most // 2 if reads(client) else TAIL)


def settle_passed(
    bills: Bills,
    x: Exchange,
    snapshot: Snapshot,
    provider: Provider,
    client: Client,
    headers: Headers,
    ending: Ending | Tally,
    measured: Measured,
    now: float,
) -> bool:
    """Usage and cost of an answer below 400 that was whole at `now` (monotonic seconds). One without usage costs what
    its request shows; else what nobody here knows: no cost, rather than zero. False: it could not be read, and it may
    have told."""
    if isinstance(ending, Tally):
        _settle_batch(bills, x, provider, ending)
        return True
    events = b"event-stream" in (header(headers, b"content-type") or b"")
    body = decoded(ending.bytes, headers) if ending.whole else ending.bytes
    coded = (header(headers, b"content-encoding") or b"identity") != b"identity"
    if body is None or (coded and not ending.whole):
        settle_unread(x, snapshot, provider, client, measured, now)
        return reads(client) or x.cost.priced
    job = job_in_stream(body) if events else job_in(body) if ending.whole else None
    if job is not None:
        _settle_job(bills, x, snapshot, provider, job, now)
        return True
    if reads(client) or (not events and ending.whole and costs_nothing(body)):
        x.usage, x.cost = None, FREE_OF_CHARGE
        return True
    told, x.service_tier = reported_by_events(body) if events else reported(body)
    if told is None and ending.whole and client.path in _TRANSCRIPTS:
        told = duration(body)
    settle_measured(x, snapshot, provider, measured, told, now)
    return True


def settle_unread(
    x: Exchange, snapshot: Snapshot, provider: Provider, client: Client, measured: Measured, now: float
) -> None:
    """The same of an answer below 400 that tells no usage that can be read: a file, or speech."""
    if reads(client):
        x.cost = FREE_OF_CHARGE
    else:
        settle_measured(x, snapshot, provider, measured, None, now)


def _settle_job(bills: Bills, x: Exchange, snapshot: Snapshot, provider: Provider, job: Job, now: float) -> None:
    if not job.ended or job.usage is None:
        x.usage, x.cost = None, DEFERRED
        return
    if not bills.claim(provider.name, job.id, x.received_ns / 1e9):
        x.usage, x.cost = None, FREE_OF_CHARGE
        return
    x.model = job.model or x.model
    x.usage, x.service_tier = job.usage, job.tier
    x.cost = cost_of(x, snapshot, provider.prices, now)


def _settle_batch(bills: Bills, x: Exchange, provider: Provider, tally: Tally) -> None:
    tally.add(b"")
    if tally.usage is None or not bills.claim(provider.name, tally.batch, x.received_ns / 1e9):
        x.cost = FREE_OF_CHARGE
        return
    x.model, x.service_tier, x.usage, x.cost = tally.model, tally.tier, tally.usage, tally.cost


def _price(x: Exchange, snapshot: Snapshot, provider: Provider, line: Line) -> Cost:
    card = None if snapshot.prices is None else snapshot.prices.card(provider.prices, line.model)
    return UNPRICED if card is None else card.cost(line.usage, tier=line.tier, at_ns=x.received_ns)


def reads(client: Client) -> bool:
    """Whether the request asks for what was made before. Cancelling tells what was used until then, and a stored chat
    can be labelled anew."""
    return client.method in _READS or client.path.endswith("/cancel") or client.path.startswith(_STORED)
