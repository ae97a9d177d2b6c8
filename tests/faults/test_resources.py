"""A machine that gives too little: what it allows is used."""

import contextlib
import resource
from pathlib import Path

import httpx

from tests.support.served import wait_for


def test_descriptors(serve) -> None:
    """The soft limit of descriptors is raised to the hard one: a request takes two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    try:
        gateway = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)[0] >= min(hard, 1024)
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    headers = {"authorization": "Bearer sk-search"}
    assert httpx.post(gateway.v1 + "/chat/completions", json=asked, headers=headers).status_code == 200


def test_a_request_there_is_no_memory_for(serve) -> None:
    """503 with `retry-after`, and no defect; others go on. How much is too little depends on the allocator. Memory is
    short from the first moment on, when what runs beside the requests may not have begun yet."""
    gateway = serve()
    headers = {"authorization": "Bearer sk-search"}
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x" * 18_000_000}], "max_tokens": 3}
    _, most = resource.prlimit(gateway.pid, resource.RLIMIT_AS)
    log = gateway.data / "gateway.log"
    for room in range(2, 64, 2):
        taken = int(Path(f"/proc/{gateway.pid}/status").read_text().partition("VmSize:")[2].split()[0]) * 1024
        resource.prlimit(gateway.pid, resource.RLIMIT_AS, (taken + (room << 20), most))
        with contextlib.suppress(httpx.TransportError):
            refused = httpx.post(gateway.v1 + "/chat/completions", json=asked, headers=headers)
            if refused.status_code == 503:
                break
        resource.prlimit(gateway.pid, resource.RLIMIT_AS, (most, most))
    resource.prlimit(gateway.pid, resource.RLIMIT_AS, (most, most))
    assert refused.json()["error"]["code"] == "out_of_memory"
    assert refused.headers["retry-after"]
    asked["messages"] = [{"role": "user", "content": "Hi"}]
    assert httpx.post(gateway.v1 + "/chat/completions", json=asked, headers=headers).status_code == 200
    wait_for(lambda: '"out_of_memory"' in log.read_text(), "the log to say so")
    assert '"defect"' not in log.read_text()
