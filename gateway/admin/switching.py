"""Setting and clearing kill switches in a ledger, for the admin API and the command line alike."""

import difflib
from collections.abc import Collection

import msgspec
from sqlalchemy import Engine

from gateway.admin.access import Conflict
from gateway.admin.reasons import checked_reason
from gateway.admin.shapes import iso, iso_or_none
from gateway.admin.switch_shapes import SetSwitch, SwitchView
from gateway.errors import BadRequest, LedgerError, NotFound
from gateway.ledger.keystore import KeyStore
from gateway.ledger.switches import StoredSwitch, SwitchStore
from gateway.operations import NAMES
from gateway.routing.switches import SCOPES, Switch, unknown
from gateway.seams import Clock
from gateway.settings.schema import Root
from gateway.settings.units import parse_duration, parse_moment

DEFAULT = 3600.0
"""Seconds that a switch holds when nothing else is said."""
MOST_TOLD = 12
"""Names that a refusal lists; of more it says what is near."""
_LONGEST = 366 * 86400


class Switching:
    """Switches of one ledger, judged by one written configuration. Methods block, and raise `LedgerError` when the
    database is away."""

    def __init__(self, engine: Engine, root: Root, clock: Clock, actor: str) -> None:
        self._engine = engine
        self._root = root
        self._clock = clock
        self._actor = actor
        self._store = SwitchStore(engine, clock)

    def list(self, everything: bool = False) -> "list[SwitchView]":
        """Those that hold; with `everything`, also those that ended in the last 30 days."""
        now_ns = self._clock.now_ns()
        return [view(each, now_ns) for each in (self._store.list() if everything else self._store.live())]

    def set(self, asked: SetSwitch) -> SwitchView:
        """Raises `BadRequest` saying what is wrong and what is allowed."""
        now_ns = self._clock.now_ns()
        until_ns = _until_ns(asked, now_ns)
        reason = checked_reason(asked.reason)
        switch = Switch(
            id="",
            kind=asked.kind,
            scope=asked.scope,
            name=asked.name,
            value=asked.to,
            reason=reason,
            from_ns=now_ns,
            until_ns=until_ns,
        )
        self._check(switch)
        made = self._store.set(
            kind=asked.kind,
            scope=asked.scope,
            name=asked.name,
            value=asked.to,
            until_ns=until_ns,
            reason=reason,
            actor=self._actor,
        )
        return view(made, now_ns)

    def clear(self, switch_id: str, reason: str) -> SwitchView:
        """Raises `NotFound` or `Conflict`."""
        try:
            ended = self._store.clear(switch_id, reason=reason.strip() and checked_reason(reason), actor=self._actor)
        except LedgerError as error:
            if "does not hold" in str(error):
                raise Conflict(f"{error}.".capitalize(), code="switch_over") from None
            if "there is no switch" in str(error):
                raise NotFound(f"{error}.".capitalize(), code="unknown_switch") from None
            raise
        return view(ended, self._clock.now_ns())

    def _check(self, switch: Switch) -> None:
        root = self._root
        known: dict[str, Collection[str]] = {
            "team": root.teams.keys(),
            "provider": root.providers.keys(),
            "policy": root.guardrails.keys(),
            "operation": NAMES,
        }
        if switch.scope == "key":
            configured = [key.id for team in root.teams.values() for key in team.keys]
            known["key"] = [*configured, *(key.id for key in KeyStore(self._engine).list())]
        wrong = unknown(switch, known)
        if wrong:
            unnamed = switch.name and not wrong.startswith("there is no ")
            hint = "" if unnamed else _nearest(switch.name, known.get(switch.scope, ()))
            raise BadRequest(f"{wrong[0].upper()}{wrong[1:]}.{hint}")
        if switch.scope == "model":
            self._check_model(switch.name, "name")
        if switch.kind == "fallback":
            if not switch.value:
                raise BadRequest("to: say which model serves instead.", param="to")
            self._check_model(switch.value, "to")
            if switch.value == switch.name:
                raise BadRequest("A model cannot be its own fallback.", param="to")
            if switch.value.endswith("*"):
                raise BadRequest("to: allowed is one model's name, without *.", param="to")
        elif switch.kind == "stop" and switch.value:
            raise BadRequest("to: a stop leads nowhere; allowed with fallback and guardrail.", param="to")

    def _check_model(self, name: str, param: str) -> None:
        written = self._root.models
        prefixes = tuple(each[:-1] for each in written if each.endswith("*"))
        upstream: set[str] = set()
        if param == "name":
            upstream = {target.model for model in written.values() for target in model.targets if target.model}
        if name in written or name in upstream or (prefixes and name.startswith(prefixes)):
            return
        if param == "name" and name.endswith("*") and any(each.startswith(name[:-1]) for each in written):
            return
        raise BadRequest(f"There is no model '{name[:200]}' here.{_nearest(name, written)}", param=param)


def view(stored: StoredSwitch, now_ns: int) -> SwitchView:
    """A switch as it is shown."""
    cleared = stored.ended_ns is not None
    return SwitchView(
        id=stored.id,
        kind=stored.kind,
        scope=stored.scope,
        name=stored.name,
        to=stored.value,
        reason=stored.reason,
        made_by=stored.made_by,
        since=iso(stored.from_ns),
        until=iso_or_none(stored.until_ns),
        ended_at=iso_or_none(stored.ended_ns),
        state="holds" if stored.in_force(now_ns) else "cleared" if cleared else "expired",
    )


def _nearest(name: str, among: Collection[str]) -> str:
    close = difflib.get_close_matches(name[:200], among, 3, 0.5)
    if close:
        return f" Did you mean {' or '.join(repr(each) for each in close)}?"
    if not among:
        return " None is configured."
    return f" Allowed are {', '.join(sorted(among))}." if len(among) <= MOST_TOLD else ""


def _until_ns(asked: SetSwitch, now_ns: int) -> int | None:
    if (asked.for_ is not None) + (asked.until is not None) + asked.permanent > 1:
        raise BadRequest("Say once how long: for, until, or permanent.", param="for")
    if asked.permanent:
        return None
    name = "until" if asked.until is not None else "for"
    try:
        if asked.until is not None:
            end_ns = parse_moment(asked.until)
        else:
            seconds = DEFAULT if asked.for_ is None else parse_duration(asked.for_)
            end_ns = now_ns + round(seconds * 1e9)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}.", param=name) from None
    if not now_ns < end_ns <= now_ns + _LONGEST * 10**9:
        raise BadRequest(f"{name}: allowed is a time to come within 366 days, or permanent.", param=name)
    return end_ns


def request_of(*, lasting: str | None, **fields: str | bool | None) -> SetSwitch:
    """What was asked, from words of a person. Raises `BadRequest`."""
    scopes = list(dict.fromkeys(scope for each in SCOPES.values() for scope in each))
    for name, known in (("kind", list(SCOPES)), ("scope", scopes)):
        given = str(fields.get(name))
        if given not in known:
            raise BadRequest(f"{name}: there is no '{given[:100]}'; allowed are {', '.join(known)}.", param=name)
    try:
        return msgspec.convert({**fields, "for": lasting}, SetSwitch)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}.") from None
