"""Limits and budgets that are written correctly and do not do what is probably meant."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.limits.program import LimitProgram, covers
from gateway.quota import Rule, Smooth
from gateway.settings.references import matches
from gateway.settings.schema import Root

_SILENT = ("embeddings", "moderations", "messages.count_tokens")
"""Operations whose answers have no output tokens and are not streamed."""


def limit_warnings(root: Root, program: LimitProgram | None, stored_keys: Mapping[str, str]) -> Iterator[str]:
    """Sentences for `tollway check`. `stored_keys`: teams by the ids of the ledger's keys."""
    if program is None:
        return
    keys = {**stored_keys, **{key.id: name for name, team in root.teams.items() for key in team.keys}}
    for rule in program.rules:
        yield from _unknown_keys(rule, keys)
        never = _never(rule, root, keys)
        if never is not None:
            yield f"{rule.id} can never match: {never}"
        if rule.when_exhausted == "downgrade" and any(covers(each, rule.downgrade_to) for each in rule.scope.model):
            yield (
                f"{rule.id} counts '{rule.downgrade_to}', the model it downgrades to, too: requests for that are never "
                "refused"
            )
    yield from _circles(program)
    yield from _without_effect(root, program)


def unpriced_warnings(program: LimitProgram | None, unpriced: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Sentences on budgets that count nothing of a model. `unpriced`: targets without a price, by the model's name."""
    for rule in () if program is None else program.rules:
        if rule.measure != "usd":
            continue
        # A wildcard is the name of a route here, not a pattern that covers others.
        for model in dict.fromkeys(name for name in rule.scope.model if name in unpriced):
            yield f"{rule.id} counts nothing of '{model}' that {unpriced[model][0]} serves: no price is known for it"
        if rule.when_exhausted == "downgrade" and rule.downgrade_to in unpriced:
            yield (
                f"{rule.id} downgrades to '{rule.downgrade_to}', and counts nothing of it that "
                f"{unpriced[rule.downgrade_to][0]} serves: no price is known for it"
            )


def _circles(program: LimitProgram) -> Iterator[str]:
    """Budgets made for single models that send requests round to where they came from: the last one lets them in."""
    downgrades = [rule for rule in program.rules if rule.when_exhausted == "downgrade" and rule.scope.model]
    told: set[frozenset[str]] = set()
    for first in downgrades:
        way = [first]
        while (following := _next(way[-1], downgrades)) is not None and following not in way:
            way.append(following)
        ids = frozenset(rule.id for rule in way)
        if following is first and len(way) > 1 and ids not in told:
            told.add(ids)
            yield f"{', '.join(rule.id for rule in way)} downgrade in a circle: what comes round is never refused"


def _next(rule: Rule, downgrades: Iterable[Rule]) -> Rule | None:
    """Another rule that may downgrade what `rule` did."""
    return next((each for each in downgrades if each is not rule and _follows(each, rule)), None)


def _follows(rule: Rule, before: Rule) -> bool:
    pairs = (rule.scope.team, before.scope.team), (rule.scope.key, before.scope.key)
    return any(covers(name, before.downgrade_to) for name in rule.scope.model) and all(
        not one or not other or not set(one).isdisjoint(other) for one, other in pairs
    )


def _unknown_keys(rule: Rule, keys: Mapping[str, str]) -> Iterator[str]:
    for key in rule.scope.key:
        if key not in keys:
            yield f"{rule.id} matches a key '{key}' that is not in these files: it counts when `tollway keys` made one"


def _never(rule: Rule, root: Root, keys: Mapping[str, str]) -> str | None:
    """Why a rule can never match; None when it can."""
    scope = rule.scope
    teams = {keys[key] for key in scope.key if key in keys}
    if scope.team and scope.key and all(key in keys for key in scope.key) and teams.isdisjoint(scope.team):
        return f"the key '{scope.key[0]}' is of team '{keys[scope.key[0]]}'"
    asking = [name for name in (scope.team or (teams if scope.key else ())) if name in root.teams]
    if scope.model and asking and not any(_may(root, team, scope.model) for team in asking):
        return f"team '{asking[0]}' may not use '{scope.model[0]}'"
    if scope.model and scope.provider and not _serves(root, scope.model, scope.provider):
        return f"provider '{scope.provider[0]}' does not serve '{scope.model[0]}'"
    if scope.operation and set(scope.operation) <= set(_SILENT) and rule.measure in ("output_tokens", "streams"):
        return f"{scope.operation[0]} has no {rule.measure.replace('_', ' ')}"
    if scope.model and set(scope.operation) == {"passthrough"}:
        return "what is passed through names no model"
    return None


def _overlap(one: str, other: str) -> bool:
    return matches(one, other) or matches(other, one)


def _may(root: Root, team: str, models: Iterable[str]) -> bool:
    allowed = root.teams[team].models
    return allowed is None or any(_overlap(own, model) for own in allowed for model in models)


def _serves(root: Root, models: Iterable[str], providers: Iterable[str]) -> bool:
    """Whether a route, or a fallback of it, leads from one of the models to one of the providers."""
    wanted = {name for name in root.models for model in models if _overlap(name, model)}
    names, seen = list(wanted), set[str]()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        section = root.models[name]
        if any(target.provider in providers for target in section.targets):
            return True
        names += [other for fallback in section.fallbacks for other in root.models if matches(other, fallback)]
    return False


def _without_effect(root: Root, program: LimitProgram) -> Iterator[str]:
    if root.limits.lease is not None:
        if root.limits.store.get_secret_value().startswith("memory:"):
            yield "limits.lease has no effect: limits in memory are not asked for elsewhere"
        for rule in program.rules:
            if isinstance(rule.window, Smooth):
                yield (
                    f"{rule.id} has a burst, and is asked for in the store at every request: what it holds for is not "
                    "leased"
                )
    waits = next((rule.id for rule in program.rules if rule.wait > 0), None)
    if waits is not None and not root.limits.wait.queue:
        yield f"{waits} lets nobody wait: limits.wait.queue is 0"
    priced = root.prices != "off"
    money = next((rule.id for rule in program.rules if rule.measure == "usd"), None)
    if money is not None and not priced:
        yield f"{money} counts nothing: prices are off, so no request has a cost"
