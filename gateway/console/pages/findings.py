"""What guardrails found on live traffic: shadow against enforce, values to be judged, precision of rules."""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from starlette.responses import RedirectResponse, Response

from gateway.admin.access import Conflict
from gateway.admin.review_shapes import MarkValue, ReviewQueue
from gateway.admin.reviewing import Asked, since_of
from gateway.admin.reviews import MOST_SKIPPED, number, with_reviewing
from gateway.console.visit import Visit
from gateway.errors import BadRequest, LedgerError
from gateway.ledger.reviews import FILTERS, STATES, Effect

PATH = "/console/guardrails"
PLACE = "#review"
SINCE = {"1d": "1 day", "7d": "7 days", "30d": "30 days"}
WORDS = {"open": "Open", "later": "Later", "false_positive": "False", "true_positive": "True", "all": "All"}
VERDICTS = {"false_positive": "False positive", "true_positive": "True positive", "later": "Later", "open": "Take back"}
MOST = 10
_FIELD = "in_"
"""How a form names what the list was narrowed to, beside what it judges."""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the page, or why it is not there."""

    missing: str = ""
    queue: ReviewQueue | None = None
    effects: list[Effect] = []
    filters: dict[str, str] = {}
    """What the list is narrowed to."""
    kept: dict[str, str] = {}
    """The whole of what was asked, for the forms."""
    since: str = "7d"
    links: dict[str, str] = {}
    """By name of a state, a range or a filter to take away: the address."""
    base: str = ""
    """An address that one more filter may be added to."""
    newer: str = ""
    older: str = ""


async def review_of(visit: Visit) -> Review:
    """What the address asks for. The page comes, too, when the ledger does not. Raises `BadRequest`."""
    query: Mapping[str, str] = visit.request.query_params if visit.request.method == "GET" else {}
    since, state = query.get("since", "7d"), query.get("state", "open")
    filters = {name: query[name] for name in FILTERS if query.get(name)}
    skip = number(query.get("skip", "0"), "skip", 0, MOST_SKIPPED)
    if since not in SINCE:
        raise BadRequest(f"since: allowed are {', '.join(SINCE)}.", param="since")
    asked = Asked(since=since, state=state, filters=filters, most=MOST, skip=skip)
    since_ns = since_of(asked, visit.world.clock.now_ns())
    try:
        queue, effects = await with_reviewing(
            visit, lambda each: (each.queue(asked), each.effects(since_ns, filters.get("team", "")))
        )
    except (Conflict, LedgerError) as error:
        return Review(missing=str(error))
    return Review(
        queue=queue,
        effects=effects,
        filters=filters,
        kept={f"{_FIELD}{name}": value for name, value in {"since": since, "state": state, **filters}.items()},
        since=since,
        links=_links(since, state, filters),
        base=f"{_address({'since': since, 'state': state, **filters})}&",
        newer=_address({"since": since, "state": state, **filters, "skip": str(skip - MOST)}) if skip >= MOST else "",
        older=_address({"since": since, "state": state, **filters, "skip": str(skip + MOST)}) if queue.more else "",
    )


async def judge(visit: Visit) -> Response:
    """Say what a value is, and go back to the list as it was."""
    fields = await visit.form()
    try:
        asked = msgspec.convert({name: fields.get(name, "") for name in MarkValue.__struct_fields__}, MarkValue)
    except msgspec.ValidationError as error:
        raise BadRequest(f"This cannot be judged: {error}.") from None
    await with_reviewing(visit, lambda each: each.mark(asked))
    kept = {name: fields[f"{_FIELD}{name}"] for name in ("since", "state", *FILTERS) if fields.get(f"{_FIELD}{name}")}
    return RedirectResponse(_address({**kept, "said": "judged"}) + PLACE, 303)


def _links(since: str, state: str, filters: Mapping[str, str]) -> dict[str, str]:
    links = {each: _address({"since": since, "state": each, **filters}) + PLACE for each in STATES}
    links |= {each: _address({"since": each, "state": state, **filters}) + PLACE for each in SINCE}
    for name in filters:
        rest = {each: value for each, value in filters.items() if each != name}
        links[name] = _address({"since": since, "state": state, **rest}) + PLACE
    return links


def _address(query: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}"
