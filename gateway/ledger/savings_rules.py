"""The rules behind what could be saved: each is a pure function of one habit (`habits.py`), or of sums of 30 days.

A rule says nothing unless its evidence is there and the amount reaches `LEAST`. Savings are computed by pricing again
what was truly used, and scaled to a month by what the same key spent with the same model. Whether a smaller model's
answers are good enough, or a job may wait a day, is not in the ledger: such savings say "if".
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Literal

import msgspec

from gateway.ledger import habits as seen
from gateway.ledger.charges import Cards
from gateway.ledger.habits import Habit, Idle, Part
from gateway.ledger.overview import DAY_NS
from gateway.ledger.spend import iso, usd
from pricing.apportion import bill
from pricing.rates import Meter

Kind = Literal[
    "smaller_model", "batch", "urgent_tier", "uncached_prompts", "repeated_requests", "waste", "unpriced", "untagged",
    "idle_key",
]  # fmt: skip

LEAST = 10**9
"""Nano-dollars a month (one dollar) below which nothing is said."""
FEWEST = 50
"""Requests that a habit is."""
SMALLER = 2
"""A sibling is offered when it costs at most one part in so many of what was paid."""
SHORT_PROMPT = 4000
"""Mean input tokens up to which a request with a short answer counts as small."""
BATCH_HOURS = 6
CONCENTRATED = 80
"""Per cent of a key's requests that come in its `BATCH_HOURS` busiest hours, where it looks like a job."""
STREAMED = 5
"""Per cent of streamed requests up to which nobody seems to be waiting."""
SAME = 5
"""Per cent of requests in quick succession that must have as many tokens as the one before."""
BEYOND_CHANCE = 3
"""How many times as often as by chance they must."""
CACHE_MINUTES = 5
"""How long providers keep a prompt's beginning."""
WASTE = 1
"""Per cent of spend that must have come to nothing in one way."""
UNTAGGED = 10
"""Per cent of spend without tags."""


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """One saving. Amounts are nano-dollars a month; `monthly` None: nothing is saved, or how much is not known."""

    kind: Kind
    title: str
    monthly: int | None
    at_stake: int
    """What is spent on what it is about."""
    why: str
    evidence: dict[str, str]
    """Figures by what they are."""
    how: str
    """YAML for the configuration, or words."""
    team: str = ""
    key: str = ""
    model: str = ""
    samples: tuple[str, ...] = ()
    """Ids of exchanges that show it."""


def smaller_model(habit: Habit, every: Iterable[Habit], cards: Cards, at_ns: int) -> Saving | None:
    """Short answers to short prompts, and a model of the same provider that this ledger has seen and that costs half or
    less: of those the dearest, which is the nearest in class."""
    small = habit.short
    if small.usage.requests < FEWEST or small.usage.input_tokens > SHORT_PROMPT * small.usage.requests:
        return None
    siblings = {each.model for each in every if each.provider == habit.provider and each.short.usage.requests}
    offers: list[tuple[int, str]] = []
    for model in sorted(siblings - {habit.model}):
        cost = bill(cards(habit.provider, model), small.usage, None, at_ns)
        if cost is not None and 0 < cost * SMALLER <= small.nanos:
            offers.append((cost, model))
    if not offers:
        return None
    cost, model = max(offers)
    return _saving(
        habit,
        "smaller_model",
        f"{model} may do for short answers of {habit.model}",
        small,
        cost,
        f"If {model} answers these well enough: try it on a part of them first, with weights, and compare.",
        {"answers of at most 200 tokens": f"{small.usage.requests:,}", **_tokens(small)},
        f"models:\n  {habit.model}-short:            # the name that these calls ask for\n    targets:\n"
        f"      - {{provider: {habit.provider}, model: {model}, weight: 1}}\n"
        f"      - {{provider: {habit.provider}, model: {habit.model}, weight: 9}}",
    )


def batch(habit: Habit, hours: tuple[int, int, list[int]], cards: Cards, at_ns: int) -> Saving | None:
    """Not streamed, and most of it in a few hours of the day: a job that a provider's batch price may be had for."""
    part, (all_, busy, which) = habit.unhurried, hours
    if part.usage.requests < FEWEST or all_ < FEWEST or busy * 100 < all_ * CONCENTRATED:
        return None
    cost = bill(cards(habit.provider, habit.model), part.usage, "batch", at_ns)
    if cost is None or cost >= part.nanos:
        return None
    return _saving(
        habit,
        "batch",
        f"{habit.key} could send {habit.model} as a batch",
        part,
        cost,
        "Nothing of it is streamed, and it comes in a few hours of the day. If it may wait for up to a day, the "
        "provider's batch API does it at the batch price.",
        {
            "requests, not streamed": f"{part.usage.requests:,}",
            f"in {BATCH_HOURS} hours of the day": f"{busy * 100 // all_} % ({_hours(which)} UTC)",
            **_tokens(part),
        },
        "Send the job's requests as one file to /v1/files and /v1/batches (they are passed through to the provider), "
        "with the same key.",
    )


def urgent_tier(habit: Habit, cards: Cards, at_ns: int) -> Saving | None:
    """A priority tier for requests that nobody watches."""
    part = habit.urgent
    cost = bill(cards(habit.provider, habit.model), part.usage, None, at_ns)
    if part.usage.requests < FEWEST or cost is None or cost >= part.nanos:
        return None
    return _saving(
        habit,
        "urgent_tier",
        f"{habit.key} pays for priority without streaming",
        part,
        cost,
        "These requests were served in a priority tier, and none was streamed. If nobody waits for them, the standard "
        "tier does.",
        {"requests in a priority tier": f"{part.usage.requests:,}", **_tokens(part)},
        "Leave `service_tier` out of these requests (or send `default`).",
    )


def uncached(habit: Habit, cards: Cards, since_ns: int, at_ns: int) -> Saving | None:
    """Long prompts of which nothing is read from a cache. What they share is not known; it can be no more than the
    shortest of them, and that is what the saving is computed for."""
    part, card = habit.long, cards(habit.provider, habit.model)
    rates: Mapping[Meter, Fraction] = {} if card is None else card.leaves(None, at_ns, habit.least_input)
    if part.usage.requests < FEWEST or "cache_read" not in rates or rates["cache_read"] >= rates["input"]:
        return None
    mean = part.usage.input_tokens // part.usage.requests
    if habit.least_input * 2 < mean:
        return None
    spells = min(part.usage.requests, -(-(at_ns - since_ns) // (CACHE_MINUTES * 60 * 10**9)))
    write = max(rates.get("cache_write_5m", rates["input"]) - rates["input"], 0)
    saved = habit.least_input * (
        (part.usage.requests - spells) * (rates["input"] - rates["cache_read"]) - spells * write
    )
    return _saving(
        habit,
        "uncached_prompts",
        f"Prompts of {habit.key} to {habit.model} are never cached",
        part,
        max(part.nanos - int(saved * 10**9), 0),
        "All are long, and alike in length. At most so much is saved, if they begin alike (instructions, tools, "
        "examples) up to the shortest of them: put what changes last, and let the provider cache the rest.",
        {
            "requests without cached tokens": f"{part.usage.requests:,}",
            "input tokens, mean": f"{mean:,}",
            "input tokens, fewest": f"{habit.least_input:,}",
        },
        "In the request: Anthropic wants `cache_control: {type: ephemeral}` at the end of the common part; OpenAI "
        "caches by itself what begins alike.",
    )


def repeated(habit: Habit) -> Saving | None:
    """The same number of input tokens again within seconds, much more often than sizes would meet by chance."""
    if habit.pairs < FEWEST or habit.same * 100 < habit.pairs * SAME:
        return None
    if habit.same < BEYOND_CHANCE * habit.by_chance * habit.pairs:
        return None
    return _saving(
        habit,
        "repeated_requests",
        f"{habit.key} seems to ask {habit.model} the same again",
        Part(habit.short.usage, habit.same_nanos),
        0,
        "Requests follow within ten seconds on one with exactly as many input tokens, more often than chance would "
        "have it. The ledger holds no text, so that whether they are the same must be looked at in the application.",
        {
            "with the size of the one before": f"{habit.same:,} of {habit.pairs:,}",
            "by chance": f"{habit.by_chance * 100:.1f} %",
        },
        "Retry with back-off and keep the answer: a client's own retries come on top of the gateway's.",
    )


class Sums(msgspec.Struct, frozen=True):
    """Sums of the last 30 days, made into as many where the ledger is younger; money a month in nano-dollars."""

    nanos: int
    untagged: int
    wasted: Mapping[str, tuple[int, int]]
    """Requests (as counted) and money by outcome."""
    unpriced: Mapping[str, tuple[int, int]]
    """Requests and tokens (as counted) by model."""


def totals(sums: Sums) -> list[Saving]:
    """What is said of the whole: waste by outcome, models without a price, spend without tags."""
    found: list[Saving] = []
    for name, (requests, nanos) in sums.wasted.items():
        if nanos >= LEAST and nanos * 100 >= sums.nanos * WASTE:
            found.append(
                Saving(
                    kind="waste",
                    title=f"{name.replace('_', ' ')}: paid for nothing",
                    monthly=nanos,
                    at_stake=nanos,
                    why=f"Requests that ended as {name} were paid for. At most this is saved when none does.",
                    evidence={"requests in 30 days": f"{requests:,}", "of spend": f"{nanos * 100 / sums.nanos:.1f} %"},
                    how=_AGAINST.get(name, "Look at the exchanges, by provider and key."),
                )
            )
    for model, (requests, tokens) in sums.unpriced.items():
        found.append(
            Saving(
                kind="unpriced",
                title=f"{model or '(none)'} has no price",
                monthly=None,
                at_stake=0,
                why="What it costs is in no sum and counts against no budget.",
                evidence={"requests in 30 days": f"{requests:,}", "tokens": f"{tokens:,}"},
                how=_PRICE.format(model=model or "NAME"),
                model=model,
            )
        )
    if sums.untagged >= LEAST and sums.untagged * 100 >= sums.nanos * UNTAGGED:
        found.append(
            Saving(
                kind="untagged",
                title="Spend without tags",
                monthly=None,
                at_stake=sums.untagged,
                why="It can be shown by team and key, and by no application or environment.",
                evidence={"of spend": f"{sums.untagged * 100 / sums.nanos:.0f} %"},
                how="teams:\n  NAME:\n    tags: {app: …, env: …}     # or of each key, or the header x-tollway-tags",
            )
        )
    return found


def idle(keys: Iterable[Idle]) -> list[Saving]:
    """Keys that work and nobody uses: no money, but a risk."""
    return [
        Saving(
            kind="idle_key",
            title=f"{each.key} was not used for {seen.MONTH} days",
            monthly=None,
            at_stake=0,
            why="A key that nobody uses can only be stolen.",
            evidence={"made": iso(each.created_ns // DAY_NS * DAY_NS)[:10]},
            how=f"tollway keys revoke {each.key}",
            team=each.team,
            key=each.key,
        )
        for each in keys
    ]


_PRICE = """prices:
  models:
    - model: {model}
      usd_per_million_tokens: {{input: …, output: …}}"""
_AGAINST = {
    "client_left": "Give clients a longer timeout than the model takes, stream to them, and set max_tokens.",
    "blocked": "guardrails:\n  POLICY:\n    - {detect: …, on: [request]}     # judged before anything is paid for",
    "cut": "Raise the limit, or set max_tokens so that answers end within it.",
    "interrupted": "Booked at what was reserved: see why gateway processes die, and set max_tokens.",
    "upstream_timeout": "providers:\n  NAME:\n    timeouts: {first_event: …, idle: …, total: …}",
}


def _saving(
    habit: Habit, kind: Kind, title: str, part: Part, cost: int, why: str, evidence: dict[str, str], how: str
) -> Saving | None:
    """A saving that a part of a habit would cost `cost`; None where that saves less than `LEAST` a month."""
    scale = habit.month_nanos, max(habit.nanos, 1)
    saving = (part.nanos - cost) * scale[0] // scale[1]
    if saving < LEAST:
        return None
    paid = part.nanos * scale[0] // scale[1]
    told = {
        **evidence,
        "paid for them": f"${usd(part.nanos)[:-5]}",
        "of all of this key and model": f"${usd(habit.nanos)[:-5]}",
    }
    return Saving(
        kind=kind, title=title, monthly=saving, at_stake=paid, why=why, evidence=told, how=how, team=habit.team,
        key=habit.key, model=habit.model,
    )  # fmt: skip


def _hours(which: list[int]) -> str:
    return ", ".join(f"{hour:02d}" for hour in which)


def _tokens(part: Part) -> dict[str, str]:
    count = max(part.usage.requests, 1)
    return {
        "input tokens, mean": f"{part.usage.input_tokens // count:,}",
        "output tokens, mean": f"{part.usage.output_tokens // count:,}",
    }
