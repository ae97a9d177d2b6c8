"""Providers and targets to route between."""

from collections.abc import Callable

import pytest

from gateway.routing.table import Provider, Target
from gateway.seams import Origin


def provider(name: str) -> Provider:
    return Provider(name=name, wire="openai", origin=Origin("http", "127.0.0.1", 1), base_path=b"/v1", api_key="k")


@pytest.fixture
def target() -> Callable[..., Target]:
    def make(name: str, model: str = "m", weight: int = 1) -> Target:
        return Target(provider(name), model, weight)

    return make
