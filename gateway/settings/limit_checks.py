"""What is wrong with limits and budgets beyond what the schema of single fields can see: names that nobody knows, names
written twice, and windows that cannot be counted.

Works on the resolved data, rule by rule, so that a mistake in one does not hide those of others. What is right and has
no effect is in `limit_warnings.py`.
"""

from collections.abc import Callable, Collection, Iterator

from pydantic import ValidationError

from gateway.settings.interpolate import Data, DataPath
from gateway.settings.nearest import hint
from gateway.settings.references import matches
from gateway.settings.schema_limit_values import AMOUNTS, GOING_ON, SHORT, UNITS
from gateway.settings.schema_limits import BudgetSection, DowngradeSection, LimitRuleSection

Note = Callable[[DataPath, str], None]
OPERATIONS = (
    "chat.completions",
    "completions",
    "embeddings",
    "responses",
    "moderations",
    "messages",
    "messages.count_tokens",
    "passthrough",
)
"""What a rule may match; listing models is never limited."""
_CUTTABLE = ("usd", "tokens", "output_tokens")


def check_limits(data: dict[str, Data], note: Note, drawn: Collection[DataPath], workers: int | None) -> None:
    """Call `note(path, message)` for every problem. Values at paths in `drawn` are not repeated in messages.

    `workers` overrides `server.workers`, as the command line may.
    """
    checker = _Checker(data, note, drawn)
    for path, budget in _every_budget(data):
        checker.budgets(path, budget)
    for at, rule in enumerate(_list(_mapping(data.get("limits")).get("rules"))):
        checker.rule(("limits", "rules", at), rule)
    _workers(data, note, workers)


def limited(data: dict[str, Data]) -> str | None:
    """What is limited first, in words, such as `the limits and budgets of team 'a'`; None when nothing is."""
    for name, team in _mapping(data.get("teams")).items():
        if any(_mapping(each).get(option) for each in _owners(_mapping(team)) for option in ("limits", "budget")):
            return f"the limits and budgets of team '{name}'"
    limits = _mapping(data.get("limits"))
    for whose, section in _mapping(limits.get("defaults")).items():
        if any(_mapping(section).values()):
            return f"limits.defaults.{whose}"
    return "limits.rules" if limits.get("rules") else None


def _workers(data: dict[str, Data], note: Note, override: int | None) -> None:
    """More than one process cannot share limits in memory: each would allow the whole of them."""
    written = _text(_mapping(data.get("server")).get("workers"))
    count = override or (int(written) if written.isdecimal() and len(written) < 6 else 1)
    store = _text(_mapping(data.get("limits")).get("store")) or "memory://"
    what = limited(data)
    if count > 1 and what is not None and store.startswith("memory:"):
        note(
            ("server", "workers"),
            f"{count} workers cannot share {what} in memory; allowed are 1 worker, or limits.store: redis://HOST:PORT",
        )


class _Checker:
    def __init__(self, data: dict[str, Data], note: Note, drawn: Collection[DataPath]) -> None:
        self._note = note
        self._drawn = drawn
        self._models = _mapping(data.get("models"))
        self._names: dict[str, str] = {}
        teams = _mapping(data.get("teams"))
        keys = {
            _text(_mapping(key).get("id")): name
            for name, team in teams.items()
            for key in _list(_mapping(team).get("keys"))
        }
        self._known: dict[str, Collection[str]] = {
            "team": teams,
            "provider": _mapping(data.get("providers")),
            "operation": OPERATIONS,
        }
        if not _mapping(data.get("secrets")).get("key_hash"):
            self._known["key"] = keys  # else it may be one that `tollway keys` made: `limit_warnings.py` looks

    def budgets(self, path: DataPath, written: Data) -> None:
        """One budget or several, of one team, key or default."""
        several = isinstance(written, list)
        names: dict[str, int] = {}
        for at, budget in enumerate(written if isinstance(written, list) else [written]):
            where = (*path, at) if several else path
            name = _text(_mapping(budget).get("name"))
            if name in names:
                self._note(
                    (*where, "name"),
                    f"this name is taken by {_spoken(path)}[{names[name]}]; allowed is each name once"
                    if name
                    else "only one of several budgets may go without a name; add name: NAME",
                )
            names.setdefault(name, at)
            self._budget(where, budget)

    def _budget(self, path: DataPath, written: Data) -> None:
        try:
            budget = BudgetSection.model_validate(written)
        except ValidationError:
            budget = None  # the schema complains of it
        fields = _mapping(written)
        self._model_list((*path, "models"), fields.get("models"))
        self._downgrade(path, fields)
        if budget is not None and budget.zone is not None and _rolls(budget.per, budget.rolling):
            self._note((*path, "zone"), _no_zone(budget.per, budget.rolling))

    def rule(self, path: DataPath, written: Data) -> None:
        fields = _mapping(written)
        name = _text(fields.get("name"))
        if name:
            if name in self._names:
                self._note((*path, "name"), f"this name is taken by {self._names[name]}; allowed is each name once")
            self._names.setdefault(name, f"limits.rules[{path[-1]}]")
        match = _mapping(fields.get("match"))
        for attribute, known in self._known.items():
            self._match((*path, "match", attribute), match.get(attribute), attribute, known)
        self._model_list((*path, "match", "model"), match.get("model"))
        self._downgrade(path, fields)
        try:
            rule = LimitRuleSection.model_validate(written)
        except ValidationError:
            return  # the schema complains of it
        for step, message in (*_amounts(rule), *_windows(rule), *_misplaced(rule)):
            self._note((*path, step) if step else path, message)

    def _match(self, path: DataPath, written: Data, what: str, known: Collection[str]) -> None:
        for at, name in _each(path, written):
            if name not in known:
                self._unknown(at, name, what, known)

    def _model_list(self, path: DataPath, written: Data) -> None:
        for at, name in _each(path, written):
            covered = any(matches(model, name) for model in self._models)
            if not covered and not (name.endswith("*") and any(matches(name, model) for model in self._models)):
                self._unknown(at, name, "model", self._models)

    def _downgrade(self, path: DataPath, fields: dict[str, Data]) -> None:
        model = _mapping(fields.get("when_exhausted")).get("downgrade")
        if isinstance(model, str) and not any(matches(known, model) for known in self._models):
            self._unknown((*path, "when_exhausted", "downgrade"), model, "model", self._models)
        elif isinstance(model, str) and model.endswith("*"):
            self._note((*path, "when_exhausted", "downgrade"), "a * names no model to serve; allowed is a full name")

    def _unknown(self, path: DataPath, name: str, what: str, known: Collection[str]) -> None:
        spoken = f"this {what} is not configured" if path in self._drawn else f"unknown {what} '{name[:80]}'"
        self._note(path, f"{spoken}; {hint(name, known)}")


def _amounts(rule: LimitRuleSection) -> Iterator[tuple[str, str]]:
    """Exactly one amount, and a time where there has to be one."""
    found = [measure for measure, _ in rule.amounts]
    if not found:
        yield "", f"this rule has no amount; allowed is one of {', '.join(AMOUNTS)}"
    for measure in found[1:]:
        yield measure, f"a second amount beside {found[0]}; allowed is one in a rule, so make this another rule"
    if len(found) != 1:
        return
    if found[0] in GOING_ON:
        if rule.per is not None:
            yield "per", f"{found[0]} counts what is open now, in no window; remove per"
        for name in ("rolling", "zone"):
            if name in rule.model_fields_set:
                yield name, f"{found[0]} counts what is open now, in no window; remove {name}"
    elif rule.per is None:
        yield "", f"'per' is missing; allowed are {', '.join(UNITS)}, or a duration such as 90s"


def _windows(rule: LimitRuleSection) -> Iterator[tuple[str, str]]:
    """Windows that contradict themselves."""
    if rule.burst is not None:
        counted = rule.amounts[0] if len(rule.amounts) == 1 else ("requests", rule.burst)
        if counted[0] != "requests":
            yield "burst", f"a burst of {counted[0]} cannot be counted; allowed is burst with requests"
        elif rule.burst > counted[1]:
            yield "burst", f"more at once than in the whole time; allowed is {counted[1]} or less"
        for name in ("rolling", "zone"):
            if name in rule.model_fields_set:
                yield name, f"a rule with burst is spread evenly over the time; remove {name}"
    elif rule.per is not None:
        if rule.rolling is False and rule.per not in UNITS:
            yield "rolling", f"the calendar has no such unit; allowed with rolling: off are {', '.join(UNITS)}"
        elif rule.zone is not None and _rolls(rule.per, rule.rolling):
            yield "zone", _no_zone(rule.per, rule.rolling)


def _misplaced(rule: LimitRuleSection) -> Iterator[tuple[str, str]]:
    """Options that this rule could not follow."""
    measure = rule.amounts[0][0] if len(rule.amounts) == 1 else ""
    if measure in GOING_ON and rule.soft is not None:
        yield "soft", "a warning comes once in a window, and this rule has none; remove soft"
    if measure and measure not in _CUTTABLE and "on_overrun" in rule.model_fields_set:
        yield "on_overrun", f"a stream cannot outlive its {measure}; allowed with {', '.join(_CUTTABLE)}"
    by_provider = rule.match.provider is not None or "provider" in rule.each
    if by_provider and isinstance(rule.when_exhausted, DowngradeSection):
        yield "when_exhausted", "a rule by provider is asked when the model is chosen already; allowed are block, warn"


def _rolls(per: str, rolling: bool | None) -> bool:
    return per not in UNITS or (per in SHORT if rolling is None else rolling)


def _no_zone(per: str, rolling: bool | None) -> str:
    ending = "remove zone, or rolling" if rolling else "remove zone"
    if rolling is None and per in UNITS:
        ending = "remove zone, or add rolling: off"
    return f"a rolling window has no time zone; {ending}"


def _every_budget(data: dict[str, Data]) -> Iterator[tuple[DataPath, Data]]:
    for name, team in _mapping(data.get("teams")).items():
        fields = _mapping(team)
        yield ("teams", name, "budget"), fields.get("budget")
        for at, key in enumerate(_list(fields.get("keys"))):
            yield ("teams", name, "keys", at, "budget"), _mapping(key).get("budget")
    defaults = _mapping(_mapping(data.get("limits")).get("defaults"))
    for whose, section in defaults.items():
        yield ("limits", "defaults", whose, "budget"), _mapping(section).get("budget")


def _owners(team: dict[str, Data]) -> Iterator[Data]:
    yield team
    yield from _list(team.get("keys"))


def _each(path: DataPath, written: Data) -> Iterator[tuple[DataPath, str]]:
    """A name, or each of a list, with its place."""
    if isinstance(written, str):
        yield path, written
    for at, name in enumerate(_list(written)):
        if isinstance(name, str):
            yield (*path, at), name


def _spoken(path: DataPath) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)[1:]


def _mapping(data: Data) -> dict[str, Data]:
    return data if isinstance(data, dict) else {}


def _list(data: Data) -> list[Data]:
    return data if isinstance(data, list) else []


def _text(data: Data) -> str:
    return data if isinstance(data, str) else ""
