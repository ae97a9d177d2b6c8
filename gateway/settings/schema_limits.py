"""The written form of limits and budgets: of teams and keys, of defaults for all of them, and general rules."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from gateway.limits.crowd import MOST
from gateway.quota import Measure
from gateway.settings.schema_base import (
    Budget,
    Count,
    Duration,
    ModelName,
    Name,
    Percent,
    Secret,
    Section,
    Switch,
    duration,
    is_text,
    secret,
    section,
    url_of,
)
from gateway.settings.schema_limit_values import (
    AMOUNTS,
    Each,
    Limit,
    Models,
    Names,
    Per,
    TagName,
    Values,
    Zone,
    check_store,
)

LONGEST_WAIT = 3600.0
"""Seconds a request may wait anywhere: no client is there longer, and each one holds its connection and its body."""


def check_budget_name(name: str) -> str:
    """What may follow `teams.NAME.budget.` without meaning a counter of a team called `NAME.budget`."""
    if "." in name or name == "budget" or name in OwnLimitsSection.model_fields:
        raise ValueError(
            "a budget cannot have this name; allowed are letters, digits, '_' and '-', and no name of a limit"
        )
    return name


class DowngradeSection(Section):
    """Serve a cheaper model when nothing is left."""

    downgrade: ModelName = Field(description="Name of the model to serve instead.")


WhenExhausted = Annotated[
    Annotated[Literal["block", "warn"], Tag("<text>")] | Annotated[DowngradeSection, Tag("<mapping>")],
    Discriminator(lambda value: "<text>" if is_text(value) else "<mapping>"),
]
OnStoreFailure = Literal["local", "closed", "open"]
OnOverrun = Literal["cut", "finish"]


class BudgetSection(Section):
    """What may be spent: an amount for every hour, day, week, month or year."""

    name: Annotated[Name, AfterValidator(check_budget_name)] | None = Field(
        None, description="Its name in answers, metrics and commands. One budget of a team or key may go without."
    )
    amount: Budget = Field(description="US dollars per period, such as 500 USD.")
    per: Literal["hour", "day", "week", "month", "year"] = Field(
        "month", description="The period: of the calendar (weeks begin on Monday), in `zone`; or see `rolling`."
    )
    models: Models | None = Field(
        None, description="Only what these models cost, as clients ask for them; wildcards as prefix*. Default: all."
    )
    rolling: Switch | None = Field(
        None,
        description="on: the last hour, 24 hours, 7, 30 or 365 days at any moment. Default: off, the calendar's "
        "(for an hour: on).",
    )
    zone: Zone | None = Field(
        None, description="Time zone of the calendar, such as Europe/Berlin. Default: the team's, or limits.zone."
    )
    soft: Percent | None = Field(None, gt=0, description="Share of the amount from which on to warn, such as 80%.")
    when_exhausted: WhenExhausted = Field("block", description="block, warn, or {downgrade: MODEL}.")
    on_overrun: OnOverrun = Field(
        "finish", description="A stream that outlives what is left: cut ends it with an error, finish lets it end."
    )
    on_store_failure: OnStoreFailure | None = Field(
        None, description="While the shared store is away; default: limits.on_store_failure."
    )


Budgets = Annotated[
    Annotated[BudgetSection, Tag("<mapping>")] | Annotated[list[BudgetSection], Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list) else "<mapping>"),
]


class OwnLimitsSection(Section):
    """How fast a team or a key may go. A second, minute or hour is any such stretch of time, a day is the calendar's.
    `off` takes away a default."""

    requests_per_second: Limit = Field(None, description="Requests in any second.")
    requests_per_minute: Limit = Field(None, description="Requests in any minute.")
    requests_per_hour: Limit = Field(None, description="Requests in any hour.")
    requests_per_day: Limit = Field(None, description="Requests in a calendar day.")
    tokens_per_second: Limit = Field(None, description="Tokens, input and output, in any second.")
    tokens_per_minute: Limit = Field(None, description="Tokens, input and output, in any minute.")
    tokens_per_hour: Limit = Field(None, description="Tokens, input and output, in any hour.")
    tokens_per_day: Limit = Field(None, description="Tokens, input and output, in a calendar day.")
    input_tokens_per_second: Limit = Field(None, description="Input tokens in any second.")
    input_tokens_per_minute: Limit = Field(None, description="Input tokens in any minute.")
    input_tokens_per_hour: Limit = Field(None, description="Input tokens in any hour.")
    input_tokens_per_day: Limit = Field(None, description="Input tokens in a calendar day.")
    output_tokens_per_second: Limit = Field(None, description="Output tokens in any second.")
    output_tokens_per_minute: Limit = Field(None, description="Output tokens in any minute.")
    output_tokens_per_hour: Limit = Field(None, description="Output tokens in any hour.")
    output_tokens_per_day: Limit = Field(None, description="Output tokens in a calendar day.")
    concurrent: Limit = Field(None, description="Requests open at one time, streams to their end.")
    streams: Limit = Field(None, description="Streams open at one time.")
    wait: Duration | None = Field(
        None,
        le=LONGEST_WAIT,
        description="How long a request may wait in line to be admitted. Default: limits.wait.longest.",
    )
    on_store_failure: OnStoreFailure | None = Field(
        None, description="While the shared store is away; default: limits.on_store_failure."
    )


class MatchSection(Section):
    """Which requests a rule counts: everything that is written must hold; of a list, any."""

    team: Names | None = Field(None, description="A team, or a list of them.")
    key: Names | None = Field(None, description="Id of a key, or a list of them.")
    model: Models | None = Field(None, description="A model as clients ask for it, or a list; wildcards as prefix*.")
    provider: Names | None = Field(None, description="A provider, or a list; counted at every attempt.")
    operation: Names | None = Field(
        None, description="An operation such as chat.completions, embeddings or messages, or a list."
    )
    tag: dict[TagName, Values] = Field({}, description="Tags by name, each with a value or a list of values.")


class LimitRuleSection(Section):
    """A rule: so much, of what, in which time, for which requests, counted apart by what. Exactly one of the amounts is
    written."""

    name: Name = Field(description="Its name in answers, metrics and commands, after `limits.rules.`; unique.")
    match: MatchSection = section(MatchSection, "Which requests it counts. Default: all.")
    each: Each = Field(
        [], description="Counted apart by team, key, model, provider, operation or tag:NAME, or a list of them."
    )
    requests: Count | None = Field(None, description="At most so many requests.")
    tokens: Count | None = Field(None, description="At most so many tokens, input and output, such as 200k or 2M.")
    input_tokens: Count | None = Field(None, description="At most so many input tokens.")
    output_tokens: Count | None = Field(None, description="At most so many output tokens.")
    usd: Budget | None = Field(None, description="At most so much money, such as 500 USD.")
    concurrent: Count | None = Field(None, description="At most so many requests open at one time.")
    streams: Count | None = Field(None, description="At most so many streams open at one time.")
    per: Per | None = Field(
        None,
        description="second, minute, hour, day, week, month, year, or a duration such as 90s. Not for concurrent and "
        "streams.",
    )
    rolling: Switch | None = Field(
        None,
        description="on: any stretch of that length (a month is 30 days, a year 365); off: the calendar's. Default: on "
        "for second, minute, hour and durations, off for the rest.",
    )
    zone: Zone | None = Field(None, description="Time zone of the calendar. Default: limits.zone.")
    burst: Count | None = Field(
        None, description="Requests only: evenly over the time instead, and at most so many at once."
    )
    soft: Percent | None = Field(None, gt=0, description="Share of the amount from which on to warn, such as 80%.")
    when_exhausted: WhenExhausted = Field("block", description="block, warn, or {downgrade: MODEL}.")
    wait: Duration | None = Field(
        None,
        le=LONGEST_WAIT,
        description="How long a request may wait in line to be admitted. Default: limits.wait.longest.",
    )
    on_overrun: OnOverrun = Field(
        "finish", description="A stream that outlives what is left: cut ends it with an error, finish lets it end."
    )
    on_store_failure: OnStoreFailure | None = Field(
        None, description="While the shared store is away; default: limits.on_store_failure."
    )

    @property
    def amounts(self) -> list[tuple[Measure, int]]:
        """What it counts with its amounts; one when it is right."""
        found: list[tuple[Measure, int | None]] = [(measure, getattr(self, measure)) for measure in AMOUNTS]
        return [(measure, amount) for measure, amount in found if amount is not None]


class OwnSection(Section):
    """What holds for each of them that has no value of its own."""

    limits: OwnLimitsSection | None = Field(None, description="How fast each may go.")
    budget: Budgets | None = Field(None, description="What each may spend: one budget, or a list.")


class DefaultsSection(Section):
    """Limits and budgets of teams and keys that have none of their own. Each team or key is counted by itself; what it
    has of the same kind replaces the default."""

    team: OwnSection = section(OwnSection, "For each team.")
    key: OwnSection = section(OwnSection, "For each key, those made with `tollway keys create` too.")


class WaitSection(Section):
    """Waiting in line to be admitted, instead of being refused at once."""

    longest: Duration = duration(
        "0", "How long a request may wait, where a rule says nothing else. 0: not at all.", le=LONGEST_WAIT
    )
    queue: int = Field(
        1000, ge=0, le=1_000_000, description="Requests that wait at one time, per worker; more are refused at once."
    )


class LimitsSection(Section):
    """What all may use together, what holds where nothing else is written, and where it is counted."""

    store: Annotated[
        Secret,
        url_of(
            "memory", "redis", "rediss", "redis+cluster", "redis+sentinel", example="memory:// and redis://HOST:PORT"
        ),
        AfterValidator(check_store),
    ] = secret(
        "memory://",
        "Where it is counted: memory:// (one worker), redis://, rediss://, redis+cluster:// or redis+sentinel://.",
    )
    on_store_failure: OnStoreFailure = Field(
        "local",
        description="While the shared store is away: local (each worker counts on its share of the limit), closed "
        "(refuse), open (let through).",
    )
    patience: Duration = duration("50ms", "How long a request waits for the shared store.", gt=0, le=5)
    lease: Percent | None = Field(
        None,
        gt=0,
        le=0.5,
        description="The share of a limit that a worker may take from the shared store in advance, for busy keys, so "
        "that their requests are admitted without a round trip. No limit is overrun for it. Default: none.",
    )
    reserve: Literal["upper", "p95", "p99"] = Field(
        "upper",
        description="What a request reserves for its answer: upper (max_tokens, or the model's maximum: never "
        "overrun), or what 95 or 99 of 100 answers of that team and model needed.",
    )
    counters: Count = Field(
        MOST,
        description="Counters that a rule may have in a worker, and for each team, for what clients choose (tags, "
        "models behind a wildcard). Values beyond count together on one more.",
    )
    zone: Zone = Field("UTC", description="Time zone of calendar days, weeks, months and years.")
    wait: WaitSection = section(WaitSection, "Waiting in line instead of a refusal.")
    defaults: DefaultsSection = section(DefaultsSection, "For teams and keys without their own.")
    rules: list[LimitRuleSection] = Field([], description="Rules by team, key, model, provider, operation and tag.")


class CapacitySection(Section):
    """What a provider takes at one time. When more is asked, teams wait in turn, by their weights."""

    concurrent: int = Field(
        ge=1, le=1_000_000, description="Requests under way at one time, of all workers together; each has its part."
    )
    queue: int = Field(1000, ge=0, le=1_000_000, description="Requests that may wait, of all workers together.")
    queue_per_team: int | None = Field(
        None, ge=0, le=1_000_000, description="Those of them that may be of one team. Default: no bound of its own."
    )
    wait: Duration = duration("10s", "How long a request may wait for its turn.", gt=0, le=LONGEST_WAIT)
