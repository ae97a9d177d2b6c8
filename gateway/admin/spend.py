"""Spend over HTTP: the filters, groups and formats of `tollway spend`."""

from __future__ import annotations

import asyncio
import difflib
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from starlette.datastructures import QueryParams
from starlette.responses import Response, StreamingResponse

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, Parameter
from gateway.errors import BadRequest, LedgerError

if TYPE_CHECKING:
    from gateway.ledger.charges import Period
    from gateway.ledger.spend import Filters

PARAMETERS = (
    Parameter(
        "by",
        "Group by: team, key, model, provider, operation, hour, day, month, tag:NAME (comma-separated).",
        default="team",
    ),
    Parameter("since", "From: an age (30m, 12h, 7d, 2w), a UTC date or a time.", default="7d"),
    Parameter("until", "Up to, not including: as since, or now.", default="now"),
    Parameter("team", "Only this team.", repeated=True),
    Parameter("key", "Only this key id.", repeated=True),
    Parameter("model", "Only this model.", repeated=True),
    Parameter("provider", "Only this provider.", repeated=True),
    Parameter("operation", "Only this operation, such as chat.completions.", repeated=True),
    Parameter("tag", "Only requests with this tag, NAME=VALUE; all must match.", repeated=True),
    Parameter(
        "format", "What to answer with.", default="json", choices=("json", "csv", "parquet", "focus", "focus-parquet")
    ),
    Parameter("period", "Charge period of the FOCUS formats.", default="day", choices=("day", "hour")),
)
MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "focus": "text/csv; charset=utf-8",
    "focus-parquet": "application/vnd.apache.parquet",
}
NAMES = {"csv": "spend.csv", "parquet": "spend.parquet", "focus": "focus.csv", "focus-parquet": "focus.parquet"}
_PIECE = 64 * 1024


async def show_spend(call: Call) -> Response:
    ledger = call.world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off).", code="ledger_off")
    query = call.request.query_params
    _check(query)
    form = query.get("format", "json")
    headers = {"content-type": MEDIA[form], "cache-control": "no-store"}
    if form in NAMES:
        headers["content-disposition"] = f'attachment; filename="{NAMES[form]}"'
    now_ns = call.world.clock.now_ns()
    if form.startswith("focus"):
        file = await asyncio.to_thread(_focus, ledger.url, query, form, call)
        return StreamingResponse(_pieces(file), 200, headers)
    body = await asyncio.to_thread(_report, ledger.url, query, form, now_ns)
    return Response(body, 200, headers)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Read on threads, because Starlette iterates there; the file is gone when all of it was sent, or nobody reads."""
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _check(query: QueryParams) -> None:
    """A misspelt filter must not answer with everybody's spend."""
    known = {parameter.name: parameter for parameter in PARAMETERS}
    for name in query:
        if name not in known:
            close = difflib.get_close_matches(name[:50], list(known), 1)
            hint = f" Did you mean '{close[0]}'?" if close else f" Known are: {', '.join(known)}."
            raise BadRequest(f"The parameter '{name[:50]}' is not known.{hint}", param=name[:50])
        if not known[name].repeated and len(query.getlist(name)) > 1:
            raise BadRequest(f"The parameter '{name}' may be given once.", param=name)
    for parameter in PARAMETERS:
        if parameter.choices and query.get(parameter.name, parameter.choices[0]) not in parameter.choices:
            raise BadRequest(f"{parameter.name}: allowed are {', '.join(parameter.choices)}.", param=parameter.name)
    charges = query.get("format", "json").startswith("focus")
    if "by" in query and charges:
        raise BadRequest("by: rows of the FOCUS formats are charges, by day or hour (period).", param="by")
    if "period" in query and not charges:
        raise BadRequest("period: is for the FOCUS formats; group by day or hour instead (by).", param="period")


def _report(url: str, query: QueryParams, form: str, now_ns: int) -> bytes:
    """Blocks. SQLAlchemy is imported here, by those who ask for spend only."""
    from gateway.ledger import export, parquet
    from gateway.ledger.spend import check_groups, report
    from gateway.ledger.store import ledger_at

    try:
        by = check_groups([name.strip() for name in query.get("by", "team").split(",") if name.strip()])
    except LedgerError as error:
        raise BadRequest(f"{error}.") from None
    since_ns, until_ns, filters = _asked(query, now_ns)
    with ledger_at(url) as engine:
        found = report(engine, by, since_ns, until_ns, filters)
    return {"json": export.json_bytes, "csv": export.csv_bytes, "parquet": parquet.parquet_bytes}[form](found)


def _focus(url: str, query: QueryParams, form: str, call: Call) -> IO[bytes]:
    """The charges of a range as a file without a name, at its beginning: it may be larger than memory. Blocks."""
    from gateway.admin.pricelists import cards_of
    from gateway.ledger import focus, parquet
    from gateway.ledger.charges import charges
    from gateway.ledger.store import ledger_at

    now_ns = call.world.clock.now_ns()
    since_ns, until_ns, filters = _asked(query, now_ns)
    cards, listed = cards_of(call.world.configuration.snapshot)
    period: Period = "hour" if query.get("period") == "hour" else "day"
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever sends it
    try:
        with ledger_at(url) as engine:
            found = charges(engine, since_ns, until_ns, cards, listed, period, filters, call.world.clock)
            if form == "focus":
                file.writelines(focus.csv_pieces(found))
            else:
                parquet.write_focus(found, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _asked(query: QueryParams, now_ns: int) -> tuple[int, int, Filters]:
    """The range and the filters. Raises `BadRequest`."""
    from gateway.ledger.periods import moment_ns
    from gateway.ledger.spend import Filters

    try:
        since_ns = moment_ns(query.get("since", "7d"), now_ns)
        until_ns = moment_ns(query.get("until", "now"), now_ns)
    except LedgerError as error:
        raise BadRequest(f"{error}.") from None
    if since_ns >= until_ns:
        raise BadRequest("The range is empty: since must be before until.", param="since")
    filters = Filters(
        team=tuple(query.getlist("team")),
        key=tuple(query.getlist("key")),
        model=tuple(query.getlist("model")),
        provider=tuple(query.getlist("provider")),
        operation=tuple(query.getlist("operation")),
        tags=tuple(_tag(text) for text in query.getlist("tag")),
    )
    return since_ns, until_ns, filters


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest("tag: allowed is NAME=VALUE.", param="tag")
    return name.strip(), value.strip()
