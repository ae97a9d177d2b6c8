"""Burn-rate alerts, proved by Prometheus itself on synthetic series."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.schema_slo import SloRoot
from gateway.slo.render import RULES, render, write
from gateway.slo.rules import ALERTS, BURNS, slo_groups, unreachable
from tests.gateway.slo.helpers import asked, exposed, objectives, shipped
from tests.support.prometheus import promtool

SERVED = 'tollway_availability_requests_total{team="a",model="m",provider="p",operation="chat.completions",fault="%s"}'
FIRST = 'tollway_time_to_first_byte_seconds_%s{team="a",model="m",provider="p",operation="messages",mode="stream"%s}'
HOUR, DAY = 60, 1440
"""Minutes. Every story begins with a time that went well: 100 requests a minute."""


def growing(*parts: tuple[float, int]) -> str:
    """A counter in promtool's notation, a sample a minute: it grows by so much, so many times, part after part."""
    at = 0.0
    pieces = []
    for step, times in parts:
        pieces.append(f"{at:g}+{step:g}x{times - 1}")
        at += step * times
    return " ".join(pieces)


def traffic(before: int, *failing: tuple[float, int]) -> list[dict[str, str]]:
    """`before` good minutes, then parts: (share of requests that fail, minutes)."""
    return [
        {"series": SERVED % "none", "values": growing((100, before), *((100 * (1 - bad), m) for bad, m in failing))},
        {"series": SERVED % "provider", "values": growing((0, before), *((100 * bad, m) for bad, m in failing))},
        {"series": SERVED % "gateway", "values": growing((0, before), *((0, m) for _, m in failing))},
    ]


def firing(severity: str, alert: str = "TollwayAvailabilityBurn") -> str:
    return f'count(ALERTS{{alertname="{alert}",severity="{severity}",alertstate="firing"}}) or vector(0)'


PAGE, TICKET = firing("page"), firing("ticket")


def story(name: str, series: list[dict[str, str]], *expected: tuple[int, str, float]) -> dict[str, object]:
    """One test of promtool: (minute, expression, value)."""
    return {
        "name": name,
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [
            {"expr": expr, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}
            for minute, expr, value in expected
        ],
    }


def run(root: SloRoot, directory: Path, *stories: dict[str, object], every: str = "1m") -> None:
    write(render(root), directory)
    suite = directory / "suite.yaml"
    suite.write_text(yaml.safe_dump({"rule_files": [RULES], "evaluation_interval": every, "tests": list(stories)}))
    done = promtool("test", "rules", suite)
    assert done.returncode == 0, done.stdout + done.stderr


def availability() -> SloRoot:
    """The shipped objectives, availability alone: 99.5 %."""
    root = shipped()
    assert root.objectives["availability"].target == 0.995
    return root.model_copy(update={"objectives": {"availability": root.objectives["availability"]}})


def test_an_outage_pages_within_minutes_and_health_is_quiet(tmp_path: Path) -> None:
    """ "14.4×/1h+5m and 6×/6h+30m page": 7.2 % of an hour must be bad, 4.3 minutes of an outage."""
    few = [
        {"series": SERVED % "none", "values": growing((0.02, 180))},
        {"series": SERVED % "provider", "values": growing((0, HOUR), (1, 1), (0, 119))},
    ]
    run(
        availability(),
        tmp_path,
        story("everything fails", traffic(HOUR, (1, 60)), (HOUR + 2, PAGE, 0), (HOUR + 8, PAGE, 1), (119, PAGE, 1)),
        story("over in two minutes", traffic(HOUR, (1, 2), (0, 60)), (HOUR + 3, PAGE, 0), (HOUR + 55, PAGE, 0)),
        story("no page once it is over", traffic(HOUR, (1, 20), (0, 60)), (HOUR + 15, PAGE, 1), (HOUR + 60, PAGE, 0)),
        story("nothing fails", traffic(HOUR, (0, 60)), (1, PAGE, 0), (HOUR, PAGE, 0), (119, TICKET, 0)),
        story("one of a handful of requests fails", few, (HOUR + 4, PAGE, 0), (HOUR + 60, PAGE, 0), (170, TICKET, 0)),
        story("no traffic at all", [], (60, PAGE, 0)),
    )


def test_a_slow_burn_makes_a_ticket_and_no_page(tmp_path: Path) -> None:
    """ "3×/1d+2h and 1×/3d+6h ticket": of every hundred requests 1.5 in a day, or 0.5 in three."""
    run(
        availability(),
        tmp_path,
        story("two in a hundred fail, four times too many", traffic(DAY, (0.02, 1200)),
              (DAY + 30, PAGE, 0), (DAY + 30, TICKET, 0), (DAY + 1190, PAGE, 0), (DAY + 1190, TICKET, 1)),
        story("two in a thousand fail, as is allowed", traffic(DAY, (0.002, 1200)),
              (DAY + 600, TICKET, 0), (DAY + 1190, TICKET, 0), (DAY + 1190, PAGE, 0)),
        every="10m",
    )  # fmt: skip


def test_latency_burns_too_and_a_team_has_its_own_objective(tmp_path: Path) -> None:
    root = objectives(
        gold={"sli": "availability", "target": "99.5%", "teams": ["b"]},
        speed={"sli": "first_byte", "target": "95%", "within": "2.5s"},
    )
    slow = [
        {"series": FIRST % ("count", ""), "values": growing((100, 180))},
        {"series": FIRST % ("bucket", ',le="2.5"'), "values": growing((100, HOUR), (10, 120))},
    ]
    page = firing("page", ALERTS["first_byte"])
    run(
        root,
        tmp_path,
        story("nine in ten answers begin too late", slow, (HOUR + 2, page, 0), (170, page, 1)),
        story("another team's outage", traffic(HOUR, (1, 60)), (HOUR + 30, PAGE, 0)),
        every="2m",
    )


def test_a_stale_ledger_burns(tmp_path: Path) -> None:
    root = objectives(ledger={"sli": "ledger", "target": "99%", "within": "60s"})
    lag = {"series": "tollway_ledger_lag_seconds", "values": f"0x{HOUR} 900x60"}
    page = firing("page", ALERTS["ledger"])
    run(root, tmp_path, story("the loader stands", [lag], (HOUR + 2, page, 0), (HOUR + 30, page, 1)))


@given(target=st.decimals("50", "99.999", places=3))
def test_the_bound_of_every_alert_is_its_burn_rate_times_the_budget(target) -> None:
    """An alert that no failure can reach is left out; every other says both windows, with the same bound."""
    root = objectives(x={"sli": "availability", "target": f"{target}%"})
    rules = {
        str(rule["labels"]["severity"]): rule
        for group in slo_groups(root)
        for rule in group["rules"]
        if "alert" in rule
    }
    budget = float(round((100 - target) / 100, 9))
    for severity, burns in BURNS.items():
        reached = [burn for burn in burns if burn.factor * budget < 1]
        assert (severity in rules) == bool(reached)
        for burn in reached:
            bounds = rules[severity]["expr"].split(f":rate{burn.long}{{")[1].split(")\n")[0]
            found = [part.split("\n")[0].split("> ")[1] for part in bounds.split("slo=")[1:]]
            assert len(found) == 2
            for text in found:
                factor, of, rest = text.partition(" * ")
                assert of
                assert float(factor) * float(rest) == pytest.approx(burn.factor * budget)
    assert len(unreachable(root.objectives["x"])) == sum(b.factor * budget >= 1 for bs in BURNS.values() for b in bs)


def test_rules_ask_for_metrics_that_are_exposed_or_recorded() -> None:
    rules = [rule for group in slo_groups(shipped()) for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for rule in rules:
        names = asked(rule["expr"])
        assert names or rule["expr"].startswith("vector(")
        assert names <= exposed() | recorded, rule


def test_two_objectives_of_a_kind_are_two_rules(tmp_path: Path) -> None:
    """promtool takes alerts of one name and the same written labels for one alert twice, and says so."""
    write(
        render(
            objectives(all={"sli": "availability", "target": "99%"}, gold={"sli": "availability", "target": "99.9%"})
        ),
        tmp_path,
    )
    done = promtool("check", "rules", tmp_path / RULES)
    assert "duplicate" not in done.stdout + done.stderr
    assert done.returncode == 0
