"""Which rules hold for a request, and which counters it counts on.

A `LimitProgram` is compiled from the configuration and immutable but for its memory of answers: the same caller asks
for the same model thousands of times, so what was found is kept, by what the rules look at and nothing else. What a
client chooses freely (model names behind a wildcard, tag values) can fill that memory, so it is bounded and forgotten
as a whole; and it can stand in the name of a counter, so it is escaped, or hashed when long.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec

from gateway.limits.crowd import Crowds
from gateway.quota import Adjustment, Bound, Rule, Scope

MOST_KEPT = 4096
"""Answers kept; the next one forgets them all."""
LONGEST_KEPT = 256
"""Characters of a model's name or a tag; what a longer one leads to is not kept."""
LONGEST = 64
"""Characters of an escaped value in a counter's name; a longer one is replaced by its digest."""
T = TypeVar("T")
_SAFE = "/@+,"
_LISTED = ("team", "key", "model", "provider")
"""What counters are listed by that nobody has counted on yet; operations and tags are only known from traffic."""


class Kept(dict[tuple[object, ...], T]):
    """What was found, by what was asked."""

    def keep(self, asked: tuple[object, ...], chosen: tuple[str, ...], found: T) -> None:
        """`chosen`: what of `asked` a client may choose."""
        if any(len(name) > LONGEST_KEPT for name in chosen):
            return
        if len(self) >= MOST_KEPT:
            self.clear()
        self[asked] = found


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as written, with what only the program needs to know of it."""

    rule: Rule
    counter: str = ""
    """Name of its counter, where that is not the rule's id and what it is counted apart by."""
    default: Literal["", "team", "key"] = ""
    """A default for each team or key: it counts on the counter that a rule of their own of the same kind would have."""
    kind: str = ""
    """Such as `budget` or `requests_per_minute`, of a default."""
    without: frozenset[str] = frozenset()
    """Teams or keys that a default does not hold for, because they have a rule of their own."""


class Roster(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a configuration, for counters that can be listed without traffic."""

    teams: tuple[str, ...] = ()
    keys: Mapping[str, str] = {}
    """Teams by the id of the key."""
    models: tuple[str, ...] = ()
    """Without wildcards."""
    providers: tuple[str, ...] = ()


class _Asked(msgspec.Struct, frozen=True):
    """What rules look at."""

    key: str
    team: str
    model: str
    provider: str
    operation: str
    tags: Mapping[str, str]

    def of(self, name: str) -> str:
        """The value of an attribute, such as `team` or `tag:customer`; "" for a tag that is not there."""
        return self.tags.get(name[4:], "") if name.startswith("tag:") else getattr(self, name)


class _Part:
    """The rules that are asked at one moment, what they look at, and the answers that are kept."""

    __slots__ = ("_common", "_own", "by_model", "by_operation", "clauses", "kept", "tags")

    def __init__(self, clauses: Iterable[Clause]) -> None:
        self.clauses = tuple(clauses)
        rules = [clause.rule for clause in self.clauses]
        tags = {name for rule in rules for name, _ in rule.scope.tags}
        tags |= {name[4:] for rule in rules for name in rule.each if name.startswith("tag:")}
        self.tags: tuple[str, ...] = tuple(sorted(tags))
        self.by_model: bool = any(rule.scope.model or "model" in rule.each for rule in rules)
        self.by_operation: bool = any(rule.scope.operation or "operation" in rule.each for rule in rules)
        self.kept: Kept[tuple[Bound, ...]] = Kept()
        # Most rules are a team's own: a thousand teams must not make each other's requests slower.
        teams = {team for rule in rules for team in rule.scope.team}
        self._common: tuple[Clause, ...] = tuple(clause for clause in self.clauses if not clause.rule.scope.team)
        self._own: dict[str, list[Clause]] = {team: [] for team in teams}
        for clause in self.clauses:
            for team in dict.fromkeys(clause.rule.scope.team):
                self._own[team].append(clause)

    def of_team(self, team: str) -> Iterable[Clause]:
        """The rules that may hold for this team."""
        return itertools.chain(self._own.get(team, ()), self._common)


class LimitProgram:
    """All rules of a configuration."""

    def __init__(
        self,
        clauses: Sequence[Clause],
        roster: Roster | None = None,
        adjustments: Iterable[Adjustment] = (),
        crowds: Crowds | None = None,
    ) -> None:
        """`crowds` bounds the counters that clients may begin; None: nothing does."""
        self.crowds = crowds
        self._clauses = tuple(clauses)
        self._roster = roster or Roster()
        self._extra: dict[str, int] = {}
        for adjustment in adjustments:
            self._extra[adjustment.bound_key] = self._extra.get(adjustment.bound_key, 0) + adjustment.extra
        self.rules: tuple[Rule, ...] = tuple(clause.rule for clause in self._clauses)
        """As they are written: teams' and keys' own, defaults, general ones."""
        self._early = _Part(clause for clause in self._clauses if not of_provider(clause.rule))
        self._late = _Part(clause for clause in self._clauses if of_provider(clause.rule))
        self.tags: tuple[str, ...] = self._early.tags
        """Names of the tags that `bounds` looks at."""
        self.by_provider: bool = bool(self._late.clauses)
        """Whether any rule has to be asked for at every attempt."""

    def bounds(
        self, key_id: str, team: str, model: str, operation: str, tags: Mapping[str, str] | None
    ) -> tuple[Bound, ...]:
        """The counters a request counts on when it is admitted: of every rule that matches it, but for those that look
        at the provider. `model` is the name the client asks for; "" for an operation that names none."""
        part = self._early
        asked = (
            key_id,
            team,
            model if part.by_model else "",
            operation if part.by_operation else "",
            values_of(part.tags, tags) if part.tags else (),
        )
        found = part.kept.get(asked)
        if found is None:
            found = self._find(part, _Asked(key_id, team, model, "", operation, tags or {}))
            part.kept.keep(asked, (model, *asked[-1]), found)
        return found

    def provider_bounds(
        self, provider: str, key_id: str, team: str, model: str, operation: str, tags: Mapping[str, str] | None
    ) -> tuple[Bound, ...]:
        """The counters an attempt at `provider` counts on: of rules that match or count by provider."""
        part = self._late
        if not part.clauses:
            return ()
        asked = (
            provider,
            key_id,
            team,
            model if part.by_model else "",
            operation if part.by_operation else "",
            values_of(part.tags, tags) if part.tags else (),
        )
        found = part.kept.get(asked)
        if found is None:
            found = self._find(part, _Asked(key_id, team, model, provider, operation, tags or {}))
            part.kept.keep(asked, (model, *asked[-1]), found)
        return found

    def known(self, team: str | None = None, keys: Mapping[str, str] | None = None) -> list[Bound]:
        """The counters that can be listed without traffic, in the order of the rules: of teams and keys, of models and
        providers that are configured, and of rules with one counter. `team`: only those that lie within that team.
        `keys`: more keys (teams by key id), such as those of the ledger."""
        teams = {**self._roster.keys, **(keys or {})}
        found: dict[str, Bound] = {}
        for clause in self._clauses:
            if all(name in _LISTED for name in clause.rule.each):
                for bound in self._listed(clause, teams):
                    if team is None or bound.scope.team == (team,):
                        found.setdefault(bound.key, bound)
        return list(found.values())

    def adjusted(self, adjustments: Iterable[Adjustment], now_ns: int | None = None) -> "LimitProgram":
        """The same rules with the extra of every adjustment added to its counter's amount; several for one counter add
        up, and those before are forgotten. `now_ns`: only those that are valid then; `next_change` says when to ask
        again."""
        valid = [each for each in adjustments if now_ns is None or each.valid(now_ns)]
        return LimitProgram(self._clauses, self._roster, valid, self.crowds)

    def _find(self, part: _Part, asked: _Asked) -> tuple[Bound, ...]:
        found = [self._bound(clause, asked) for clause in part.of_team(asked.team) if _holds(clause, asked)]
        return tuple(found if self.crowds is None else map(self.crowds.place, found))

    def _bound(self, clause: Clause, asked: _Asked) -> Bound:
        rule = clause.rule
        key = counter_of(clause, [asked.of(name) for name in rule.each])
        extra = self._extra.get(key, 0)
        scope = _narrowed(rule, asked)
        group = f"t:{scope.team[0]}" if len(scope.team) == 1 else "g"
        return Bound(_raised(rule, extra) if extra else rule, key, group, scope=scope)

    def _listed(self, clause: Clause, teams: Mapping[str, str]) -> Iterable[Bound]:
        """Each counter of a rule that counts by what is configured."""
        rule, scope = clause.rule, clause.rule.scope
        names = {
            "team": scope.team or self._roster.teams,
            "key": scope.key or tuple(teams),
            "model": tuple(name for name in scope.model if not name.endswith("*")) or self._roster.models,
            "provider": scope.provider or self._roster.providers,
        }
        for values in itertools.product(*(names[name] for name in rule.each)):
            chosen = dict(zip(rule.each, values, strict=True))
            key = chosen.get("key", scope.key[0] if len(scope.key) == 1 else "")
            team = chosen.get("team", scope.team[0] if len(scope.team) == 1 else "")
            if key and (key not in teams or (team or teams[key]) != teams[key]):
                continue
            asked = _Asked(
                key, teams[key] if key else team, chosen.get("model", ""), chosen.get("provider", ""), "", {}
            )
            fits = all(_allows(getattr(scope, name), getattr(asked, name), name) for name in chosen)
            if fits and (not key or not scope.team or asked.team in scope.team) and not _excepted(clause, asked):
                yield self._bound(clause, asked)


def of_provider(rule: Rule) -> bool:
    """Whether a rule can only be asked once the provider is known."""
    return bool(rule.scope.provider) or "provider" in rule.each


def lenient(bound: Bound) -> Bound:
    """The same counter, counted on without being refused: for a request that was downgraded because of it."""
    return msgspec.structs.replace(bound, lenient=True)


def next_change(adjustments: Iterable[Adjustment], now_ns: int) -> int | None:
    """When after `now_ns` an adjustment begins or ends next (wall clock, nanoseconds); None: never."""
    moments = (moment for each in adjustments for moment in (each.from_ns, each.until_ns))
    return min((moment for moment in moments if moment > now_ns), default=None)


def counter_of(clause: Clause, values: Sequence[str]) -> str:
    """Name of the counter for the values of what the rule is counted apart by, in its order."""
    if clause.default:
        return f"{clause.default}s.{values[0]}.{clause.kind}"
    return ":".join([clause.counter or clause.rule.id, *map(escaped, values)])


def escaped(value: str) -> str:
    """A value as it stands in a counter's name: printable ASCII without `:`, `%` (but as an escape), `#`, braces and
    spaces; different for different values."""
    plain = quote(value, safe=_SAFE, errors="surrogatepass") if len(value) <= LONGEST else ""
    if (plain or not value) and len(plain) <= LONGEST:
        return plain
    return "#" + hashlib.blake2b(value.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def covers(pattern: str, model: str) -> bool:
    """Whether a model's name, or `prefix*`, covers the model a client asks for."""
    return model.startswith(pattern[:-1]) and model != "" if pattern.endswith("*") else pattern == model


def _allows(allowed: tuple[str, ...], value: str, name: str) -> bool:
    if not allowed:
        return True
    return any(covers(each, value) for each in allowed) if name == "model" else value in allowed


def _holds(clause: Clause, asked: _Asked) -> bool:
    scope = clause.rule.scope
    return (
        (not scope.team or asked.team in scope.team)
        and (not scope.key or asked.key in scope.key)
        and (not scope.operation or asked.operation in scope.operation)
        and (not scope.provider or asked.provider in scope.provider)
        and _allows(scope.model, asked.model, "model")
        and all(asked.tags.get(name, "") in values for name, values in scope.tags)
        and not _excepted(clause, asked)
    )


def _excepted(clause: Clause, asked: _Asked) -> bool:
    return clause.default != "" and asked.of(clause.default) in clause.without


def _narrowed(rule: Rule, asked: _Asked) -> Scope:
    """Whose use the counter counts that this request counts on. A key lies within its team."""
    scope = rule.scope
    changed: dict[str, tuple[object, ...]] = {}
    tags = dict(scope.tags)
    for name in rule.each:
        if name.startswith("tag:"):
            tags[name[4:]] = (asked.of(name),)
        else:
            changed[name] = (asked.of(name),)
    if ("key" in rule.each or len(scope.key) == 1) and asked.team:
        changed["team"] = (asked.team,)
    if tags:
        changed["tags"] = tuple(tags.items())
    return msgspec.structs.replace(scope, **changed) if changed else scope


def _raised(rule: Rule, extra: int) -> Rule:
    """The soft threshold stays the same share of the amount."""
    amount = max(rule.amount + extra, 1)
    soft = None if rule.soft is None else -(-rule.soft * amount // rule.amount)
    return msgspec.structs.replace(rule, amount=amount, soft=soft)


def values_of(names: tuple[str, ...], tags: Mapping[str, str] | None) -> tuple[str, ...]:
    """The values of the tags that rules look at; () for none of any."""
    return tuple([tags.get(name, "") for name in names]) if tags else ()
