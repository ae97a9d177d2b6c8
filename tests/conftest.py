"""Fixtures that serve: a real gateway process in front of the real mock provider, both on free ports."""

import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx._config
import httpx._transports.default
import hypothesis
import pytest
import yaml

from tests.support import redis_servers
from tests.support.redis_servers import RedisServer
from tests.support.served import MOCK, Gateway, Process, configuration

# Bytecode is kept, whatever the shell says: hundreds of processes start here, and each would compile every module anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No time of an example is a finding: the machine may be busy with something else. Examples are the same in every run,
# so that a change is judged by what it changes; `--hypothesis-profile explore` looks for new ones, as the fuzzers do.
hypothesis.settings.register_profile(
    "tollway", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("explore", hypothesis.settings.get_profile("tollway"), derandomize=False)
hypothesis.settings.load_profile("tollway")

# Where a test names no time-out, a busy machine has longer than httpx' five seconds.
for _part in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _part, 60.0)

# Reading the machine's certificates costs 25 ms, thirty times what a request on loopback costs: all clients share them.
_create_ssl_context = httpx._transports.default.create_ssl_context
_trusting = _create_ssl_context()


def _shared_ssl_context(verify: object = True, cert: object = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is True and cert is None:
        return _trusting
    return _create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)


httpx._transports.default.create_ssl_context = _shared_ssl_context


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files that serve come first: they take longest, and what is short at the end keeps every worker busy."""
    here = Path(__file__).parent
    slow = tuple(str(here / name) for name in ("served", "faults", "gateway/cli"))
    items.sort(key=lambda item: not str(item.path).startswith(slow))
    # Threads, sockets and processes on a machine that may be busy with others: a failure counts when it happens twice.
    # The second try is in the report (`R`), and worth a look. What only reads files has no such excuse.
    again = config.pluginmanager.hasplugin("rerunfailures")  # `-p no:rerunfailures` shows the first failure
    for item in items:
        if again and not item.path.is_relative_to(here / "house"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def mock() -> Iterator[Process]:
    process = Process(MOCK, "--port", "0")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def own_mock() -> Iterator[Callable[..., Process]]:
    """Mock providers of a test's own, for exact counters."""
    started: list[Process] = []

    def start(*args: str) -> Process:
        started.append(Process(MOCK, "--port", "0", *args))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis server for all tests that leave it running."""
    with redis_servers.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    """A Redis Cluster of three for all tests that leave it as it is."""
    with redis_servers.cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def serve(tmp_path: Path, mock: Process) -> Iterator[Callable[..., Gateway]]:
    """Start gateways: `serve(section=…, …)`; `extra` and `env` go to the command."""
    started: list[Gateway] = []

    def start(*extra: str, env: dict[str, str] | None = None, upstream: str = mock.url, **changes: object) -> Gateway:
        config = tmp_path / "gateway.yaml"
        config.write_text(yaml.safe_dump(configuration(upstream, tmp_path, **changes), sort_keys=False))
        started.append(Gateway(config, *extra, env=env))
        return started[-1]

    yield start
    for gateway in started:
        gateway.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, mock: Process) -> Iterator[Gateway]:
    """One gateway for the tests of a module that leave it as it was."""
    data = tmp_path_factory.mktemp("gateway")
    config = data / "gateway.yaml"
    config.write_text(yaml.safe_dump(configuration(mock.url, data), sort_keys=False))
    started = Gateway(config)
    yield started
    started.stop()
