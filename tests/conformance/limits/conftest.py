"""Fixtures of the conformance suite of limit stores."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.conformance.limits.kinds import KINDS, Kind, Place


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A store of every kind."""
    kind: Kind = request.param
    async with kind.open(request) as opened:
        yield opened


@pytest.fixture
async def places(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, Place]]:
    """A store of every kind at once, for what waits: it takes as long as the slowest, not as long as all."""
    async with AsyncExitStack() as stack:
        yield {kind.name: await stack.enter_async_context(kind.open(request)) for kind in KINDS}


@pytest.fixture(params=[kind for kind in KINDS if kind.manual], ids=lambda kind: kind.name)
async def by_hand(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A store of every kind whose time can be turned by hand; `place.turn` is there."""
    kind: Kind = request.param
    async with kind.open(request) as opened:
        yield opened
