"""Healthy traffic opens nothing; what is broken is found, with its name, its beginning and its victims."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.incidents.detect import (
    LEAST_HITS,
    Finding,
    availability,
    burn,
    burn_rates,
    failed,
    findings,
    gauges,
    guardrails,
    providers,
)
from gateway.incidents.sample import Change, History, Sample
from gateway.settings.incident_options import IncidentOptions
from tests.gateway.incidents.figures import STEP, history

OPTIONS = IncidentOptions()


def change(good: int, bad: int) -> Change:
    return Change(seconds=60.0, traffic={}, judged={("t", True): good, ("t", False): bad}, attempts={}, rules={})


def levels(found: list[Finding]) -> dict[str, str]:
    return {each.signal: each.level for each in found}


@settings(max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.sets(st.integers(0, 199), max_size=2))
def test_healthy_traffic_opens_nothing(served: list[int], stray: set[int]) -> None:
    """Any amount of traffic with a failure here and there fires nothing, at no step of it."""
    steps = [(count, int(at in stray)) for at, count in enumerate(served)]
    found = findings(history(steps, rules=[1] * len(steps)), OPTIONS)
    assert "firing" not in levels(found).values()


@settings(max_examples=40)
@given(st.integers(2, 50), st.integers(0, 100), st.integers(10, 40))
def test_a_provider_that_only_fails_is_found(rate: int, before: int, failing: int) -> None:
    """100 % errors fire as soon as `least` attempts have failed and half of the minute's did; it began where the first
    error came."""
    steps = [(rate, 0)] * before + [(0, rate)] * failing
    found = {each.signal: each for each in providers(history(steps), OPTIONS)}
    expected = rate * min(failing, 12) >= OPTIONS.least and min(failing, 12) >= 12 - min(failing, 12)
    assert (found["provider"].level == "firing") == expected
    if expected:
        assert found["provider"].detail["teams"] == ["t"]
        assert found["provider"].severity == "page"
        began = 100.0 + max(before, before + failing - 12) * STEP
        assert found["provider"].since == pytest.approx(began)


@pytest.mark.parametrize(("rate", "seconds"), [(10, 15.0), (5, 30.0)])
def test_how_soon(rate: int, seconds: float) -> None:
    """With steady traffic nine tenths of the last 15 s have failed after 15 s; where fewer than 20 attempts come in
    that time, half of a minute's have after 30 s."""
    for failing in range(13):
        steps = [(rate, 0)] * 100 + [(0, rate)] * failing
        fired = levels(list(providers(history(steps), OPTIONS))).get("provider") == "firing"
        assert fired == (failing * STEP >= seconds)


def test_a_provider_that_recovers_holds_and_then_is_well() -> None:
    """Two thresholds: half of a minute opens, a quarter keeps open; nothing asked at all is quiet."""
    seen = []
    for well in range(14):
        found = levels(list(providers(history([(0, 10)] * 20 + [(10, 0)] * well), OPTIONS)))
        seen.append(found.get("provider", ""))
    assert seen == ["firing"] * 7 + ["holding"] * 3 + [""] * 4
    assert levels(list(providers(history([(0, 10)] * 3 + [(0, 0)] * 13), OPTIONS)))["provider"] == "quiet"


def test_rate_limits_are_their_own_signal() -> None:
    found = {each.signal: each for each in providers(history([(0, 10)] * 3, limited=True), OPTIONS)}
    assert set(found) == {"provider_limited"}
    assert found["provider_limited"].severity == "ticket"


def test_a_refused_credential() -> None:
    found = History()
    found.add(Sample(at=1.0, down=frozenset({"p"})))
    (finding,) = providers(found, OPTIONS)
    assert (finding.signal, finding.subject, finding.severity) == ("credential", "p", "page")


@given(st.integers(0, 1000), st.integers(0, 1000), st.sampled_from([0.9, 0.99, 0.999]))
def test_burn_is_the_share_of_failures_over_what_is_allowed(good: int, bad: int, objective: float) -> None:
    """Burn rate = error ratio / (1 - objective)."""
    counts = failed(change(good, bad))
    assert (counts["t"], counts[""]) == (bad, good + bad)
    rate, teams = burn(change(good, bad), objective)
    assert teams.total() == bad
    assert rate == pytest.approx(bad / max(good + bad, 1) / (1 - objective))


def test_burn_rates_are_told_by_window() -> None:
    rates = burn_rates(history([(990, 10)] * 100), OPTIONS)
    assert list(rates) == [300.0, 1800.0, 3600.0, 21600.0]
    assert all(rate == pytest.approx(10) for rate in rates.values()), "1 % fail, and 0.1 % are allowed"


def test_fast_burn_pages_and_slow_burn_is_a_ticket() -> None:
    (fast,) = availability(history([(100, 2)] * 200), OPTIONS)
    assert (fast.severity, fast.level, fast.detail["teams"]) == ("page", "firing", ["t"])
    (slow,) = availability(history([(1000, 8)] * 400), OPTIONS)
    assert (slow.severity, slow.level) == ("page", "holding") or slow.severity == "ticket"
    few = availability(history([(100, 0)] * 50 + [(0, 3)]), OPTIONS)
    assert [each.level for each in few] in ([], ["holding"]), "three failures are no incident"


@settings(max_examples=40)
@given(st.integers(0, 5), st.integers(0, 100))
def test_a_rule_that_suddenly_blocks_is_found(usual: int, spike: int) -> None:
    """At least 20 in five minutes, and four times what the hour before had in as long."""
    rules = [usual] * 300 + [spike] * 60
    found = list(guardrails(history([(1, 0)] * len(rules), rules), OPTIONS))
    expected = spike * 60 >= LEAST_HITS and spike * 60 >= 4 * max(usual * 60, 1)
    assert ([each.level for each in found] == ["firing"]) == expected


def test_nothing_is_said_of_a_rule_without_a_past() -> None:
    assert list(guardrails(history([(1, 0)] * 60, [50] * 60), OPTIONS)) == []


def test_a_rule_that_only_watches_because_of_its_bounds_is_told() -> None:
    found = History()
    found.add(Sample(at=1.0, demoted={"slow": 2, "eager": 1}))
    told = {each.subject: each for each in findings(found, OPTIONS)}
    assert {(each.signal, each.severity, each.level) for each in told.values()} == {
        ("guardrail_demoted", "ticket", "firing")
    }
    assert told["slow"].title.endswith("only watches in 2 workers")
    assert told["eager"].title.endswith("only watches in a worker")
    found.add(Sample(at=6.0))
    assert findings(found, OPTIONS) == []


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (Sample(at=1.0), {}),
        (Sample(at=1.0, lag=10.0, loader_up=True, journal_healthy=True, limit_store_up=True), {}),
        (Sample(at=1.0, lag=300.0), {"ledger_lag": "firing"}),
        (Sample(at=1.0, lag=200.0), {"ledger_lag": "holding"}),
        (Sample(at=1.0, loader_up=False), {"loader": "firing"}),
        (Sample(at=1.0, journal_healthy=False), {"journal": "firing"}),
        (Sample(at=1.0, limit_store_up=False), {"limit_store": "firing"}),
    ],
)
def test_gauges(sample: Sample, expected: dict[str, str]) -> None:
    found = History()
    found.add(sample)
    assert levels(list(gauges(found, OPTIONS))) == expected


def test_a_provider_that_fails_is_told_with_the_reasons_that_no_status_tells() -> None:
    """Whoever is woken reads why: the kinds of failure in the window, the most frequent first."""
    found = History()
    for at in range(13):
        failures = {("p", "ConnectFailed"): 9 * at, ("p", "ReadTimeout"): at, ("q", "Cut"): at}
        found.add(Sample(at=at * 5.0, attempts={("p", "error"): 10 * at}, failures=failures))
    (told,) = providers(found, OPTIONS)
    assert told.detail["errors"] == "ConnectFailed 108, ReadTimeout 12"
