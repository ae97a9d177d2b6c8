"""Files of terms."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway.settings.term_files as term_files
from gateway.clock import ManualClock
from gateway.settings.load import load_config
from gateway.settings.reload import Configuration
from gateway.settings.term_files import TermFileError, read_terms


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=6), max_size=6))
def test_one_a_line_blank_lines_left_out(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """'one a line, blank lines left out'; 'each without blanks around it'."""
    file = tmp_path_factory.getbasetemp() / "terms.txt"
    file.write_bytes("\r\n".join(lines).encode())
    expected = tuple(line.strip() for line in lines if line.strip())
    if expected and not expected[0].startswith("\ufeff"):
        assert read_terms(file) == expected
    elif not expected:
        with pytest.raises(TermFileError, match="holds no terms"):
            read_terms(file)


def test_a_byte_order_mark_is_no_part_of_the_first_term(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfAcme\nGlobex\n")
    assert read_terms(tmp_path / "t") == ("Acme", "Globex")


def test_what_cannot_be_read_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t").write_bytes(b"Acme\nCANARY\xff\n")
    with pytest.raises(TermFileError, match=r"not text in UTF-8 \(line 2\)") as refused:
        read_terms(tmp_path / "t")
    assert "CANARY" not in str(refused.value)
    with pytest.raises(TermFileError, match="No such file"):
        read_terms(tmp_path / "u")
    monkeypatch.setattr(term_files, "MOST_BYTES", 4)
    with pytest.raises(TermFileError, match="too long"):
        read_terms(tmp_path / "t")


def test_a_changed_file_is_a_changed_configuration(write: Callable[..., Path], minimal: str, tmp_path: Path) -> None:
    """The path is relative to the file that names it, and the watch follows it."""
    (tmp_path / "sub").mkdir()
    terms = tmp_path / "sub" / "customers.txt"
    terms.write_text("Acme\n")
    path = write(
        minimal + "include: [sub/rules.yaml]\nprices: off\nteams: {t: {guardrails: p}}\n",
        sub__rules="guardrails: {p: [{detect: terms, terms: [Globex], file: customers.txt}]}\n",
    )
    assert load_config(path).terms == {("guardrails", "p", 0): ("Acme",)}
    configuration = Configuration(path, clock=ManualClock(), env={})
    before = configuration.snapshot
    assert terms in configuration.sources.stamps
    assert configuration.reload("test").ok
    assert configuration.snapshot is before
    terms.write_text("Acme\nInitech\n")
    assert configuration.sources.changed()
    result = configuration.reload("test")
    assert result.ok
    assert result.old_hash != result.new_hash
    assert result.difference == ["guardrails.p[0].file: 1 terms added, 0 removed"]
    assert configuration.snapshot is not before
