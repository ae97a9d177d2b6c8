"""One guarded gateway in front of one scripted provider, for every module of tests that leaves it as it was."""

from collections.abc import Iterator

import pytest

from tests.support.guarded import Guarded, guarded_gateway
from tests.support.scripted import Scripted, scripted


@pytest.fixture(scope="session")
def session_provider() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="session")
def guarded(session_provider: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    started = guarded_gateway(session_provider.url, tmp_path_factory.mktemp("guarded"))
    yield started
    started.stop()


@pytest.fixture
def provider(session_provider: Scripted) -> Iterator[Scripted]:
    """The guarded gateway's provider. A script that failed fails the test."""
    session_provider.failures.clear()
    session_provider.seen.clear()
    yield session_provider
    assert session_provider.failures == []
