"""The journal's disk is full: new requests get 503 with `retry-after`, it is said, and it ends by itself."""

import resource

import httpx

from tests.support.served import get_json, wait_for

KEY = {"authorization": "Bearer sk-search"}
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}


def test_a_full_disk_refuses_new_requests_and_recovers(serve) -> None:
    """The process's own limit of file sizes plays the disk: EFBIG where that gives ENOSPC."""
    gateway = serve()

    def ask() -> httpx.Response:
        return httpx.post(gateway.v1 + "/chat/completions", json=ASK, headers=KEY)

    served = 0
    assert ask().status_code == 200
    served += 1
    journal = max((gateway.data / "journal").glob("*.0*"), key=lambda path: path.stat().st_size)
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 200, hard))
    refused = ask()
    while refused.status_code == 200:
        served += 1
        refused = ask()
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "ledger_unavailable"
    assert refused.headers["retry-after"]
    ready = httpx.get(gateway.url + "/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["journal"]["ok"] is False
    log = gateway.data / "gateway.log"
    wait_for(lambda: "journal_unhealthy" in log.read_text(), "the log to say so")

    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: ask().status_code == 200, "the journal to be writable again")
    served += 1
    assert get_json(gateway.url + "/readyz")["ready"]
    assert gateway.settled(served)["total"]["requests"] == served
