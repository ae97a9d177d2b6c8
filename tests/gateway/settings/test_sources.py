"""Whether anything that was read is another thing now."""

import os
from pathlib import Path

from gateway.settings.sources import Sources


def test_a_file_written_replaced_removed_or_made_is_a_change(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    for change in (
        lambda: file.write_text("22"),
        lambda: os.replace(_made(tmp_path / "new", "22"), file),
        lambda: file.unlink(),
        lambda: other.write_text("x"),
    ):
        sources = Sources()
        sources.note(file)
        sources.note(other)
        assert not sources.changed()
        change()
        assert sources.changed()


def test_a_symbolic_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """Kubernetes swaps a link of the directory; the file's own name never changes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(name)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "gateway.yaml").symlink_to("data/gateway.yaml")
    sources = Sources()
    sources.note(tmp_path / "gateway.yaml")
    (tmp_path / "next").symlink_to("two")
    os.replace(tmp_path / "next", tmp_path / "data")
    assert sources.changed()


def test_a_file_that_begins_to_match_a_pattern_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    sources = Sources()
    assert sources.matches(tmp_path, "teams/*.yaml") == []
    (tmp_path / "teams" / "a.txt").write_text("")
    assert not sources.changed()
    (tmp_path / "teams" / "b.yaml").write_text("")
    assert sources.changed()
    assert sources.matches(tmp_path, "teams/*.yaml") == [tmp_path / "teams" / "b.yaml"]


def _made(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
