"""One gateway whose teams ask detectors outside, in front of one scripted provider."""

from collections.abc import Iterator

import pytest

from tests.support.answers import chat, chat_stream
from tests.support.guarded import Guarded
from tests.support.outside import Services, outside_gateway, policies, services
from tests.support.scripted import Scripted, by_stream, scripted


@pytest.fixture(scope="session")
def every_service() -> Iterator[Services]:
    with services() as state:
        yield state


@pytest.fixture(scope="session")
def served_model() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture(scope="session")
def gateway(
    every_service: Services, served_model: Scripted, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    data = tmp_path_factory.mktemp("outside")
    started = outside_gateway(served_model.url, data, policies(every_service.scripted.url))
    yield started
    assert started.stop() == 0


@pytest.fixture
def zoo(every_service: Services) -> Iterator[Services]:
    """The services, well and asked nothing yet."""
    every_service.gate.set()
    every_service.status = 200
    every_service.delay = 0.0
    every_service.scripted.seen.clear()
    yield every_service
    every_service.gate.set()
    assert every_service.scripted.failures == []


@pytest.fixture
def model(served_model: Scripted) -> Iterator[Scripted]:
    """The provider, which says that it is fine. A script that failed fails the test."""
    served_model.failures.clear()
    served_model.says(by_stream(chat("fine"), chat_stream(chat("fine"))))
    yield served_model
    assert served_model.failures == []
