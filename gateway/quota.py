"""The nouns of limits: what a rule says, what a request charges, what a store answers.

A `Rule` is what is written (`at most 600 requests per minute for team search`). Applied to one request it is a `Bound`:
the rule and the counter it counts on. A request carries a `Charge`; a store takes it against all its bounds at once or
not at all.

Amounts are integers: requests, tokens, nano-dollars, or things under way.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

Measure = Literal["requests", "input_tokens", "output_tokens", "tokens", "usd", "concurrent", "streams"]
"""What is counted. `tokens` is input and output together; `usd` counts nano-dollars; `concurrent` and `streams` count
what is under way now."""

MEASURES: tuple[Measure, ...] = (
    "requests",
    "input_tokens",
    "output_tokens",
    "tokens",
    "usd",
    "concurrent",
    "streams",
)

Unit = Literal["second", "minute", "hour", "day", "week", "month", "year"]
_DAY = 86_400
SECONDS: Mapping[str, int] = MappingProxyType({
    "second": 1, "minute": 60, "hour": 3600, "day": _DAY, "week": 7 * _DAY, "month": 30 * _DAY, "year": 365 * _DAY,
})  # fmt: skip
"""By unit, the length of a rolling window: a rolling month is 30 days, a rolling year 365."""
MOST_SECONDS: Mapping[str, int] = MappingProxyType({**SECONDS, "month": 31 * _DAY, "year": 366 * _DAY})
"""The longest that the calendar has."""

StoreFailure = Literal["local", "closed", "open"]
"""What a rule does while the shared store is away: count on this worker's share alone, refuse, or let through."""

BUCKETS = 240
"""A rolling window is counted in so many equal parts; a charge leaves it at most one part late, never early."""


class Rolling(msgspec.Struct, frozen=True):
    """The last `seconds` seconds, at any moment. Never more than the rule's amount in any such stretch of time."""

    seconds: int


class Calendar(msgspec.Struct, frozen=True):
    """The running minute, hour, day, week (from Monday), month or year of a time zone (IANA name)."""

    unit: Unit
    zone: str = "UTC"


class Smooth(msgspec.Struct, frozen=True):
    """A rate (GCRA): `amount` evenly over `seconds`, and at most `burst` at once. In any stretch of t seconds at most
    burst + amount * t / seconds are admitted. For `requests` only: what is charged is never given back."""

    seconds: int
    burst: int


Window = Rolling | Calendar | Smooth


MOST = 2**53 - 1
"""The largest amount of a rule: stores count in numbers that are exact up to here (9,007,199 USD in nano-dollars)."""


class Scope(msgspec.Struct, frozen=True):
    """Whose use is counted. Every field that is not empty must hold; within one field any of its values."""

    team: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    """Names as clients ask for them (not the provider's own); `prefix*` covers what begins so."""
    provider: tuple[str, ...] = ()
    operation: tuple[str, ...] = ()
    tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names, each with the values it may have; "" is what a request without the tag has."""


EVERYTHING = Scope()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit or budget, as compiled."""

    id: str
    """Its name in answers, metrics and commands, such as `teams.search.budget`; unique in a configuration."""
    measure: Measure
    amount: int
    window: Window | None
    """None for `concurrent` and `streams`."""
    soft: int | None = None
    """From so much on, it is said that the end is near: once per window."""
    when_exhausted: Literal["block", "warn", "downgrade"] = "block"
    """`warn` counts on and lets through; `downgrade` serves `downgrade_to` instead, and counts on."""
    downgrade_to: str = ""
    on_store_failure: StoreFailure = "local"
    wait: float = 0.0
    """Seconds a request may wait to be admitted before it is refused."""
    on_overrun: Literal["cut", "finish"] = "finish"
    """A stream that has used up its reservation, with nothing left to extend it by: end it, or let it finish."""
    scope: Scope = EVERYTHING
    """Whose use it counts."""
    each: tuple[str, ...] = ()
    """What it is counted apart by: team, key, model, provider, operation, `tag:NAME`. Empty: one counter for all."""

    @property
    def budget(self) -> bool:
        """It is about money: refused with 402, not 429."""
        return self.measure == "usd"


class Bound(msgspec.Struct, frozen=True, cache_hash=True):
    """A rule and the counter a request counts on."""

    rule: Rule
    key: str
    """Names the counter: the rule's id, and what it is counted apart by, such as `limits.rules.per-key:search-dev`."""
    group: str = "g"
    """Counters that live together (one slot of a Redis Cluster): `t:TEAM`, or `g` for those that span teams."""
    lenient: bool = False
    """Count, but do not refuse: for a request that was downgraded because of this very rule."""
    scope: Scope = EVERYTHING
    """Whose use this counter counts: the rule's scope, narrowed to what it is counted apart by."""


class Adjustment(msgspec.Struct, frozen=True):
    """A temporary raise of one counter: `extra` is added to its amount from `from_ns` on and before `until_ns` (wall
    clock, nanoseconds since the epoch)."""

    bound_key: str
    extra: int
    from_ns: int
    until_ns: int

    def valid(self, now_ns: int) -> bool:
        return self.from_ns <= now_ns < self.until_ns


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """How much a provider takes at one time, over all workers of this gateway, and who may wait for it."""

    concurrent: int
    """Requests under way, streams to their end."""
    queue: int = 1000
    """Requests that may wait for a place; 0: none waits."""
    queue_per_team: int | None = None
    """Those of them that may be of one team and priority; None: all, but a full line makes room for a team that has
    less of it than its weight says."""
    wait: float = 10.0
    """Seconds a request waits for a place at most."""

    def part(self, workers: int) -> "Capacity":
        """One worker's part: rounded down, so that all together never pass the whole; but at least one place each."""
        if workers <= 1:
            return self
        team = self.queue_per_team
        return Capacity(
            concurrent=max(1, self.concurrent // workers),
            queue=-(-self.queue // workers),
            queue_per_team=None if team is None else -(-team // workers),
            wait=self.wait,
        )


class Charge(msgspec.Struct, frozen=True, gc=False):
    """What one request takes, or took."""

    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0
    requests: int = 1
    stream: bool = False

    def of(self, measure: Measure) -> int:
        """What it takes of one measure."""
        match measure:
            case "requests":
                return self.requests
            case "input_tokens":
                return self.input_tokens
            case "output_tokens":
                return self.output_tokens
            case "tokens":
                return self.input_tokens + self.output_tokens
            case "usd":
                return self.nanos
            case "concurrent":
                return 1
            case "streams":
                return 1 if self.stream else 0


NOTHING = Charge(requests=0)
"""What a hold is settled with when nobody served the request: all is given back, but for `Smooth` rates."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where a bound stands, for `x-ratelimit-*` headers."""

    bound: Bound
    limit: int
    remaining: int
    """What may still be taken now; never below 0."""
    reset: float
    """Seconds until all of it is there again, if nothing more is taken."""


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """The charge was taken against every bound."""

    requests: Standing | None = None
    """The tightest of the rules that count requests: the one with the smallest share left."""
    tokens: Standing | None = None
    """The tightest of those that count tokens of any kind."""
    soft: tuple[Bound, ...] = ()
    """Bounds that are past their soft threshold now."""
    crossed: tuple[Bound, ...] = ()
    """Those of them that were not before this charge: told once per window."""
    over: tuple[Bound, ...] = ()
    """Exhausted bounds that let it through (`warn`, lenient)."""
    degraded: bool = False
    """The shared store is away; this was decided on this worker's share, or not at all."""


class Refused(msgspec.Struct, frozen=True):
    """The charge was taken against none."""

    bound: Bound
    """The bound that refuses; of several, the one that takes longest to let it through."""
    retry_after: float | None
    """Seconds until it might be admitted, if nothing else happens; None: never, it asks for more than the whole."""
    needed: int
    available: int
    requests: Standing | None = None
    tokens: Standing | None = None
    store_away: bool = False
    """Refused because the shared store is away and the rule is `closed`."""


Decision = Admitted | Refused


class Level(msgspec.Struct, frozen=True):
    """What a counter holds, for people and reports."""

    used: int
    """Settled."""
    reserved: int
    """Held by requests under way."""
    resets_at_ns: int | None
    """End of the calendar window, wall clock; None: rolling."""
