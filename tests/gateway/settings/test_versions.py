"""What is kept of a configuration, and how two are compared."""

from collections.abc import Callable
from pathlib import Path

from gateway.ledger.config_history import KeptFile
from gateway.settings.load import load_config
from gateway.settings.versions import kept_files, meaning_difference, relative, source_of, text_difference

REST = """\
include: teams/*.yaml
prices: prices.yaml
telemetry: {otlp: "http://canary-host:4318", headers: {api-key: canary-header}}
ledger: {url: "sqlite:///canary.db"}
webhooks: [{url: "https://canary.example", secret: "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"}]
"""
TEAM = "teams:\n  search: {limits: {requests_per_minute: 100}, keys: [{id: k, hash: 'sha256:%s'}]}\n"


def kept(write: Callable[..., Path], minimal: str, team: str = TEAM % ("ab" * 32), rest: str = REST) -> list[KeptFile]:
    text = minimal.replace("api_key: k", "api_key: canary-key") + rest
    path = write(text, prices="version: 1\n", teams__a=team)
    return kept_files(load_config(path, env={}))


def test_every_file_is_kept_and_no_secret(write: Callable[..., Path], minimal: str) -> None:
    """ "with secrets masked (literal secrets and references: references stay)"."""
    files = kept(write, minimal)
    assert [file.name for file in files] == ["gateway.yaml", "teams/a.yaml", "prices.yaml"]
    assert "canary" not in "".join(file.text for file in files)
    assert "sha256:abab" in files[1].text
    assert files[0].text.count("[masked]") == 6


def test_a_reference_stays_and_its_value_is_nowhere(write: Callable[..., Path], minimal: str) -> None:
    path = write(minimal.replace("api_key: k", "api_key: ${env:K}"))
    (file,) = kept_files(load_config(path, env={"K": "canary"}))
    assert "api_key: ${env:K}" in file.text
    assert "canary" not in file.text


def test_what_changed_in_words_and_lines(write: Callable[..., Path], minimal: str) -> None:
    """ "a semantic summary", by what it is about; key hashes are shown nowhere."""
    old = kept(write, minimal)
    other = TEAM.replace("100", "200").replace("limits", "models: [gpt-4o], limits") % ("cd" * 32)
    new = kept(write, minimal, other + "  ads: {}\n")
    assert meaning_difference(old, new) == [
        "team search: limits.requests_per_minute 100 → 200",
        "team search: keys[k]: changed (hash)",
        "team search: models: added",
        "team ads: added",
    ]
    lines = text_difference(old, new, "version 1", "version 2")
    assert lines[:2] == ["--- teams/a.yaml (version 1)", "+++ teams/a.yaml (version 2)"]
    assert "+  ads: {}" in lines
    assert "abab" not in "".join(lines)
    assert "cdcd" not in "".join(lines)
    assert text_difference(old, old, "a", "b") == meaning_difference(old, old) == []


def test_a_file_more(write: Callable[..., Path], minimal: str) -> None:
    old = kept(write, minimal)
    lines = text_difference(old, [*old, KeptFile("teams/b.yaml", "teams: {b: {}}\n")], "1", "2")
    assert lines == ["--- /dev/null", "+++ teams/b.yaml (2)", "@@ -0,0 +1 @@", "+teams: {b: {}}"]
    assert meaning_difference(old, [*old, KeptFile("teams/b.yaml", "teams: {b: {}}\n")]) == ["team b: added"]
    assert meaning_difference(old, [*old[:2], KeptFile("prices.yaml", "version: 2\n")]) == ["prices.version: 1 → 2"]


def test_names(tmp_path: Path) -> None:
    main = tmp_path / "conf" / "gateway.yaml"
    assert relative(main, tmp_path / "conf" / "teams" / "a.yaml") == "teams/a.yaml"
    assert relative(main, tmp_path / "shared.yaml") == "../shared.yaml"
    assert source_of(main) == str(main)
