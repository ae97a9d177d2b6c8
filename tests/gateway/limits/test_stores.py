"""Which store a URL opens."""

import subprocess
import sys

import pytest

from gateway.clock import SystemClock
from gateway.limits.memory import MemoryStore
from gateway.limits.shared.address import AddressError
from gateway.limits.shared.redis_open import SharedStore
from gateway.limits.stores import open_store
from tests.support.redis_servers import RedisServer


async def test_a_url_opens_its_store(redis_server: RedisServer) -> None:
    assert isinstance(open_store("memory://", clock=SystemClock(), worker="w"), MemoryStore)
    shared = open_store(redis_server.url, clock=SystemClock(), worker="w")
    assert isinstance(shared, SharedStore)
    await shared.aclose()


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(AddressError, match="'file' is not known"):
        open_store("file:///x", clock=SystemClock(), worker="w")


def test_without_a_shared_store_nothing_of_redis_is_loaded() -> None:
    code = (
        "import sys; from gateway.limits.stores import open_store; from gateway.clock import SystemClock;"
        "open_store('memory://', clock=SystemClock(), worker='w'); raise SystemExit('hiredis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
