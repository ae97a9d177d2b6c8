import json

import typer

from tests.gateway.cli.test_spend import app as app
from tests.gateway.cli.test_spend import run
from tests.gateway.cli.test_spend import url as url


def test_savings_as_text_and_json(app: typer.Typer, url: str):
    text = run(app, "savings", "--url", url)
    assert "mystery has no price" in text
    assert "usd_per_million_tokens" in text
    told = json.loads(run(app, "savings", "--url", url, "--json"))
    (one,) = told["savings"]
    assert one["kind"] == "unpriced"
    assert one["saving_usd_per_month"] is None


def test_a_ledger_that_is_not_there(app: typer.Typer):
    assert "there is no ledger" in run(app, "savings", "--url", "sqlite:////nowhere/x.db", code=1)


def test_help_stands_alone(app: typer.Typer):
    assert "less than a dollar a month" in " ".join(run(app, "savings", "--help").split())
