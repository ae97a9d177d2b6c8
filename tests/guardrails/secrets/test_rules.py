"""The tables of rules are read as they are written."""

from guardrails.secrets.rules import Assigned, Token, assigned, assigned_table, table, tokens


def test_lines_become_rules() -> None:
    assert table("a.b x{3} github\n\nc.d y") == (Token("secret.a.b", "x{3}", "github"), Token("secret.c.d", "y"))
    assert assigned_table("a.b n|m v") == (Assigned("secret.a.b", "n|m", "v"),)
    assert table("a.b <uuid>")[0].pattern.startswith("[0-9a-f]{8}-")


def test_ids_are_unique() -> None:
    ids = [rule.id for rule in (*tokens(), *assigned())]
    assert len(ids) == len(set(ids))
