"""Configurations in a temporary directory, and what the loader says about them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.settings.load import load_config

MINIMAL = """\
version: 1
providers:
  openai: {dialect: openai, base_url: https://api.openai.com/v1, api_key: k}
models:
  gpt-4o: {targets: [{provider: openai}]}
"""
HEX = "ab" * 32


@pytest.fixture
def minimal() -> str:
    """A small configuration that is right; tests add to it."""
    return MINIMAL


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write `gateway.yaml` (and other files by name) and give its path."""

    def put(text: str | bytes, **others: str) -> Path:
        for name, content in {"gateway": text, **others}.items():
            path = tmp_path / (name.replace("__", "/") + ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "gateway.yaml"

    return put


@pytest.fixture
def complaints_of(write: Callable[..., Path], tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of a configuration, without the directory's name; [] when it is right."""

    def check(
        text: str | bytes, *, env: Mapping[str, str] | None = None, workers: int | None = None, **others: str
    ) -> list[str]:
        try:
            load_config(write(text, **others), env=env or {}, workers=workers)
        except ConfigError as error:
            return [problem.replace(f"{tmp_path}/", "") for problem in error.problems]
        return []

    return check
