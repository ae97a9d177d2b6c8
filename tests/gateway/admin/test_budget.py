"""The routes of budgets are in the one table, and their types say what they hold."""

import msgspec

from gateway.admin.budget_routes import BUDGET_ROUTES
from gateway.admin.budget_shapes import AuditView, RaiseBudget
from gateway.admin.routes import ROUTES


def test_they_are_in_the_table() -> None:
    assert all(route in ROUTES for route in BUDGET_ROUTES)
    assert all(route.permission is not None for route in BUDGET_ROUTES)


def test_who_changes_must_say_why() -> None:
    for route in BUDGET_ROUTES:
        if route.method == "POST" and not route.path.endswith("rebuild"):
            assert route.body is not None
            required = {field.name for field in msgspec.structs.fields(route.body) if field.required}
            assert "reason" in required


def test_words_of_the_wire() -> None:
    asked = msgspec.json.decode(b'{"amount":"5 USD","reason":"x","for":"1h"}', type=RaiseBudget)
    assert asked.for_ == "1h"
    assert b'"for":"1h"' in msgspec.json.encode(asked)
    entry = AuditView(
        seq=1, at="", actor="", action="", object="", before={}, after={"models": ["a"], "n": 1, "x": None}, reason="",
        hash="",
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(entry), type=AuditView) == entry
