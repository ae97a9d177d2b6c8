"""A ledger that looks like a company's: teams, keys, models and tags over some weeks, with good and bad days."""

import hashlib
import random
from pathlib import Path

from gateway.facts import Attempt, FindingNote, Usage
from gateway.ledger.events import VERSION, EndRecord, GuardrailSummary, Stages
from gateway.ledger.posting import post, save_offset
from gateway.ledger.store import open_engine, writing
from tests.support.ledgers import ready_ledger

DAY_NS = 86_400 * 10**9
MODELS = {
    "gpt-4o": ("openai", 2500, 10_000),
    "gpt-4o-mini": ("openai", 150, 600),
    "claude-sonnet-4-5": ("anthropic", 3000, 15_000),
    "claude-haiku-4-5": ("anthropic", 1000, 5000),
    "llama-3.1-8b": ("local", 20, 60),
    "in-house-7b": ("local", None, None),
}
"""Provider, nano-dollars of an input and of an output token; None: no price."""
TEAMS = {"search": 10, "support": 7, "checkout": 4, "research": 3, "growth": 2, "legal": 1, "data-platform": 1}
FINDINGS = (
    ("standard.pii.1", "pii", "EMAIL_ADDRESS", "pii.email_address.1", "list", "enforce", "mask", 0.95, 40),
    ("standard.pii.1", "pii", "CREDIT_CARD", "pii.credit_card.1", "checksum", "enforce", "mask", 1.0, 25),
    ("standard.secrets.1", "secrets", "SECRET", "secret.github.personal-token", "pattern", "enforce", "block", 0.9, 8),
    ("standard.prompt_injection.1", "prompt_injection", "PROMPT_INJECTION", "injection.override", "heuristic", "shadow",
     "block", 0.93, 12),
)  # fmt: skip
"""Policy's rule, detector, type, pattern, evidence, mode, action, score, and how many values of it there are."""
OUTCOMES = (("ok", 200), ("client_left", 499), ("blocked", 400), ("upstream_status", 502), ("upstream_timeout", 504),
            ("refused", 429))  # fmt: skip


def seed(url: str, now_ns: int, count: int = 4000, days: int = 40, names: tuple[str, ...] = ()) -> list[EndRecord]:
    """Post `count` events of the `days` before `now_ns`. `names`: more teams, with a request of their own each."""
    chance = random.Random(7)
    records = [_record(chance, number, now_ns, days) for number in range(count)]
    for at, name in enumerate(names):
        records.append(_of(chance, f"named-{at}", now_ns - 60 * 10**9 - at, name, name, name, OUTCOMES[:1]))
    ready_ledger(url)
    engine = open_engine(url)
    try:
        with writing(engine) as connection:
            post(connection, records, now_ns)
            save_offset(connection, "seed.000001", 1, 0, now_ns)
    finally:
        engine.dispose()
    return records


def findings(number: int) -> tuple[FindingNote, ...]:
    """What the findings log holds of one exchange: of a third of them something, of few values much."""
    chance = random.Random(number)
    if chance.random() > 0.33:
        return ()
    rule, detector, kind, pattern, evidence, mode, action, score, values = chance.choices(FINDINGS, (9, 5, 1, 3))[0]
    value = min(chance.randrange(values), chance.randrange(values), chance.randrange(values))
    digest = hashlib.blake2b(f"{kind}{value}".encode(), digest_size=8).hexdigest()
    start = 12 * value
    place, role = chance.choice((("messages[].content", "user"), ("messages[].content[].text", "tool")))
    return (
        FindingNote("request", "standard", rule, detector, kind, pattern, place, role, start, start + 21, score,
                    evidence, mode, action, digest),
    )  # fmt: skip


def _record(chance: random.Random, number: int, now_ns: int, days: int) -> EndRecord:
    while True:
        received = now_ns - int(chance.random() * days * DAY_NS)
        weekday = (received // DAY_NS + 3) % 7
        hour = received // (3600 * 10**9) % 24
        busy = (
            (0.25 if weekday >= 5 else 1.0)
            * (1.0 if 7 <= hour <= 18 else 0.3)
            * (1 - 0.4 * (now_ns - received) / days / DAY_NS)
        )
        if chance.random() < busy:
            break
    team = chance.choices(list(TEAMS), list(TEAMS.values()))[0]
    model = chance.choices(list(MODELS), (5, 9, 4, 5, 3, 1))[0]
    return _of(chance, f"seed-{number:06d}", received, team, f"{team}-{chance.choice(('prod', 'prod', 'dev'))}", model)


def _of(
    chance: random.Random,
    event_id: str,
    received: int,
    team: str,
    key: str,
    model: str,
    outcomes: tuple[tuple[str, int], ...] = OUTCOMES,
) -> EndRecord:
    provider, price_in, price_out = MODELS.get(model, ("local", 20, 60))
    hour = received // (3600 * 10**9)
    bad = 12 if provider == "anthropic" and hour % 37 == 0 else 1
    weights = (100, 2, 1.2, 1.0 * bad, 0.4 * bad, 2)
    outcome, status = chance.choices(outcomes, weights[: len(outcomes)])[0]
    served = outcome in ("ok", "client_left")
    tokens_in, tokens_out = chance.randrange(40_000, 900_000), chance.randrange(2_000, 120_000)
    cached = tokens_in // 2 if chance.random() < 0.3 else 0
    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out, cache_read_tokens=cached) if served else None
    cost: int | None = 0
    if served:
        cost = None if price_in is None or price_out is None else (
            (tokens_in - cached) * price_in + cached * price_in // 4 + tokens_out * price_out
        )  # fmt: skip
    tags = {} if chance.random() < 0.2 else {"app": chance.choice(("web", "batch", "agent")), "env": "prod"}
    return EndRecord(
        v=VERSION,
        id=event_id,
        received_ns=received,
        first_byte_ns=received + 320_000_000 if served else 0,
        finished_ns=received + chance.randrange(600, 9000) * 1_000_000,
        outcome=outcome,
        status=status,
        team=team,
        key=key,
        tags=tags,
        operation="messages" if provider == "anthropic" else "chat.completions",
        asked=model,
        provider=provider if outcome not in ("blocked", "refused") else "",
        model=model,
        stream=chance.random() < 0.5,
        attempts=[]
        if outcome in ("blocked", "refused")
        else [Attempt(provider=provider, model=model, status=status, seconds=0.31)],
        usage=usage,
        usage_estimated=outcome == "client_left",
        cost_nanos=cost,
        unpriced=served and cost is None,
        price_version="2026-11-01",
        guardrails=(GuardrailSummary("request", "block", "block", "standard", ("SECRET",)),)
        if outcome == "blocked"
        else (),
        stages=Stages(admit=420, prepare=60, upstream=310_000, first=2_000, deliver=900_000),
        findings=findings(received % 1_000_003),
    )


def ledger_of(directory: Path) -> str:
    return f"sqlite:///{directory}/tollway.db"
