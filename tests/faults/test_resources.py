"""A machine that gives too little: what it allows is used."""

import resource

import httpx


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
