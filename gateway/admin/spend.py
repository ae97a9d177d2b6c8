"""Spend over HTTP: the filters, groups and formats of `tollway spend`."""

import asyncio
import difflib

from starlette.datastructures import QueryParams
from starlette.responses import Response

from gateway.admin.access import Conflict
from gateway.admin.endpoint import Call, Parameter
from gateway.errors import BadRequest, LedgerError

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
    Parameter("format", "What to answer with.", default="json", choices=("json", "csv", "parquet")),
)
MEDIA = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


async def show_spend(call: Call) -> Response:
    ledger = call.world.configuration.snapshot.ledger
    if ledger is None:
        raise Conflict("This gateway keeps no ledger (ledger: off).", code="ledger_off")
    query = call.request.query_params
    _check(query)
    form = query.get("format", "json")
    body = await asyncio.to_thread(_report, ledger.url, query, form, call.world.clock.now_ns())
    headers = {"content-type": MEDIA[form], "cache-control": "no-store"}
    if form != "json":
        headers["content-disposition"] = f'attachment; filename="spend.{form}"'
    return Response(body, 200, headers)


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
    if query.get("format", "json") not in MEDIA:
        raise BadRequest(f"format: allowed are {', '.join(MEDIA)}.", param="format")


def _report(url: str, query: QueryParams, form: str, now_ns: int) -> bytes:
    """Blocks. SQLAlchemy is imported here, by those who ask for spend only."""
    from gateway.ledger import export, parquet
    from gateway.ledger.periods import moment_ns
    from gateway.ledger.spend import Filters, check_groups, report
    from gateway.ledger.store import open_existing, schema_version

    try:
        by = check_groups([name.strip() for name in query.get("by", "team").split(",") if name.strip()])
        since_ns = moment_ns(query.get("since", "7d"), now_ns)
        until_ns = moment_ns(query.get("until", "now"), now_ns)
        filters = Filters(
            team=tuple(query.getlist("team")),
            key=tuple(query.getlist("key")),
            model=tuple(query.getlist("model")),
            provider=tuple(query.getlist("provider")),
            operation=tuple(query.getlist("operation")),
            tags=tuple(_tag(text) for text in query.getlist("tag")),
        )
    except LedgerError as error:
        raise BadRequest(f"{error}.") from None
    if since_ns >= until_ns:
        raise BadRequest("The range is empty: since must be before until.", param="since")
    engine = open_existing(url)
    try:
        if schema_version(engine) is None:
            raise LedgerError("this database holds no ledger yet")
        found = report(engine, by, since_ns, until_ns, filters)
    finally:
        engine.dispose()
    return {"json": export.json_bytes, "csv": export.csv_bytes, "parquet": parquet.parquet_bytes}[form](found)


def _tag(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest("tag: allowed is NAME=VALUE.", param="tag")
    return name.strip(), value.strip()
