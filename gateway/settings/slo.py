"""Reads a file of service level objectives: strict, every problem at once, as `file:line:column: wrong; allowed`."""

import os
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from gateway.errors import ConfigError
from gateway.settings.complaints import complaints, place_of
from gateway.settings.include import Tree
from gateway.settings.interpolate import SOURCES, DataPath, Resolver
from gateway.settings.nearest import hint
from gateway.settings.schema_slo import Indicator, ObjectiveSection, ReceiverSection, SloRoot
from gateway.settings.sources import Sources
from gateway.settings.yaml_marks import Problem
from gateway.telemetry.page import FIRST_BYTE_BOUNDS, OVERHEAD_BOUNDS, STAGE_BOUNDS

BOUNDS: MappingABC[Indicator, tuple[float, ...]] = {
    "first_byte": FIRST_BYTE_BOUNDS,
    "overhead": OVERHEAD_BOUNDS,
    "guardrails": STAGE_BOUNDS,
}
"""Seconds at which a histogram can tell good from bad: nothing is known between two bounds."""
Selector = Literal["teams", "models", "providers", "operations", "mode"]
SELECTORS: MappingABC[Indicator, tuple[Selector, ...]] = {
    "availability": ("teams", "models", "providers", "operations"),
    "first_byte": ("teams", "models", "providers", "operations", "mode"),
    "overhead": ("operations", "mode"),
    "guardrails": (),
    "ledger": (),
}
"""What the metric behind an indicator is kept apart by."""
_ALL: tuple[Selector, ...] = ("teams", "models", "providers", "operations", "mode")
_CHANNELS = ("webhook", "webhook_file", "pagerduty_key_file", "slack_url_file")

Note = Callable[[DataPath, str], None]


def load_slo(path: Path | str, *, env: MappingABC[str, str] | None = None) -> SloRoot:
    """Read and check a file of objectives. `env` stands in for the process's environment.

    Raises `ConfigError` with every problem found.
    """
    problems: list[Problem] = []
    sources = Sources()
    tree = Tree(Path(path), sources, problems)
    if tree.root is None:
        raise ConfigError([str(problem) for problem in problems])
    nodes = tree.root
    resolver = Resolver(os.environ if env is None else env, SOURCES, sources, problems)
    data = resolver.data(nodes)
    root: SloRoot | None = None
    try:
        root = SloRoot.model_validate(data)
    except ValidationError as error:
        problems += complaints(error, SloRoot, nodes, resolver.failed)
    else:
        _check(root, lambda at, message: problems.append(Problem(place_of(nodes, at), message)))
    if root is None or problems:
        raise ConfigError([str(problem) for problem in sorted(set(problems))])
    return root


def teams_of(root: SloRoot, objective: ObjectiveSection) -> tuple[str, ...]:
    """Names of the teams an objective is about; empty: everybody."""
    named = objective.teams
    if named is None:
        return ()
    return tuple(root.teams[named]) if isinstance(named, str) else tuple(named)


def duration_text(seconds: float) -> str:
    """Seconds as people write them: 2.5s, 25ms, 15m."""
    if seconds < 1:
        return f"{round(seconds * 1000, 6):.10g}ms"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.10g}{unit}"
    return f"{seconds:.10g}s"


def _check(root: SloRoot, note: Note) -> None:
    """What concerns two values at once."""
    for name, members in root.teams.items():
        if not members:
            note(("teams", name), "this class has no teams; allowed is a list with one team or more")
    for name, objective in root.objectives.items():
        _check_objective(root, objective, ("objectives", name), note)
    receivers = (("page", root.notify.page), ("ticket", root.notify.ticket))
    for severity, listed in receivers:
        for at, receiver in enumerate(listed):
            for message in _receiver_problems(receiver):
                note(("notify", severity, at), message)


def _check_objective(root: SloRoot, objective: ObjectiveSection, at: DataPath, note: Note) -> None:
    kind, bounds, within = objective.sli, BOUNDS.get(objective.sli), objective.within
    if kind == "availability" and within is not None:
        note((*at, "within"), "availability has no time; allowed is no 'within'")
    elif kind != "availability" and within is None:
        shown = _listed(bounds) if bounds else "a duration such as 60s"
        note(at, f"'within' is missing: from when on is an event bad? allowed are {shown}")
    elif bounds is not None and within not in bounds:
        note((*at, "within"), f"no histogram has a bound there; allowed are {_listed(bounds)}")
    allowed = SELECTORS[kind]
    for name in _ALL:
        if getattr(objective, name) is not None and name not in allowed:
            known = ", ".join(allowed) or "none"
            note((*at, name), f"the metric of {kind} is not kept apart by {name}; allowed are: {known}")
    if isinstance(objective.teams, str) and objective.teams not in root.teams:
        note((*at, "teams"), f"there is no class of teams '{objective.teams}'; {hint(objective.teams, root.teams)}")
    for name in _ALL:
        if getattr(objective, name) == []:
            note((*at, name), "this list is empty; allowed is a list with one name or more, or none at all")


def _receiver_problems(receiver: ReceiverSection) -> Iterator[str]:
    used = [name for name in _CHANNELS if getattr(receiver, name) is not None]
    if len(used) != 1:
        yield f"a receiver is one of {', '.join(_CHANNELS)}; here are {', '.join(used) or 'none'}"
    if (receiver.slack_channel is not None) != (receiver.slack_url_file is not None):
        yield "slack_url_file and slack_channel belong together; allowed are both"
    if receiver.webhook is not None and not receiver.webhook.startswith(("http://", "https://")):
        yield "this webhook is not a URL; allowed is one that starts with https:// or http://"


def _listed(bounds: tuple[float, ...]) -> str:
    return ", ".join(map(duration_text, bounds))
