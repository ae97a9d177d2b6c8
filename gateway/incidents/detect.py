"""The detectors: what of a gateway's recent figures is an incident. Pure.

Each has two thresholds, so that an incident does not come and go: `firing` opens one, `holding` keeps an open one.
`quiet` says that nothing can be known, such as of a provider nobody asks any more.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import msgspec

from gateway.incidents.sample import Change, History
from gateway.settings.incident_options import IncidentOptions, Severity

Level = Literal["firing", "holding", "quiet"]
Signal = Literal[
    "availability",
    "provider",
    "provider_limited",
    "credential",
    "guardrail_blocks",
    "guardrail_shadow",
    "guardrail_demoted",
    "spend",
    "ledger_lag",
    "loader",
    "journal",
    "limit_store",
]
Detail = dict[str, str | int | float | list[str]]

BURN: tuple[tuple[float, float, float, Severity], ...] = (
    (300.0, 3600.0, 14.4, "page"),
    (1800.0, 21600.0, 6.0, "ticket"),
)
"""(short window, long window, burn rate, severity); Google's SRE Workbook, chapter 5, multiwindow multi-burn-rate."""
_NOBODY = frozenset({"none", "other"})
PROVIDER_WINDOW = 60.0
OUTAGE_WINDOW, OUTAGE_SHARE = 15.0, 0.9
PROVIDER_SIGNALS: tuple[tuple[Signal, tuple[str, ...], str, Severity], ...] = (
    ("provider", ("error", "5xx"), "fails", "page"),
    ("provider_limited", ("429",), "refuses for its rate limit", "ticket"),
)
"""(signal, status classes, what to say, severity)."""
GUARDRAIL_WINDOW, GUARDRAIL_BASE, GUARDRAIL_LEAST = 300.0, 3600.0, 600.0
LEAST_HITS = 20
"""Of a guardrail rule in its window."""
DWELL = 30.0
"""Seconds a gauge must be wrong: a start or a reconnection is no incident."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector says now of one subject."""

    signal: Signal
    subject: str
    severity: Severity
    level: Level
    title: str = ""
    detail: Detail = {}
    since: float | None = None
    """Monotonic second at which it began; None: now."""
    after: float = 0.0
    """Seconds it must go on before it is an incident."""


def findings(history: History, options: IncidentOptions) -> list[Finding]:
    """Everything the metrics tell; spend is judged by `spend.py`."""
    return [
        *availability(history, options),
        *providers(history, options),
        *guardrails(history, options),
        *demotions(history),
        *gauges(history, options),
    ]


def failed(change: Change) -> Counter[str]:
    """Requests that were not answered, by team; and the number of all that were to be under "".

    Not answered is what a provider failed or we did (`tollway_availability_requests_total`). A client's own mistake
    (refused, blocked, a 400 of the provider), or its leaving, is not.
    """
    found = Counter({team: count for (team, answered), count in change.judged.items() if not answered})
    found[""] = sum(change.judged.values())
    return found


def burn(change: Change, objective: float) -> tuple[float, Counter[str]]:
    """How many times as fast as the objective allows errors come; and who met how many. Not capped."""
    counts = failed(change)
    total = counts.pop("")
    return (counts.total() / total / (1.0 - objective) if total else 0.0), counts


def burn_rates(history: History, options: IncidentOptions) -> dict[float, float]:
    """Burn rates by window, seconds, shortest first."""
    windows = sorted(window for short, long, _, _ in BURN for window in (short, long))
    return {window: burn(history.window(window), options.objective)[0] for window in windows}


def availability(history: History, options: IncidentOptions) -> Iterator[Finding]:
    """Error budget burnt too fast, in a short window and a long one."""
    for short, long, factor, severity in BURN:
        rate, teams = burn(history.window(short), options.objective)
        lasting, _ = burn(history.window(long), options.objective)
        bad = teams.total()
        fires = rate >= factor and lasting >= factor and bad >= options.least
        if not fires and (severity == "ticket" or rate < factor / 2 or not bad):
            continue
        yield Finding(
            signal="availability",
            subject="gateway",
            severity=severity,
            level="firing" if fires else "holding",
            title=f"Requests fail {rate:.0f} times as fast as {options.objective:.2%} allows",
            detail={
                "burn_rate": round(rate, 1),
                "failed": bad,
                "window_seconds": round(short),
                "teams": _teams(teams),
            },
        )
        return


def providers(history: History, options: IncidentOptions) -> Iterator[Finding]:
    """Providers that fail, refuse for their rate, or refuse our credential."""
    for name in sorted({provider for provider, _ in history.newest.attempts}):
        for signal, kinds, what, severity in PROVIDER_SIGNALS:
            found = _provider(history, options, name, signal, kinds, what, severity)
            if found is not None:
                yield found
    for name in sorted(history.newest.down):
        yield Finding(
            signal="credential",
            subject=name,
            severity="page",
            level="firing",
            title=f"The provider '{name}' refuses this gateway's credential",
            detail={"provider": name},
        )


def _provider(
    history: History,
    options: IncidentOptions,
    name: str,
    signal: Signal,
    kinds: tuple[str, ...],
    what: str,
    severity: Severity,
) -> Finding | None:
    """Half of a minute's attempts failed, or nearly all of a quarter of a minute's: an outage need not wait for half a
    minute to have passed."""
    window = history.window(PROVIDER_WINDOW)
    every, bad = _tried(window, name, kinds)
    share = bad / every if every else 0.0
    fires = share >= options.provider_errors and every >= options.least
    holds = share >= options.provider_errors / 2 and bad > 0
    if not fires:
        outage = history.window(OUTAGE_WINDOW)
        tried, failing = _tried(outage, name, kinds)
        if tried >= 2 * options.least and failing >= max(OUTAGE_SHARE, options.provider_errors) * tried:
            fires, window, every, bad = True, outage, tried, failing
    if not fires and not holds and every:
        return None
    teams = Counter[str]()
    for (team, provider, _), count in window.traffic.items():
        if provider == name:
            teams[team] += count
    detail: Detail = {"attempts": every, "failed": bad, "teams": _teams(teams)}
    for (provider, kind), count in sorted(window.attempts.items()):
        if provider == name:
            detail[f"status_{kind}"] = count
    why = Counter({kind: count for (provider, kind), count in window.failures.items() if provider == name and count})
    if why:
        detail["errors"] = ", ".join(f"{kind} {count}" for kind, count in why.most_common(5))
    return Finding(
        signal=signal,
        subject=name,
        severity=severity,
        level="firing" if fires else "holding" if holds else "quiet",
        title=f"The provider '{name}' {what}: {bad} of {every} attempts in {window.seconds:.0f} s",
        detail=detail,
        since=_began(history, name, kinds) if fires else None,
    )


def _tried(window: Change, provider: str, kinds: tuple[str, ...]) -> tuple[int, int]:
    """A provider's attempts, and those that ended so."""
    every = sum(count for (name, _), count in window.attempts.items() if name == provider)
    return every, sum(window.attempts.get((provider, kind), 0) for kind in kinds)


def guardrails(history: History, options: IncidentOptions) -> Iterator[Finding]:
    """Rules that block, or would, far more often than in the hour before."""
    now = history.window(GUARDRAIL_WINDOW)
    before = history.window(GUARDRAIL_BASE, until=now.seconds)
    if before.seconds < GUARDRAIL_LEAST or not now.seconds:
        return
    for (rule, kind), count in sorted(now.rules.items()):
        usual = before.rules.get((rule, kind), 0) * now.seconds / before.seconds
        fires = count >= LEAST_HITS and count >= options.guardrail_factor * max(usual, 1.0)
        holds = count >= LEAST_HITS / 2 and count >= options.guardrail_factor / 2 * max(usual, 1.0)
        if not fires and not holds:
            continue
        done = "blocks" if kind == "block" else "would act on"
        yield Finding(
            signal="guardrail_blocks" if kind == "block" else "guardrail_shadow",
            subject=rule,
            severity="ticket",
            level="firing" if fires else "holding",
            title=f"The guardrail rule '{rule}' {done} {count} exchanges in {now.seconds / 60:.0f} min; "
            f"usual are {usual:.1f}",
            detail={"exchanges": count, "usual": round(usual, 1), "window_seconds": round(now.seconds)},
        )


def demotions(history: History) -> Iterator[Finding]:
    """Rules that only watch because they were beyond their bounds. They come back by themselves, and perhaps go again:
    the incident is the same then."""
    for rule, workers in sorted(history.newest.demoted.items()):
        where = "a worker" if workers == 1 else f"{workers} workers"
        yield Finding(
            signal="guardrail_demoted",
            subject=rule,
            severity="ticket",
            level="firing",
            title=f"The guardrail rule '{rule}' was beyond its bounds and only watches in {where}",
            detail={"workers": workers},
        )


def gauges(history: History, options: IncidentOptions) -> Iterator[Finding]:
    """Books that fall behind or cannot be written, and a limit store that is away."""
    sample = history.newest
    if sample.lag is not None and sample.lag >= options.lag / 2:
        yield Finding(
            signal="ledger_lag",
            subject="ledger",
            severity="ticket",
            level="firing" if sample.lag >= options.lag else "holding",
            title=f"The ledger is {sample.lag:.0f} s behind its journal",
            detail={"lag_seconds": round(sample.lag)},
        )
    wrong: tuple[tuple[bool | None, Signal, Severity, str], ...] = (
        (sample.loader_up, "loader", "ticket", "The ledger's loader does not run, or does not reach the database"),
        (sample.journal_healthy, "journal", "page", "The journal cannot be written"),
        (sample.limit_store_up, "limit_store", "page", "The shared limit store is away; workers count alone"),
    )
    for up, signal, severity, title in wrong:
        if up is False:
            yield Finding(signal=signal, subject=signal, severity=severity, level="firing", title=title, after=DWELL)


def _began(history: History, provider: str, kinds: tuple[str, ...]) -> float:
    """When the first of the window's failures came: the sample before it."""
    steps = history.steps(PROVIDER_WINDOW)
    for old, new in pairwise(steps):
        if any(new.attempts.get((provider, kind), 0) > old.attempts.get((provider, kind), 0) for kind in kinds):
            return old.at
    return history.newest.at


def _teams(counts: Counter[str]) -> list[str]:
    """Whom it meets, most first."""
    return [team for team, count in counts.most_common(20) if count and team not in _NOBODY]
