"""Reload: all or nothing, from any thread, with the last good configuration kept."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import gateway.settings.reload as reload_module
from gateway.clock import ManualClock
from gateway.errors import ConfigError
from gateway.ledger.keystore import StoredKey
from gateway.settings.reload import Configuration, ReloadResult

SECRET = "server-secret-0123456789"


def stored(id_: str, digest: str = "ab" * 32) -> StoredKey:
    return StoredKey(
        id=id_, team="t", name="", digest=digest, prefix="", last4="", models=None, tags={}, created_ns=1,
        expires_ns=None, revoked_ns=None, rotated_from=None, overlap_until_ns=None,
    )  # fmt: skip


@pytest.fixture
def path(write: Callable[..., Path], minimal: str) -> Path:
    return write(minimal + f"prices: off\nteams: {{t: {{}}}}\nsecrets: {{key_hash: {SECRET}}}\n")


@pytest.fixture
def configuration(path: Path) -> Configuration:
    return Configuration(path, clock=ManualClock(), env={})


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_changed_file_is_taken_up_whole(configuration: Configuration, path: Path) -> None:
    before = configuration.snapshot
    change(path, "gpt-4o", "gpt-5")
    result = configuration.reload("test")
    assert result == ReloadResult(
        ok=True,
        reason="test",
        old_hash=before.hash,
        new_hash=configuration.snapshot.hash,
        difference=["models.gpt-4o: removed", "models.gpt-5: added"],
    )
    assert before.hash != configuration.snapshot.hash
    assert before.routes.names() == ["gpt-4o"]
    assert configuration.snapshot.routes.names() == ["gpt-5"]
    assert configuration.reloads == {"success": 1, "failure": 0}


def test_a_bad_file_changes_nothing_and_is_remembered(configuration: Configuration, path: Path) -> None:
    before, good = configuration.snapshot, path.read_text()
    change(path, "models:", "modells:")
    result = configuration.reload("test")
    assert not result.ok
    assert result.new_hash == before.hash
    assert result.error is not None
    assert "unknown key 'modells'; did you mean 'models'?" in result.error
    assert configuration.last_error == result.error
    assert configuration.snapshot is before
    assert configuration.reloads == {"success": 0, "failure": 1}
    path.write_text(good)
    assert configuration.reload("test").ok
    assert configuration.last_error is None
    assert configuration.snapshot is before


def test_the_same_meaning_keeps_the_same_snapshot(configuration: Configuration, path: Path) -> None:
    before = configuration.snapshot
    path.write_text("# a comment\n" + path.read_text())
    result = configuration.reload("test")
    assert result.ok
    assert result.difference == []
    assert configuration.snapshot is before
    assert not configuration.sources.changed()


BROKEN_PATTERN = "guardrails: {p: [{detect: patterns, patterns: [{name: x, regex: '(?=a)b['}]}]}\n"


def test_a_file_that_cannot_be_compiled_is_tried_once(configuration: Configuration, path: Path) -> None:
    """`Configuration.sources`: "What the last attempt read, whether it succeeded or not"; who watches it would reload
    for ever."""
    path.write_text(path.read_text() + BROKEN_PATTERN)
    result = configuration.reload("test")
    assert result.error is not None
    assert "pattern 'x' is not a regular expression" in result.error
    assert not configuration.sources.changed()
    change(path, "(?=a)b[", "ab")
    assert configuration.sources.changed()
    assert configuration.reload("test").ok


def test_a_defect_of_ours_keeps_the_last_good_one(
    configuration: Configuration, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CANARY")

    before = configuration.snapshot
    change(path, "gpt-4o", "gpt-5")
    monkeypatch.setattr(reload_module, "compile_snapshot", broken)
    result = configuration.reload("test")
    assert not result.ok
    assert result.error is not None
    assert "RuntimeError" in result.error
    assert "CANARY" not in result.error
    assert configuration.snapshot is before
    assert not configuration.sources.changed()


def test_keys_of_the_ledger_survive_a_reload(configuration: Configuration, path: Path) -> None:
    configuration.set_keys([stored("one")])
    assert len(configuration.snapshot.keys) == 1
    change(path, "gpt-4o", "gpt-5")
    assert configuration.reload("test").ok
    assert len(configuration.snapshot.keys) == 1
    routes = configuration.snapshot.routes
    configuration.set_keys([])
    assert len(configuration.snapshot.keys) == 0
    assert configuration.snapshot.routes is routes


def test_whoever_subscribed_hears_of_every_reload(configuration: Configuration, path: Path) -> None:
    heard: list[bool] = []
    configuration.subscribe(lambda result: heard.append(result.ok))
    configuration.reload("test")
    change(path, "models:", "modells:")
    configuration.reload("test")
    assert heard == [True, False]


def test_the_command_lines_workers_stay(path: Path) -> None:
    configuration = Configuration(path, clock=ManualClock(), env={}, workers=3)
    assert configuration.snapshot.server.workers == 3
    change(path, "teams: {t: {}}", "teams: {t: {limits: {concurrent: 1}}}")
    assert "3 workers cannot share" in (configuration.reload("test").error or "")


def test_a_first_file_that_is_bad_is_an_error(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        Configuration(write("servr: {}\n"), clock=ManualClock(), env={})


def test_variables_are_read_again(write: Callable[..., Path], minimal: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("first\n")
    path = write(minimal.replace("api_key: k", "api_key: ${file:key}") + "prices: off\n")
    configuration = Configuration(path, clock=ManualClock(), env={})
    (tmp_path / "key").write_text("second\n")
    result = configuration.reload("test")
    assert result.difference == ["providers.openai.api_key: (changed)"]
    assert configuration.snapshot.routes.exact["gpt-4o"].targets[0].provider.api_key == "second"


def test_readers_never_see_half_a_configuration(configuration: Configuration, path: Path) -> None:
    """Provider and upstream model carry the same number in each generation; no snapshot may mix them."""
    template = path.read_text().replace("openai", "p{0}", 1).replace("provider: openai", "provider: p{0}, model: m{0}")
    mixed: list[tuple[str, str]] = []
    seen: set[str] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            snapshot = configuration.snapshot
            target = snapshot.routes.exact["gpt-4o"].targets[0]
            seen.add(target.model)
            if target.model[1:] != target.provider.name[1:] and target.provider.name != "openai":
                mixed.append((target.model, target.provider.name))

    def keys() -> None:
        count = 0
        while not stop.is_set():
            configuration.set_keys([stored("one")] * (count % 2))
            count += 1

    readers = [threading.Thread(target=read), threading.Thread(target=keys)]
    for reader in readers:
        reader.start()
    for number in range(60):
        path.write_text(template.replace("{0}", str(number)))
        assert configuration.reload("test").ok
    stop.set()
    for reader in readers:
        reader.join()
    assert mixed == []
    assert len(seen) > 1


def test_reloads_at_once_are_told_one_after_the_other(configuration: Configuration) -> None:
    """A signal and the file watch may meet: what is written of a reload must not be written by two."""
    inside, most = 0, 0
    order: list[str] = []
    started = threading.Barrier(4)

    def listener(result: ReloadResult) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        started_others.wait(0.05)
        order.append(result.reason)
        inside -= 1

    started_others = threading.Event()
    configuration.subscribe(listener)

    def reload(n: int) -> None:
        started.wait(30)
        configuration.reload(str(n))

    threads = [threading.Thread(target=reload, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1
    assert sorted(order) == ["0", "1", "2", "3"]
