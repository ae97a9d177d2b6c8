"""Makes the program of limits and budgets of the written configuration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Literal, TypeAlias

import msgspec

from gateway.limits.crowd import Crowds
from gateway.limits.program import Clause, LimitProgram, Roster
from gateway.quota import SECONDS, Calendar, Measure, Rolling, Rule, Scope, Smooth, StoreFailure, Unit, Window
from gateway.seams import Clock
from gateway.settings.schema import Root
from gateway.settings.schema_limit_values import GOING_ON, SHORT
from gateway.settings.schema_limits import (
    BudgetSection,
    DowngradeSection,
    LimitRuleSection,
    LimitsSection,
    MatchSection,
    OwnLimitsSection,
    OwnSection,
)
from gateway.settings.snapshot import LimitOptions
from gateway.settings.units import parse_duration

_RATES: tuple[tuple[str, Measure, Unit], ...] = tuple(
    (f"{measure}_per_{unit}", measure, unit)
    for measure in ("requests", "tokens", "input_tokens", "output_tokens")
    for unit in ("second", "minute", "hour", "day")
)
"""Fields of `limits` with a window: name, measure, unit."""
_Budgets: TypeAlias = BudgetSection | list[BudgetSection] | None
_Whose = Literal["team", "key"]


class _Own(msgspec.Struct, frozen=True):
    """A limit or budget of a team, a key, or each of them, before it is known whose."""

    kind: str
    """What follows the owner in its name: `budget`, `budget.NAME`, `requests_per_minute`."""
    replaces: str
    """Which default of the same kind it replaces: `budget` or the limit's name."""
    rule: Rule
    """Without id and scope, but for the models of a budget."""


def compile_limits(root: Root, clock: Clock | None = None) -> LimitProgram | None:
    """The program of all rules; None when there is none. `clock`: for one that counts requests, whose clients may
    choose what is counted apart."""
    clauses = [*_teams(root), *_keys(root), *_defaults(root), *_general(root)]
    if not clauses:
        return None
    roster = Roster(
        teams=tuple(root.teams),
        keys={key.id: name for name, team in root.teams.items() for key in team.keys},
        models=tuple(name for name in root.models if not name.endswith("*")),
        providers=tuple(root.providers),
    )
    return LimitProgram(
        clauses, roster, crowds=None if clock is None else Crowds(clock.monotonic, root.limits.counters)
    )


def compile_limit_options(section: LimitsSection) -> LimitOptions:
    return LimitOptions(
        store=section.store.get_secret_value(),
        on_store_failure=section.on_store_failure,
        patience=section.patience,
        lease=section.lease or 0.0,
        reserve=section.reserve,
        queue=section.wait.queue,
    )


def budgets_of(written: _Budgets) -> list[BudgetSection]:
    """One or several, as a list."""
    return [] if written is None else written if isinstance(written, list) else [written]


def _teams(root: Root) -> Iterator[Clause]:
    for name, team in root.teams.items():
        for own in _own(root.limits, team.budget, team.limits, team.zone):
            yield Clause(rule=_named(own.rule, f"teams.{name}.{own.kind}", Scope(team=(name,))))


def _keys(root: Root) -> Iterator[Clause]:
    for name, team in root.teams.items():
        for key in team.keys:
            for own in _own(root.limits, key.budget, key.limits, team.zone):
                yield Clause(rule=_named(own.rule, f"keys.{key.id}.{own.kind}", Scope(team=(name,), key=(key.id,))))


def _defaults(root: Root) -> Iterator[Clause]:
    """Each default once, and once more for every time zone that teams have: a calendar is part of the rule."""
    defaults = root.limits.defaults
    teams = {name: (team.budget, team.limits) for name, team in root.teams.items()}
    keys = {key.id: (key.budget, key.limits) for team in root.teams.values() for key in team.keys}
    yield from _defaults_for(root, "team", defaults.team, teams)
    yield from _defaults_for(root, "key", defaults.key, keys)


def _defaults_for(
    root: Root,
    whose: _Whose,
    section: OwnSection,
    owners: Mapping[str, tuple[_Budgets, OwnLimitsSection | None]],
) -> Iterator[Clause]:
    replaced: dict[str, set[str]] = {}
    for owner, (budget, limits) in owners.items():
        for kind in _written(budget, limits):
            replaced.setdefault(kind, set()).add(owner)
    for zone, scope in _zones(root):
        yield from _default(root.limits, whose, section, zone, scope, replaced)


def _default(
    limits: LimitsSection,
    whose: _Whose,
    section: OwnSection,
    zone: str | None,
    scope: Scope,
    replaced: dict[str, set[str]],
) -> Iterator[Clause]:
    for own in _own(limits, section.budget, section.limits, zone):
        yield Clause(
            rule=_named(own.rule, f"limits.defaults.{whose}.{own.kind}", scope, each=(whose,)),
            default=whose,
            kind=own.kind,
            without=frozenset(replaced.get(own.replaces, ())),
        )


def _zones(root: Root) -> Iterator[tuple[str | None, Scope]]:
    """Time zones that teams have, each with the teams that have it. One for all when none differs."""
    zones: dict[str | None, list[str]] = {}
    for name, team in root.teams.items():
        zones.setdefault(None if team.zone == root.limits.zone else team.zone, []).append(name)
    if not set(zones) - {None}:
        yield None, Scope()
        return
    for zone, names in zones.items():
        yield zone, Scope(team=tuple(names))


def _own(
    limits: LimitsSection,
    budget: _Budgets,
    rates: OwnLimitsSection | None,
    zone: str | None,
) -> Iterator[_Own]:
    usual = zone or limits.zone
    for section in budgets_of(budget):
        kind = "budget" if section.name is None else f"budget.{section.name}"
        yield _Own(kind, "budget", _budget(section, limits, usual))
    if rates is not None:
        wait = limits.wait.longest if rates.wait is None else rates.wait
        failure = rates.on_store_failure or limits.on_store_failure
        for name, measure, unit in _RATES:
            window = Rolling(SECONDS[unit]) if unit in SHORT else Calendar(unit, usual)
            yield from _rate(rates, name, measure, window, wait, failure)
        for measure in GOING_ON:
            yield from _rate(rates, measure, measure, None, wait, failure)


def _rate(
    rates: OwnLimitsSection, name: str, measure: Measure, window: Window | None, wait: float, failure: StoreFailure
) -> Iterator[_Own]:
    amount: int | None = getattr(rates, name)
    if amount:
        rule = Rule(id="", measure=measure, amount=amount, window=window, wait=wait, on_store_failure=failure)
        yield _Own(name, name, rule)


def _budget(section: BudgetSection, limits: LimitsSection, zone: str) -> Rule:
    action, model = _exhausted(section.when_exhausted)
    return Rule(
        id="",
        measure="usd",
        amount=section.amount,
        window=window_of(section.per, section.rolling, section.zone or zone, None),
        soft=_share(section.amount, section.soft),
        when_exhausted=action,
        downgrade_to=model,
        on_store_failure=section.on_store_failure or limits.on_store_failure,
        on_overrun=section.on_overrun,
        wait=limits.wait.longest,
        scope=Scope(model=tuple(section.models or ())),
    )


def _general(root: Root) -> Iterator[Clause]:
    for section in root.limits.rules:
        yield Clause(rule=_rule(section, root.limits))


def _rule(section: LimitRuleSection, limits: LimitsSection) -> Rule:
    ((measure, amount),) = section.amounts
    action, model = _exhausted(section.when_exhausted)
    window: Window | None = None
    if section.per is not None:
        window = window_of(section.per, section.rolling, section.zone or limits.zone, section.burst)
    return Rule(
        id=f"limits.rules.{section.name}",
        measure=measure,
        amount=amount,
        window=window,
        soft=_share(amount, section.soft),
        when_exhausted=action,
        downgrade_to=model,
        on_store_failure=section.on_store_failure or limits.on_store_failure,
        wait=limits.wait.longest if section.wait is None else section.wait,
        on_overrun=section.on_overrun,
        scope=_scope(section.match),
        each=tuple(dict.fromkeys(section.each)),
    )


def window_of(per: str, rolling: bool | None, zone: str, burst: int | None) -> Window:
    """The window of a unit or duration. Without `rolling`, seconds, minutes, hours and durations roll, and longer units
    follow the calendar of `zone`."""
    seconds = SECONDS[per] if per in SECONDS else int(parse_duration(per))
    if burst is not None:
        return Smooth(seconds, burst)
    if per not in SECONDS or (per in SHORT if rolling is None else rolling):
        return Rolling(seconds)
    return Calendar(msgspec.convert(per, Unit), zone)


def _scope(match: MatchSection) -> Scope:
    return Scope(
        team=tuple(match.team or ()),
        key=tuple(match.key or ()),
        model=tuple(match.model or ()),
        provider=tuple(match.provider or ()),
        operation=tuple(match.operation or ()),
        tags=tuple((name, tuple(values)) for name, values in match.tag.items()),
    )


def _named(rule: Rule, id_: str, scope: Scope, each: Sequence[str] = ()) -> Rule:
    return msgspec.structs.replace(
        rule, id=id_, scope=msgspec.structs.replace(scope, model=rule.scope.model), each=tuple(each)
    )


def _written(budget: _Budgets, limits: OwnLimitsSection | None) -> Iterable[str]:
    """Kinds of defaults that an owner replaces; `off` and an empty list do, too."""
    if budget is not None:
        yield "budget"
    if limits is not None:
        for name in (*(name for name, _, _ in _RATES), *GOING_ON):
            if getattr(limits, name) is not None:
                yield name


def _exhausted(written: str | DowngradeSection) -> tuple[Literal["block", "warn", "downgrade"], str]:
    if isinstance(written, DowngradeSection):
        return "downgrade", written.downgrade
    return ("warn" if written == "warn" else "block"), ""


def _share(amount: int, soft: float | None) -> int | None:
    """Exact: a share is written in decimals, and money is never a float."""
    if soft is None:
        return None
    return int((amount * Decimal(repr(soft))).to_integral_value(ROUND_CEILING))
