"""The written configuration: defaults, variants, what counts as not written. Its complaints: `test_load.py`."""

import pytest
from pydantic import SecretStr

from gateway.ledger.findings import FindingsOptions
from gateway.settings.load import findings_options
from gateway.settings.schema import FindingsSection, LedgerSection, Root
from gateway.settings.schema_base import Section
from gateway.settings.schema_limits import DowngradeSection
from gateway.settings.snapshot import LedgerOptions, ServerOptions, TelemetryOptions


def test_an_empty_configuration_is_all_defaults_and_they_are_the_snapshots() -> None:
    root = Root.model_validate({})
    assert ServerOptions(**root.server.model_dump()) == ServerOptions()
    ledger = root.ledger
    assert isinstance(ledger, LedgerSection)
    options = LedgerOptions()
    assert (ledger.url.get_secret_value(), ledger.journal, ledger.fsync, ledger.segment) == (
        options.url, options.journal, options.fsync_seconds, options.segment_bytes,
    )  # fmt: skip
    assert (ledger.retention / 86400, ledger.on_full) == (options.retention_days, options.on_full)
    assert ledger.findings == "off"
    assert findings_options(FindingsSection()) == FindingsOptions()
    telemetry, built = root.telemetry, TelemetryOptions()
    assert (telemetry.metrics, telemetry.log_level, telemetry.log_format) == (
        built.metrics, built.log_level, built.log_format,
    )  # fmt: skip


@pytest.mark.parametrize("word", ["off", "no", "false", "OFF", False])
def test_words_for_off(word: object) -> None:
    assert Root.model_validate({"telemetry": {"metrics": word}}).telemetry.metrics is False


@pytest.mark.parametrize("word", ["on", "yes", "true", True])
def test_words_for_on(word: object) -> None:
    assert Root.model_validate({"telemetry": {"metrics": word}}).telemetry.metrics is True


def test_variants() -> None:
    assert Root.model_validate({"ledger": "off", "prices": "off"}).ledger == "off"
    assert Root.model_validate({"prices": {"models": []}}).prices == {"models": []}
    assert Root.model_validate({"include": "a.yaml"}).include == "a.yaml"
    for written, expected in (("warn", "warn"), ({"downgrade": "m"}, DowngradeSection(downgrade="m"))):
        team = {"budget": {"amount": "1 USD", "when_exhausted": written}}
        budget = Root.model_validate({"teams": {"t": team}}).teams["t"].budget
        assert budget is not None
        assert budget.when_exhausted == expected


def test_an_empty_secret_counts_as_not_written() -> None:
    provider = {"dialect": "openai", "base_url": "https://h", "api_key": " ", "proxy": ""}
    section = Root.model_validate({"providers": {"p": provider}, "secrets": {"key_hash": ""}})
    assert section.providers["p"].api_key is None
    assert section.providers["p"].proxy is None
    assert section.secrets.key_hash is None


def test_no_section_can_be_changed_or_shows_its_secrets() -> None:
    root = Root.model_validate({"secrets": {"key_hash": "CANARY-0123456789"}})
    with pytest.raises(ValueError, match="frozen"):
        root.server = root.server  # type: ignore[misc]
    assert "CANARY" not in repr(root)
    assert isinstance(root.secrets.key_hash, SecretStr)


def test_every_section_says_what_it_is_for() -> None:
    todo: list[type[Section]] = list(Section.__subclasses__())
    assert len(todo) > 15
    assert all((section.__doc__ or "").strip() for section in todo)
