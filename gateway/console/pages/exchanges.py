"""Exchanges behind the figures of the cost page, a page at a time; no content, for there is none in the ledger."""

from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response

from gateway.admin.endpoint import read_ledger
from gateway.console.pages.cost import ledger_url
from gateway.console.ranges import NAMES, range_of
from gateway.console.visit import Visit
from gateway.errors import BadRequest, NotFound
from gateway.ledger.exchanges import FILTERS, GROUPS, Position
from gateway.ledger.exchanges import listing as listed
from gateway.ledger.exchanges import one as one_of
from gateway.ledger.tables import OUTCOMES

PAGE = 50


async def listing(visit: Visit) -> Response:
    query = visit.request.query_params
    shown = range_of(query.get("range", "month"), visit.world.clock.now_ns())
    filters = {name: query[name] for name in FILTERS if name in query}
    if "outcome" in filters and filters["outcome"] not in (*OUTCOMES, *GROUPS):
        raise BadRequest(f"outcome: allowed are {', '.join((*OUTCOMES, *GROUPS))}.", param="outcome")
    after = _position(query)
    url = ledger_url(visit.world.configuration.snapshot)
    found = await read_ledger(url, lambda engine: listed(engine, shown.since_ns, shown.until_ns, filters, after, PAGE))
    following = None if found.next is None else f"{found.next.received_ns}.{found.next.id}"
    context: dict[str, object] = {
        "range": shown,
        "ranges": NAMES,
        "filters": filters,
        "rows": found.rows,
        "searched_ns": found.searched_ns,
        "next": None if following is None else "?" + urlencode({"range": shown.name, **filters, "after": following}),
        "first": "?" + urlencode({"range": shown.name, **filters}) if after is not None else None,
        "without": {
            name: "?" + urlencode({"range": shown.name, **{k: v for k, v in filters.items() if k != name}})
            for name in filters
        },
    }
    return await visit.page("exchanges.html", context)


async def one(visit: Visit) -> Response:
    event_id: str = visit.request.path_params["event_id"]
    url = ledger_url(visit.world.configuration.snapshot)
    found = await read_ledger(url, lambda engine: one_of(engine, event_id))
    if found is None:
        raise NotFound("There is no such exchange in the ledger. (Old ones are deleted: ledger.retention.)")
    return await visit.page("exchange.html", {"x": found})


def _position(query: QueryParams) -> Position | None:
    text = query.get("after")
    if text is None:
        return None
    at, dot, event_id = text.partition(".")
    if not dot or not at.isascii() or not at.isdigit() or len(at) > 19 or len(event_id) > 64:
        raise BadRequest("after: this is no place in the list.", param="after")
    return Position(int(at), event_id)
