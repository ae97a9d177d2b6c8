import io
from csv import DictReader
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as parquet
import typer

from gateway.cli import spend_prices
from tests.gateway.cli.test_spend import app as app
from tests.gateway.cli.test_spend import run
from tests.gateway.cli.test_spend import url as url


def test_focus_adds_up_in_both_formats(app: typer.Typer, url: str, tmp_path: Path):
    out = tmp_path / "focus.csv"
    run(app, "--url", url, "--format", "focus", "--period", "hour", "--since", "2d", "--out", str(out))
    rows = list(DictReader(io.StringIO(out.read_text(), newline="")))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("0.005615000")
    assert {row["x_CostBasis"] for row in rows} == {"apportioned", "unpriced"}
    table = tmp_path / "focus.parquet"
    run(app, "--url", url, "--format", "focus-parquet", "--since", "2d", "--out", str(table))
    assert sum(parquet.read_table(table)["BilledCost"].to_pylist()) == Decimal("0.005615000")


def test_a_wrong_period_says_what_is_allowed(app: typer.Typer, url: str):
    assert "allowed are day, hour" in run(app, "--url", url, "--format", "focus", "--period", "week", code=2)


def test_prices_of_a_configuration_are_in_force_and_the_public_ones_beside_them(tmp_path: Path):
    config = tmp_path / "gateway.yaml"
    config.write_text(
        "version: 1\nproviders:\n  eu: {dialect: openai, base_url: http://127.0.0.1:9/v1, prices: openai}\n"
        "models:\n  gpt-4o: {targets: [{provider: eu}]}\n"
        "prices:\n  discounts:\n    - {provider: openai, percent: 50}\n"
    )
    ours, public = (cards("eu", "gpt-4o") for cards in spend_prices.of_config(config))
    assert ours is not None
    assert public is not None
    assert ours.leaves(None, 0)["output"] * 2 == public.leaves(None, 0)["output"]
    config.write_text(config.read_text().partition("prices:\n  discounts")[0] + "prices: off\n")
    assert [cards("eu", "gpt-4o") for cards in spend_prices.of_config(config)] == [None, None]
