"""`tollway price`: the contract's JSON, exit statuses, own prices."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gateway.cli.price import register

NO_ENV = {"TOLLWAY_CONFIG": None, "COLUMNS": "120"}


def run(*arguments: str, stdin: str | None = None) -> Result:
    app = typer.Typer()

    @app.callback()
    def root() -> None:
        """One command alone would lose its name."""

    register(app)
    return CliRunner().invoke(app, ["price", *arguments], input=stdin, env=NO_ENV)


WRITTEN = '{"input_tokens": 3, "cache_creation_input_tokens": 12304, "output_tokens": 550}'
CHAT = '{"prompt_tokens": 2006, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1920}}'


def test_json_is_the_contract_s() -> None:
    result = run("gpt-4o", "--usage", CHAT, "--at", "2026-11-24", "--json")
    assert result.exit_code == 0, result.output
    bill = json.loads(result.stdout)
    assert bill == {
        "model": "gpt-4o",
        "provider": "openai",
        "price_version": bill["price_version"],
        "tier": "standard",
        "total_usd": "0.005615",
        "meters": [
            {"meter": "input", "tokens": 86, "usd_per_token": "0.0000025", "usd": "0.000215"},
            {"meter": "cache_read", "tokens": 1920, "usd_per_token": "0.00000125", "usd": "0.0024"},
            {"meter": "output", "tokens": 300, "usd_per_token": "0.00001", "usd": "0.003"},
        ],
    }
    assert bill["price_version"].startswith("genai-prices/")


@pytest.mark.parametrize(
    ("arguments", "usd"),
    [
        (
            ["claude-3-7-sonnet-20250219", "--provider", "anthropic", "--usage", WRITTEN],
            "0.054399",
        ),
        (["gemini-2.5-pro", "--usage", '{"prompt_tokens": 200000, "completion_tokens": 1000}'], "0.26"),
        (["gemini-2.5-pro", "--usage", '{"prompt_tokens": 200001, "completion_tokens": 1000}'], "0.5150025"),
        (["gpt-5-nano", "--tier", "flex", "--usage", '{"input_tokens": 1000, "output_tokens": 1000}'], "0.000225"),
        (["gpt-5-nano", "--usage", '{"service_tier": "flex", "usage": {"prompt_tokens": 1000}}'], "0.000025"),
        (["o3", "--usage", '{"input_tokens": 1000, "output_tokens": 1000, "cost": 0}'], "0.01"),
    ],
)
def test_worked_cases(arguments: list[str], usd: str) -> None:
    result = run(*arguments, "--json", "--at", "2026-11-24T12:00:00Z")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["total_usd"] == usd


def test_table_and_standard_input() -> None:
    result = run("gpt-4o", "--usage", "-", stdin=CHAT)
    assert result.exit_code == 0, result.output
    assert "1,920" in result.stdout
    assert "0.005615" in result.stdout


def test_without_usage_the_rates_are_shown() -> None:
    result = run("gemini-2.5-pro")
    assert result.exit_code == 0, result.output
    assert "1.25" in result.stdout
    assert "more than 200,000 input tokens" in result.stdout


def test_unknown_provider_fails_with_the_nearest_providers() -> None:
    result = run("gpt-4o", "--provider", "opnai", "--json")
    assert result.exit_code == 1
    assert "of provider 'opnai'; the nearest known providers are openai" in json.loads(result.stdout)["error"]


def test_unknown_model_fails_with_the_nearest_names() -> None:
    result = run("claude-sonet-4-5", "--json")
    assert result.exit_code == 1
    assert "claude-sonnet-4-5" in json.loads(result.stdout)["error"]
    plain = run("claude-sonet-4-5")
    assert plain.exit_code == 1
    assert plain.stdout == ""
    assert "claude-sonnet-4-5" in plain.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["gpt-4o", "--usage", "{bad"],
        ["gpt-4o", "--usage", '{"prompt_tokens": -1}'],
        ["gpt-4o", "--usage", "{}"],
        ["gpt-4o", "--at", "yesterday"],
        ["gpt-4o", "--prices", "no-such-file.yaml"],
        ["gpt-4o", "--config", "no-such-file.yaml"],
        [],
    ],
)
def test_wrong_use_exits_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_tier_without_a_price_is_said() -> None:
    result = run("o3", "--tier", "platinum", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["tier"] == "standard"
    assert "no platinum price" in result.stderr


def test_own_prices_from_a_file_and_from_a_configuration(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text('models: [{model: house, provider: local, from: 2026-01-01, usd_per_second: "0.5"}]\n')
    usage = ["--provider", "local", "--usage", '{"seconds": 2.5}', "--at", "2026-11-24", "--json"]
    bill = json.loads(run("house", "--prices", str(prices), *usage).stdout)
    assert bill["total_usd"] == "1.25"
    assert bill["price_version"] == "config/2026-01-01"
    assert bill["meters"] == [{"meter": "second", "tokens": "2.5", "usd_per_token": "0.5", "usd": "1.25"}]
    before = run("house", "--prices", str(prices), "--provider", "local", "--at", "2025-01-01", "--json")
    assert before.exit_code == 1
    assert "in force" in json.loads(before.stdout)["error"]

    config = tmp_path / "gateway.yaml"
    config.write_text(
        "version: 1\n"
        "providers: {local: {dialect: openai, base_url: 'http://127.0.0.1:9/v1', api_key: '${env:NONE:-}'}}\n"
        "models: {house: {targets: [{provider: local}]}}\n"
        "prices: prices.yaml\n"
    )
    result = run("house", "--config", str(config), *usage)
    assert result.exit_code == 0, result.output + result.stderr
    assert json.loads(result.stdout)["total_usd"] == "1.25"


def test_mistakes_in_own_prices_are_all_shown(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text('models: [{model: a, usd_per_secnd: "1"}]\ndiscounts: [{percent: "x"}]\n')
    result = run("gpt-4o", "--prices", str(prices))
    assert result.exit_code == 2
    assert "did you mean usd_per_second?" in result.stderr
    assert "discounts.0.percent" in result.stderr
    prices.write_text("models: [\n")
    assert "not valid YAML" in run("gpt-4o", "--prices", str(prices)).stderr


def test_a_provider_s_own_price_is_shown_without_naming_the_provider(tmp_path: Path) -> None:
    """What is said to be "gpt-4o by openai" is what gpt-4o by openai costs."""
    prices = tmp_path / "prices.yaml"
    prices.write_text(
        "models:\n"
        "  - {model: gpt-4o, provider: openai, usd_per_million_tokens: {input: '1', output: '2'}}\n"
        "  - {model: in-house, provider: local, usd_per_million_tokens: {input: '1', output: '2'}}\n"
    )
    bill = json.loads(run("gpt-4o", "--usage", CHAT, "--prices", str(prices), "--json").stdout)
    assert (bill["provider"], bill["price_version"], bill["total_usd"]) == ("openai", "config/undated", "0.002606")
    unknown = run("in-house", "--prices", str(prices))
    assert unknown.exit_code == 1
    assert "--provider local" in unknown.stderr


def test_a_day_that_is_not_in_the_calendar_is_said(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("models:\n  - {model: m, from: 2026-02-30, usd_per_million_tokens: {input: '1'}}\n")
    result = run("m", "--prices", str(prices))
    assert result.exit_code == 2
    assert "day is out of range" in result.stderr
