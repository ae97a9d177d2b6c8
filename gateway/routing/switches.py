"""Kill switches: what operators have stopped, forced to another model, or put in shadow, for a while.

A snapshot holds one compiled `Switches`, or None while there is no switch, so that a request pays one comparison. Each
switch knows its own end: it stops to count at that moment, whether or not somebody has looked at the database since.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from gateway.errors import Overloaded
from gateway.facts import Caller
from gateway.routing.table import Provider, Route, RouteTable, Target

Kind = Literal["stop", "fallback", "guardrail"]
Scope = Literal["gateway", "team", "key", "model", "provider", "operation", "policy"]
SCOPES: dict[Kind, tuple[Scope, ...]] = {
    "stop": ("gateway", "team", "key", "model", "provider", "operation"),
    "fallback": ("model",),
    "guardrail": ("policy",),
}
MODES = ("shadow",)
"""What a guardrail policy can be forced to."""
LONGEST_HINT = 3600
"""Seconds; the largest `retry-after` of what is stopped."""
MOST_HOPS = 8
"""Forced fallbacks that may lead to one another."""


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """One switch that is on. Times are nanoseconds since the epoch."""

    id: str
    kind: Kind
    scope: Scope
    name: str
    """Of what is switched; a model's may end with `*`. Empty for the whole gateway."""
    value: str = ""
    """fallback: the model that serves instead; guardrail: the mode."""
    reason: str
    """Shown to clients that are refused."""
    from_ns: int
    until_ns: int | None = None
    """None: until it is taken back."""

    def in_force(self, now_ns: int) -> bool:
        return self.from_ns <= now_ns and (self.until_ns is None or now_ns < self.until_ns)


class Stopped(Overloaded):
    """503: an operator has stopped this. The SDKs of OpenAI and Anthropic are told not to try again at once
    (`x-should-retry`), since nothing will have changed."""

    code = "stopped_by_operator"


class Switches:
    """All switches of a moment, by what they are asked for. Immutable; asked on the road."""

    __slots__ = ("_fallbacks", "_policies", "_stops", "_stops_models", "all", "routed")

    def __init__(self, switches: Iterable[Switch]) -> None:
        self.all = tuple(sorted(switches, key=lambda each: (each.from_ns, each.id)))
        self._stops: dict[tuple[str, str], list[Switch]] = {}
        self._fallbacks = [each for each in self.all if each.kind == "fallback"]
        self._policies = [each for each in self.all if each.kind == "guardrail"]
        for each in self.all:
            if each.kind == "stop":
                self._stops.setdefault((each.scope, each.name), []).append(each)
        self._stops_models = [each for each in self.all if each.kind == "stop" and each.scope == "model"]
        self.routed = any(each.scope in ("model", "provider") for each in self.all)
        """Whether any changes which targets serve."""

    def admit(self, caller: Caller, operation: str, now_ns: int) -> None:
        """Raises `Stopped` when the gateway, the team, the key or the operation is stopped."""
        for scope, name, what in (
            ("gateway", "", "This gateway"),
            ("team", caller.team, f"The team '{caller.team}'"),
            ("key", caller.key_id, f"The key '{caller.key_id}'"),
            ("operation", operation, f"The operation '{operation}'"),
        ):
            for switch in self._stops.get((scope, name), ()):
                if switch.in_force(now_ns):
                    raise stopped(switch, what, now_ns)

    def route(self, routes: RouteTable, route: Route, now_ns: int) -> Route:
        """The route that serves in place of `route`: itself, or where forced fallbacks lead. A fallback to a model that
        is not configured any more is left out. Raises `Stopped` when the model at the end is stopped."""
        seen = {route.name}
        for _ in range(MOST_HOPS):
            forced = _found(self._fallbacks, route.name, now_ns)
            if forced is None or forced.value in seen or (following := routes.find(forced.value)) is None:
                break
            seen.add(forced.value)
            route = following
        if (switch := _found(self._stops_models, route.name, now_ns)) is not None:
            raise stopped(switch, f"The model '{route.name[:200]}'", now_ns)
        return route

    def stopped_models(self, names: Collection[str], now_ns: int) -> set[str]:
        """Which of these are stopped: they are no fallbacks now."""
        if not self._stops_models:
            return set()
        return {name for name in names if _found(self._stops_models, name, now_ns) is not None}

    def provider(self, provider: Provider, now_ns: int) -> None:
        """Raises `Stopped` when the provider is stopped."""
        if (switch := self._stop_of(provider, now_ns)) is not None:
            raise stopped(switch, f"The provider '{provider.name}'", now_ns)

    def running(self, targets: Sequence[Target], now_ns: int) -> list[Target]:
        """Targets that are not stopped, neither their provider nor the model's name there. Raises `Stopped` when none
        is left."""
        last: tuple[Switch, str] | None = None
        found: list[Target] = []
        for target in targets:
            if (switch := self._stop_of(target.provider, now_ns)) is not None:
                last = switch, f"The provider '{target.provider.name}'"
            elif (switch := _found(self._stops_models, target.model, now_ns)) is not None:
                last = switch, f"The model '{target.model[:200]}'"
            else:
                found.append(target)
        if not found and last is not None:
            raise stopped(*last, now_ns)
        return found

    def shadowed(self, rules: Callable[[str], Iterable[str]], now_ns: int) -> frozenset[str]:
        """Ids of the guardrail rules that are to be in shadow; `rules` gives those of a policy."""
        return frozenset(rule for switch in self._policies if switch.in_force(now_ns) for rule in rules(switch.name))

    def _stop_of(self, provider: Provider, now_ns: int) -> Switch | None:
        stops = self._stops.get(("provider", provider.name), ())
        return next((switch for switch in stops if switch.in_force(now_ns)), None)


def compiled(switches: Iterable[Switch], now_ns: int) -> Switches | None:
    """Those that are, or will be, in force; None: there is none."""
    left = [each for each in switches if each.until_ns is None or now_ns < each.until_ns]
    return Switches(left) if left else None


def next_end(switches: Iterable[Switch], now_ns: int) -> int | None:
    """When the first of them ends; None: none does."""
    return min(
        (each.until_ns for each in switches if each.until_ns is not None and each.until_ns > now_ns), default=None
    )


def stopped(switch: Switch, what: str, now_ns: int) -> Stopped:
    """The refusal, which names the operator's reason."""
    hint, until = LONGEST_HINT, ""
    if switch.until_ns is not None:
        hint = min(max(math.ceil((switch.until_ns - now_ns) / 1e9), 1), LONGEST_HINT)
        until = f" until {datetime.fromtimestamp(switch.until_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Stopped(
        f"{what} was stopped by an operator{until}: {switch.reason}",
        headers=((b"retry-after", b"%d" % hint), (b"x-should-retry", b"false")),
    )


def unknown(switch: Switch, known: Mapping[str, Collection[str]]) -> str:
    """What is wrong with a switch for this configuration; empty: nothing. `known`: the names of each scope; one that is
    not in it takes any."""
    allowed = SCOPES[switch.kind]
    if switch.scope not in allowed:
        return f"'{switch.kind}' is for {', '.join(allowed)}, not for '{switch.scope}'"
    if (switch.scope == "gateway") != (not switch.name):
        return "the whole gateway has no name" if switch.name else f"say which {switch.scope}"
    if switch.name and switch.scope in known and switch.name not in known[switch.scope]:
        return f"there is no {switch.scope} '{switch.name[:200]}'"
    if switch.kind == "guardrail" and switch.value not in MODES:
        return f"a guardrail policy can be forced to: {', '.join(MODES)}"
    return ""


def _found(switches: Iterable[Switch], model: str, now_ns: int) -> Switch | None:
    for switch in switches:
        name = switch.name
        if (name == model or (name[-1:] == "*" and model.startswith(name[:-1]))) and switch.in_force(now_ns):
            return switch
    return None
