"""Raising, resetting and showing budgets: what the admin API and `tollway budgets` have in common.

Everything here talks to the ledger database and blocks. Needs no web framework.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from gateway.admin.access import Conflict
from gateway.admin.budget_shapes import AdjustmentView, Amount, BudgetState, BudgetView
from gateway.admin.reasons import checked_reason
from gateway.admin.shapes import iso, iso_or_none
from gateway.budgets import amount_of, forecast, iso_in, running, unit_of, used_of, window_of
from gateway.errors import BadRequest, LedgerError, NotFound
from gateway.ledger.adjustments import AdjustmentStore, StoredAdjustment
from gateway.ledger.keystore import KeyStore
from gateway.ledger.spend import usd
from gateway.limits.program import LimitProgram
from gateway.quota import MOST, Adjustment, Bound, Level, Rolling, Rule
from gateway.seams import Clock
from gateway.settings.units import parse_count, parse_duration, parse_moment, parse_money

MAX_REASON = 500
_LONGEST = 366 * 86400
_MOST_NAMES = 12


class Budgeting:
    """The budgets of one configuration and ledger.

    Methods raise `BadRequest` for what was asked wrongly, `NotFound` for a budget or adjustment nobody has, `Conflict`
    for what cannot be done with it, and `LedgerError` when the database is away.
    """

    def __init__(
        self, engine: Engine, program: LimitProgram | None, clock: Clock, actor: str, journal: Path | None = None
    ) -> None:
        """`program` as written: adjustments are read from the ledger. `journal`: its directory, if it is on this
        machine."""
        self._engine = engine
        self._store = AdjustmentStore(engine, clock)
        self._written = program or LimitProgram(())
        self._clock = clock
        self._actor = actor
        self._journal = journal

    def keys(self) -> dict[str, str]:
        """Teams of the ledger's keys that were not revoked, by id."""
        return {key.id: key.team for key in KeyStore(self._engine, self._clock).list() if key.revoked_ns is None}

    def bounds(self, team: str | None = None, everything: bool = False) -> list[Bound]:
        """Counters with the adjustments that hold now: budgets in US dollars, or with `everything` all limits."""
        known = self._adjusted().known(team, self.keys())
        return [bound for bound in known if everything or bound.rule.budget]

    def used(self, bounds: Sequence[Bound]) -> list[int | None]:
        """What the ledger says was used, with what this machine's journal has beyond it."""
        return used_of(self._engine, bounds, self._clock.now_ns(), self._journal)

    def views(self, bounds: Sequence[Bound], levels: Sequence[Level | int | None]) -> list[BudgetView]:
        """Bounds as they are shown: with the levels of a store, or with what the ledger says was used."""
        written = {bound.key: bound.rule.amount for bound in self._written.known(None, self.keys())}
        now_ns = self._clock.now_ns()
        return [
            view(bound, bound.rule.amount - written.get(bound.key, bound.rule.amount), level, now_ns)
            for bound, level in zip(bounds, levels, strict=True)
        ]

    def raise_limit(
        self, name: str, amount: str, until: str | None, lasting: str | None, reason: str
    ) -> AdjustmentView:
        """Allow more for a while."""
        bound = self.find(name, listed=False)
        extra = _parse_amount(amount, bound)
        made = self._store.add(
            bound_key=bound.key,
            kind="raise",
            extra=self._countable(bound, extra),
            until_ns=_until_ns(until, lasting, self._clock.now_ns()),
            reason=checked_reason(reason, MAX_REASON),
            actor=self._actor,
            limit=bound.rule.amount,
            money=bound.rule.budget,
        )
        return adjustment_view(made, bound, made.from_ns)

    def reset(self, name: str, reason: str, used: int | None = None) -> AdjustmentView:
        """Allow anew what the calendar window's limit allows: as much is added as was used so far, until it ends.

        `used`: what the store that decides says; None: what the ledger says."""
        bound, reason = self.find(name), checked_reason(reason, MAX_REASON)
        now_ns = self._clock.now_ns()
        window = running(bound, now_ns)
        if window is None:
            what = "rolls" if isinstance(bound.rule.window, Rolling) else "has no window that ends"
            raise Conflict(
                f"'{bound.key}' {what}, so that there is no moment until which a reset could hold. Raise it for a "
                "while instead.",
                code="cannot_reset",
            )
        if used is None:
            used = self.used([bound])[0]
        if used is None:
            raise Conflict(f"The ledger cannot say what '{bound.key}' has used.", code="cannot_reset")
        before = sum(live.extra for live in self._store.live() if live.kind == "reset" and live.bound_key == bound.key)
        if used <= before:
            since = "its last reset" if before else "its window began"
            raise Conflict(f"'{bound.key}' has used nothing since {since}.", code="nothing_to_reset")
        made = self._store.add(
            bound_key=bound.key,
            kind="reset",
            extra=self._countable(bound, used - before),
            until_ns=window.end_ns,
            reason=reason,
            actor=self._actor,
            limit=bound.rule.amount,
            money=bound.rule.budget,
        )
        return adjustment_view(made, bound, made.from_ns)

    def end(self, adjustment_id: str, reason: str) -> AdjustmentView:
        """Take an adjustment back now."""
        found = {each.id: each for each in self._store.list()}.get(adjustment_id)
        if found is None:
            raise NotFound(f"There is no adjustment '{adjustment_id[:100]}'.", code="adjustment_not_found")
        try:
            ended = self._store.end(adjustment_id, reason=checked_reason(reason, MAX_REASON), actor=self._actor)
        except LedgerError as error:
            if "does not hold" not in str(error):
                raise
            raise Conflict(
                f"The adjustment '{adjustment_id}' does not hold any more.", code="adjustment_over"
            ) from None
        known = {bound.key: bound for bound in self._written.known(None, self.keys())}
        return adjustment_view(ended, known.get(ended.bound_key) or self._rule_of(ended), self._clock.now_ns())

    def adjustments(self, everything: bool = False) -> list[AdjustmentView]:
        """Those that hold, or with `everything` all that ever were."""
        now_ns = self._clock.now_ns()
        found = self._store.list() if everything else self._store.live()
        known = {bound.key: bound for bound in self._written.known(None, self.keys())}
        return [adjustment_view(each, known.get(each.bound_key) or self._rule_of(each), now_ns) for each in found]

    def find(self, name: str, listed: bool = True) -> Bound:
        """The counter of this name, or of a rule that has but one. `listed`: only one that can be listed; else also one
        that is only known from traffic, by its full name."""
        known = self._adjusted().known(None, self.keys())
        named = [bound for bound in known if bound.key == name] or [bound for bound in known if bound.rule.id == name]
        if len(named) == 1:
            return named[0]
        if named:
            names = ", ".join(bound.key for bound in named[:_MOST_NAMES])
            more = " …" if len(named) > _MOST_NAMES else ""
            raise BadRequest(f"'{name}' is counted apart; say which of: {names}{more}.", param="rule")
        rule = self._apart(name)
        if rule is not None and not listed:
            return self._unlisted(rule, name)
        if rule is not None:
            raise Conflict(f"'{name[:100]}' can be raised, but not reset: only traffic knows it.", code="cannot_reset")
        apart = next((each for each in self._written.rules if each.id == name and each.each), None)
        if apart is not None:
            values = ":".join(each.removeprefix("tag:").upper() for each in apart.each)
            raise BadRequest(
                f"'{name}' is counted apart by {', '.join(apart.each)}; say which, as {name}:{values}.", param="rule"
            )
        names = [name for bound in known for name in (bound.key, bound.rule.id)]
        close = difflib.get_close_matches(name[:200], sorted(set(names)), 3, 0.5)
        if close:
            hint = f" Did you mean {' or '.join(repr(each) for each in close)}?"
        elif known:
            more = ", …" if len(known) > _MOST_NAMES else ""
            hint = f" There are {', '.join(bound.key for bound in known[:_MOST_NAMES])}{more}."
        else:
            hint = " The configuration has no limits."
        raise NotFound(f"There is no budget or limit '{name[:100]}'.{hint}", code="budget_not_found")

    def _unlisted(self, rule: Rule, name: str) -> Bound:
        extra = sum(live.extra for live in self._store.live() if live.bound_key == name)
        return Bound(_with_extra(rule, extra), name)

    def _rule_of(self, stored: StoredAdjustment) -> Bound | None:
        """The bound of a counter that only traffic knows; None: its rule is not configured any more."""
        rule = self._apart(stored.bound_key)
        return None if rule is None else Bound(rule, stored.bound_key)

    def _apart(self, name: str) -> Rule | None:
        """The rule that is counted apart and has a counter of this name."""
        return next((rule for rule in self._written.rules if rule.each and name.startswith(f"{rule.id}:")), None)

    def _adjusted(self) -> LimitProgram:
        live = [Adjustment(a.bound_key, a.extra, a.from_ns, a.until_ns) for a in self._store.live()]
        return self._written.adjusted(live, self._clock.now_ns())

    def _countable(self, bound: Bound, extra: int) -> int:
        if bound.rule.amount + extra > MOST:
            raise BadRequest(
                "amount: together with the limit this is more than can be counted exactly.", param="amount"
            )
        return extra


def view(bound: Bound, extra: int, level: Level | int | None, now_ns: int) -> BudgetView:
    """A counter as it is shown."""
    rule, window = bound.rule, running(bound, now_ns)
    used = level.used if isinstance(level, Level) else level
    reserved = level.reserved if isinstance(level, Level) else None
    taken = None if used is None else used + (reserved or 0)

    def shown(amount: int | None) -> Amount | None:
        return amount_of(bound, amount)

    return BudgetView(
        counter=bound.key,
        rule=rule.id,
        team=bound.scope.team[0] if len(bound.scope.team) == 1 else None,
        measure=rule.measure,
        unit=unit_of(bound),
        window=window_of(bound),
        limit=shown(rule.amount) or 0,
        extra=shown(extra) or 0,
        used=shown(used),
        reserved=shown(reserved),
        remaining=None if taken is None else shown(max(rule.amount - taken, 0)),
        soft=shown(rule.soft),
        forecast=None if used is None or window is None else shown(forecast(used, window, now_ns)),
        resets_at=None if window is None else iso_in(bound, window.end_ns),
        state=_state(rule, taken),
        when_exhausted=f"downgrade: {rule.downgrade_to}" if rule.when_exhausted == "downgrade" else rule.when_exhausted,
    )


def adjustment_view(stored: StoredAdjustment, bound: Bound | None, now_ns: int) -> AdjustmentView:
    """An adjustment as it is shown; of a rule that is gone, its extra is the plain number."""
    over = "ended" if stored.ended_ns is not None else "over" if stored.until_ns <= now_ns else "holds"
    money = bound is not None and bound.rule.budget
    return AdjustmentView(
        id=stored.id,
        counter=stored.bound_key,
        kind=stored.kind,
        extra=usd(stored.extra) if money else stored.extra,
        since=iso(stored.from_ns),
        until=iso(stored.until_ns) if bound is None else iso_in(bound, stored.until_ns),
        ended_at=iso_or_none(stored.ended_ns),
        state=over,
        reason=stored.reason,
        made_by=stored.made_by,
    )


def _with_extra(rule: Rule, extra: int) -> Rule:
    return msgspec.structs.replace(rule, amount=rule.amount + extra)


def _state(rule: Rule, taken: int | None) -> BudgetState:
    if taken is None:
        return "unknown"
    if taken >= rule.amount:
        return "exhausted"
    return "soft" if rule.soft is not None and taken >= rule.soft else "ok"


def _parse_amount(text: str, bound: Bound) -> int:
    plain = text.strip().removeprefix("+")
    try:
        amount = parse_money(plain) if bound.rule.budget else parse_count(plain)
    except ValueError as error:
        raise BadRequest(f"amount: {error}.", param="amount") from None
    if amount <= 0:
        raise BadRequest("amount: this adds nothing; allowed is more than 0, such as 50 USD.", param="amount")
    return amount


def _until_ns(until: str | None, lasting: str | None, now_ns: int) -> int:
    if (until is None) == (lasting is None):
        raise BadRequest("Say until when: either until (a UTC date or time) or for (such as 12h or 7d).", param="until")
    name = "until" if until is not None else "for"
    try:
        end_ns = parse_moment(until) if until is not None else now_ns + round(parse_duration(lasting or "") * 1e9)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}.", param=name) from None
    if end_ns <= now_ns:
        raise BadRequest(f"{name}: this is not in the future; allowed is a time to come within 366 days.", param=name)
    if end_ns > now_ns + _LONGEST * 10**9:
        raise BadRequest(f"{name}: a raise is for a while, at most 366 days; change the limit instead.", param=name)
    return end_ns
