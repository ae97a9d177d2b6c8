"""The configuration's history over HTTP, and rolling back."""

from pathlib import Path

import httpx
import pytest

from gateway.admin.audit import listed
from tests.gateway.admin.fakes import FakeWorld, client_of

API = "/admin/v1/config"


@pytest.fixture
async def changed(admin: httpx.AsyncClient, world: FakeWorld) -> Path:
    """Three versions, by reloads over the API, and one that was refused."""
    path = Path(world.configuration.snapshot.source)
    assert (await admin.post("/admin/v1/reload")).status_code == 200
    for drain in ("10s", "20s"):
        path.write_text(path.read_text().partition("# drain")[0] + f"# drain\npassthrough: {PASS[drain]}\n")
        world.clock.advance(60)
        assert (await admin.post("/admin/v1/reload")).status_code == 200
    good = path.read_text()
    path.write_text(good + "bogus: 1\n")
    assert (await admin.post("/admin/v1/reload")).status_code == 409
    path.write_text(good)
    return path


PASS = {"10s": "openai", "20s": "local"}


async def test_history_versions_and_differences(admin: httpx.AsyncClient, changed: Path) -> None:
    """ "hash, time, who/what triggered it"; no secret in any answer."""
    answer = await admin.get(f"{API}/history")
    assert answer.json()["source"] == str(changed)
    found = answer.json()["versions"]
    assert [(each["version"], each["actor"], each["in_force"]) for each in found] == [
        (None, "key:admin-key", False), (3, "key:admin-key", True), (2, "key:admin-key", False),
        (1, "key:admin-key", False)]  # fmt: skip
    assert "bogus" in found[0]["error"]
    assert found[1]["changes"] == ["passthrough: openai → local"]
    shown = await admin.get(f"{API}/history/3")
    (file,) = shown.json()["files"]
    assert file["name"] == "gateway.yaml"
    assert "hash: sha256:…" in file["text"]
    compared = await admin.get(f"{API}/diff", params={"old": "2"})
    assert (compared.json()["new"], compared.json()["meaning"]) == (3, ["passthrough: openai → local"])
    assert "+passthrough: local" in compared.json()["text"]
    for each in (answer, shown, compared):
        assert "canary" not in each.text
        assert "server secret" not in each.text


async def test_roll_back(admin: httpx.AsyncClient, world: FakeWorld, changed: Path) -> None:
    """ "writes the file(s) back atomically, validated first, reload as any other; audited"."""
    done = await admin.post(f"{API}/rollback", json={"version": 2, "reason": "local is slow"})
    assert done.status_code == 200, done.text
    assert (done.json()["files"], done.json()["difference"]) == ([str(changed)], ["passthrough: local → openai"])
    assert "passthrough: openai" in changed.read_text()
    assert "pk-canary-123456" in changed.read_text(), "a literal secret stays in its file"
    assert world.configuration.written.passthrough == "openai"
    newest = (await admin.get(f"{API}/history")).json()["versions"][0]
    assert (newest["version"], newest["cause"], newest["actor"], newest["reason"]) == (
        4, "rollback to version 2", "key:admin-key", "local is slow")  # fmt: skip
    ledger = world.configuration.snapshot.ledger
    assert ledger is not None
    entry = listed(ledger.url, 0, 10).entries[-1]
    assert (entry.action, entry.reason, entry.after["version"]) == ("config.rollback", "local is slow", 2)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"version": 9, "reason": "x"}, 404, "There is no version 9"),
        ({"version": 2, "reason": " "}, 400, "reason: allowed"),
        ({"version": 2}, 400, "reason"),
        ({"version": 3, "reason": "x"}, 409, "already as version 3"),
    ],
)
async def test_what_is_not_rolled_back(
    admin: httpx.AsyncClient, changed: Path, body: dict, status: int, why: str
) -> None:
    before = changed.read_text()
    answer = await admin.post(f"{API}/rollback", json=body)
    assert (answer.status_code, why in answer.json()["error"]["message"]) == (status, True), answer.text
    assert changed.read_text() == before


async def test_read_only_is_said(admin: httpx.AsyncClient, changed: Path) -> None:
    changed.chmod(0o444)
    answer = await admin.post(f"{API}/rollback", json={"version": 2, "reason": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_rolled_back")
    assert "read-only" in answer.json()["error"]["message"]


async def test_a_world_that_refuses_it_gets_its_files_back(
    admin: httpx.AsyncClient, world: FakeWorld, changed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = changed.read_text()

    async def refuse(reason: str) -> object:
        changed.write_text(changed.read_text() + "bogus: 1\n")
        return world.configuration.reload(reason)

    monkeypatch.setattr(world, "reload", refuse)
    answer = await admin.post(f"{API}/rollback", json={"version": 2, "reason": "x"})
    assert answer.status_code == 409
    assert "the files are as they were" in answer.json()["error"]["message"]
    assert changed.read_text() == before


async def test_numbers_are_numbers(admin: httpx.AsyncClient, changed: Path) -> None:
    for path in ("history/x", "history/0", "diff", "diff?old=1&new=-1", f"history/{'9' * 40}"):
        assert (await admin.get(f"{API}/{path}")).status_code == 400, path
    assert (await admin.get(f"{API}/diff?old=1&new=77")).status_code == 404


async def test_only_an_admin_rolls_back(world: FakeWorld) -> None:
    async with client_of(world, "oncall") as client:
        assert (await client.get(f"{API}/history")).status_code == 200
        assert (await client.post(f"{API}/rollback", json={"version": 1, "reason": "x"})).status_code == 403
