"""A postmortem's first draft in Markdown, from what an incident's timeline holds; the judgements are left to people."""

import re
from collections.abc import Sequence

from gateway.admin.incident_shapes import Happening, IncidentDetail

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def draft(found: IncidentDetail) -> str:
    """The document. Times are UTC. Names and words of people are escaped: they are read as they were written."""
    it = found.incident
    end = _moment(it.resolved_at) if it.resolved_at is not None else "not resolved yet"
    teams = ", ".join(_plain(team) for team in it.teams) or "not known"
    parts = [
        f"# Postmortem: {_plain(it.title)}",
        "",
        "| | |",
        "|---|---|",
        f"| Incident | {_plain(it.id)} |",
        f"| Severity | {it.severity} |",
        f"| Began | {_moment(it.since)} |",
        f"| Detected | {_moment(it.opened_at)} |",
        f"| Acknowledged | {_acknowledged(found)} |",
        f"| Resolved | {end} |",
        f"| Teams that met it | {teams} |",
        "",
        "## What happened",
        "",
        f"{_plain(it.title)} ({_plain(it.signal)}{': ' + _plain(it.subject) if it.subject else ''}).",
        "",
        *_figures(found),
        "## Timeline (UTC)",
        "",
        *(_line(each) for each in found.timeline),
        "",
        "## Why it happened",
        "",
        *_suspects(found.timeline),
        "## What went well, and what did not",
        "",
        "- Detection:",
        "- Response:",
        "",
        "## What we will change",
        "",
        "| What | Who | By when |",
        "|---|---|---|",
        "| | | |",
        "",
    ]
    return "\n".join(parts)


def _acknowledged(found: IncidentDetail) -> str:
    it = found.incident
    return f"{_moment(it.acknowledged_at)} by {_plain(it.acknowledged_by)}" if it.acknowledged_at else "by nobody"


def _figures(found: IncidentDetail) -> list[str]:
    detail = found.incident.detail
    if not detail:
        return []
    lines = [f"- {_plain(name.replace('_', ' '))}: {_plain(_value(value))}" for name, value in sorted(detail.items())]
    return ["Figures when it was last looked at:", "", *lines, ""]


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _line(each: Happening) -> str:
    who = f" ({_plain(each.actor)})" if each.actor else ""
    text = f": {_plain(each.text)}" if each.text else ""
    return f"- {_moment(each.at)} **{_plain(each.kind)}**{who}{text}"


def _suspects(timeline: Sequence[Happening]) -> list[str]:
    """What was changed before it was opened is looked at first."""
    opened = next((at for at, each in enumerate(timeline) if each.kind == "opened"), len(timeline))
    changes = [each for each in timeline[:opened] if each.kind == "config" or "." in each.kind]
    if not changes:
        return ["Nothing was changed here in the quarter of an hour before it.", ""]
    return ["Changed shortly before, so look at these first:", "", *(_line(each) for each in changes), ""]


def _moment(text: str | None) -> str:
    return "" if text is None else text[:19].replace("T", " ")


def _plain(text: str) -> str:
    """Words that Markdown, and HTML within it, read as words; on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
