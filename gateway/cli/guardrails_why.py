"""`tollway guardrails why`: which rule blocked or changed a request, from the id its sender has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.admin_client import KeyOption, UrlOption
from gateway.cli.asking import JsonOption, answering, gateway_of, print_json
from gateway.cli.guardrails_review import COMMAND, in_findings
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.admin.review_shapes import DirectionVerdict, FindingView, JudgedExchange, Reasons

_HEAD = 2
"""Lines that say which exchange it is."""
REASONS = "/admin/v1/guardrails/reasons"


def register(guardrails: typer.Typer) -> None:
    """Add the command to `tollway guardrails`."""
    guardrails.command("why")(why)


def why(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="x-request-id of the answer, or an exchange's id.")
    ],
    since: Annotated[str, typer.Option(help="Received since: an age (30m, 12h, 7d, 2w), a UTC date or a time.")] = "7d",
    config: ConfigOption = DEFAULT_CONFIG,
    admin_url: UrlOption = None,
    admin_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Say which rules blocked, rewrote or only watched a request and its answer.

    The sender has the id: e.request_id of an SDK's exception, or the header x-request-id. With the findings log on
    (`ledger: {findings: {}}`), also what was found, where, and the digest that `mark` and `allow:` take.

    \b
    tollway guardrails why 01a2236f-7f93-7d1f-92a4-67b9d239d20d
    """
    from gateway.admin.review_shapes import Reasons

    with answering(COMMAND, json):
        if (client := gateway_of(config, admin_url, admin_key)) is not None:
            found = client.get(REASONS, Reasons, request_id=request_id, since=since)
        else:
            found = in_findings(config, lambda reviewing: reviewing.why(request_id, since))
    if json:
        print_json(found)
    else:
        print("\n".join(_lines(found)))


def _lines(found: Reasons) -> list[str]:
    lines: list[str] = []
    for each in found.exchanges:
        lines += _exchange(each)
    if found.more:
        lines.append("Older exchanges of this id are left out; see --since.")
    if not found.logging:
        lines.append("The findings log is off: what was found, and where, is known with ledger: {findings: {}}.")
    return lines


def _exchange(each: JudgedExchange) -> list[str]:
    model = f" for {each.model}" if each.model else ""
    lines = [
        f"{each.exchange}, {each.received[:19].replace('T', ' ')} UTC",
        f"team {each.team or '(none)'}, key {each.key or '(none)'}: {each.operation}{model}: {each.outcome}, "
        f"status {each.status}",
    ]
    verdicts = {verdict.direction: _verdict(verdict) for verdict in each.verdicts}
    for direction, name in (("request", "request"), ("response", "answer")):
        found = [f"    {_finding(one)}" for one in each.findings if one.direction == direction]
        if direction in verdicts or found:
            lines += [f"• {name}: {verdicts.get(direction, 'logged')}", *found]
    return lines if len(lines) > _HEAD else [*lines, "• guardrails found nothing in it"]


def _verdict(verdict: DirectionVerdict) -> str:
    by = f" by {', '.join(verdict.rules)}" if verdict.rules else ""
    types = f" ({', '.join(verdict.types)})" if verdict.types else ""
    done = f"{verdict.enforced}{by}{types}"
    if verdict.enforced == "allow":
        done = f"nothing was done; enforced would have been {verdict.action}{by}{types}"
    elif verdict.action != verdict.enforced:
        done += f"; with all rules enforced: {verdict.action}"
    return done + (f"; failed: {', '.join(verdict.failed)}" if verdict.failed else "")


def _finding(one: FindingView) -> str:
    where = f"{one.place} ({one.role}) {one.start_at}–{one.end_at}"
    digest = f", digest {one.digest}" if one.digest else ""
    return (
        f"{one.rule}: {one.type} by {one.pattern or one.detector}, {where}, score {one.score:.2f}, "
        f"{one.action} in {one.mode}{digest}"
    )
