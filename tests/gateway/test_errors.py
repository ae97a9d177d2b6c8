"""What clients are refused with is what they are told it means."""

from collections.abc import Iterator
from pathlib import Path

import gateway.server
from gateway.errors import Refusal

DOCS = Path(__file__).parents[2] / "docs" / "point-an-app.md"


def refusals(kind: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for below in kind.__subclasses__():
        yield below
        yield from refusals(below)


def test_every_code_a_client_may_see_is_in_the_table_with_its_status() -> None:
    assert gateway.server.Server, "every module of the road is loaded"
    rows = [line.split("|") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    for kind in refusals():
        if kind.__module__.startswith(("gateway.admin", "gateway.console")):
            continue
        told = [row for row in rows if row[1].strip() == str(kind.status)]
        assert told, f"{kind.__name__}: no row for {kind.status}"
        assert kind.code is None or any(f"`{kind.code}`" in row[2] for row in told), kind.__name__
