"""`tollway guardrails why` on a ledger, without a gateway."""

import json
from pathlib import Path

import pytest

from tests.gateway.cli.findings import run, seeded


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeded(tmp_path_factory.mktemp("why"))


def logged(config: Path) -> dict[str, str]:
    return json.loads(run(config, "review", "--json").stdout)["values"][0]


def test_what_was_found_is_told_with_its_place_and_digest(config: Path):
    value = logged(config)
    shown = run(config, "why", value["exchange"]).stdout
    assert shown.startswith(f"{value['exchange']}, 2")
    assert f"    {value['rule']}: {value['type']} by {value['pattern']}" in shown
    assert f"digest {value['digest']}" in shown
    assert "The findings log is off" in shown
    told = json.loads(run(config, "why", value["exchange"], "--json").stdout)
    (exchange,) = told["exchanges"]
    assert exchange["exchange"] == value["exchange"]
    assert value["digest"] in [each["digest"] for each in exchange["findings"]]
    assert (told["logging"], told["more"]) == (False, False)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("no-such-request",), 1, "has no exchange of the request id 'no-such-request' since 2"),
        (("x", "--since", "yore"), 2, "since: 'yore' is no moment"),
    ],
)
def test_what_cannot_be(config: Path, arguments: tuple[str, ...], code: int, problem: str):
    done = run(config, "why", *arguments)
    assert done.exit_code == code
    assert problem in done.stderr
