"""Another package called `guardrails` is noticed."""

from pathlib import Path

import pytest

import guardrails
from gateway.settings.shadow import shadow_warnings


def test_alone_there_is_nothing_to_say() -> None:
    assert shadow_warnings() == []


def test_another_package_that_imports_as_ours_is_named() -> None:
    (warning,) = shadow_warnings(other="pydantic")
    assert "pydantic" in warning
    assert "imports as `guardrails`" in warning


def test_ours_is_shadowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guardrails, "__file__", str(tmp_path / "guardrails" / "__init__.py"))
    assert "ours is shadowed" in shadow_warnings()[0]
