"""The findings log over HTTP: what waits for a judgement, and judging it."""

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import Response

from gateway.admin.endpoint import Call, json_answer, on_ledger, read_json
from gateway.admin.review_shapes import MarkValue
from gateway.admin.reviewing import MOST, SINCE, Asked, Reviewing
from gateway.errors import BadRequest
from gateway.ledger.reviews import FILTERS
from gateway.telemetry.logs import info

T = TypeVar("T")
MOST_SKIPPED = 100_000
MISSING = "This gateway keeps no ledger (ledger: off), and the findings log lives in it."


async def list_values(call: Call) -> Response:
    query = call.request.query_params
    asked = Asked(
        since=query.get("since", SINCE),
        state=query.get("state", "open"),
        filters={name: query[name] for name in FILTERS if query.get(name)},
        most=number(query.get("limit", str(MOST)), "limit", 1, 500),
        skip=number(query.get("skip", "0"), "skip", 0, MOST_SKIPPED),
    )
    return json_answer(await with_reviewing(call, lambda reviewing: reviewing.queue(asked)))


async def explain(call: Call) -> Response:
    query = call.request.query_params
    request_id = query.get("request_id", "")
    if not request_id:
        raise BadRequest(
            "request_id: allowed is the x-request-id of an answer, or an exchange's id.", param="request_id"
        )
    since = query.get("since", SINCE)
    return json_answer(await with_reviewing(call, lambda reviewing: reviewing.why(request_id, since)))


async def mark_value(call: Call) -> Response:
    asked = await read_json(call.request, MarkValue)
    marked = await with_reviewing(call, lambda reviewing: reviewing.mark(asked))
    info("admin_finding_reviewed", admin_key_id=call.admin_id, rule=marked.rule, verdict=marked.verdict)
    return json_answer(marked)


async def with_reviewing(call: Call, work: Callable[[Reviewing], T]) -> T:
    """Run `work` on the ledger's findings log, on a thread. Raises `Conflict` where there is no ledger, and
    `LedgerError`."""
    written = call.world.configuration.written
    return await on_ledger(call, MISSING, lambda engine: work(Reviewing(engine, written, call.world.clock, call.actor)))


def number(text: str, name: str, least: int, most: int) -> int:
    """A query's number. Raises `BadRequest` saying what is allowed."""
    if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
        raise BadRequest(f"{name}: allowed is a number from {least} to {most}.", param=name)
    return int(text[:9])
