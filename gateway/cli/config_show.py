"""How `tollway config` prints versions and what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.admin.config_shapes import DifferenceView, RolledBack, VersionDetail, VersionList, VersionView

MOST_CHANGES = 3
"""Lines of one version in the list; `diff` has all."""


def print_versions(found: VersionList) -> None:
    from gateway.cli.tables import Column, Row, Sheet, console_for_people, print_sheet

    console = console_for_people()
    if not found.versions:
        console.print(f"No version of {found.source} is known yet: a running gateway tells them.", markup=False)
        return
    columns = [Column(name) for name in ("version", "at (UTC)", "who", "how")]
    rows: list[Row] = []
    for each in found.versions:
        number = "refused" if each.version is None else f"{each.version}{' ←' if each.in_force else ''}"
        style = "red" if each.version is None else "bold" if each.in_force else ""
        cells = (number, each.at[:19].replace("T", " "), each.actor or "–", each.cause, _changed(each))
        rows.append(Row(cells, style))
    print_sheet(console, Sheet((*columns, Column("what changed", "prose")), rows))


def print_version(found: VersionDetail) -> None:
    it = found.version
    who = f" by {it.actor}" if it.actor else ""
    print(f"# version {it.version}, {it.hash}, {it.at}, {it.cause}{who}{f': {it.reason}' if it.reason else ''}")
    if found.files is None:
        print("# its files were too large to be kept")
    for file in found.files or []:
        print(f"\n# ---- {file.name}")
        print(file.text, end="" if file.text.endswith("\n") else "\n")


def print_difference(found: DifferenceView) -> None:
    from rich.text import Text

    from gateway.cli.tables import console_for_people

    console = console_for_people()
    if not found.text:
        console.print(f"Versions {found.old} and {found.new} have the same files.")
        return
    for line in found.meaning or ["Nothing that counts: comments, order, or literal secrets."]:
        console.print(Text(line, style="bold"))
    console.print()
    for line in found.text:
        console.print(Text(line, style=_style(line)), soft_wrap=True)


def print_rollback(done: RolledBack) -> None:
    print(f"The files of version {done.version} are back: {', '.join(done.files)}")
    if done.old_hash != done.new_hash:
        print(f"{done.old_hash or '(none)'} → {done.new_hash}")
    for line in done.difference:
        print(f"  {line}")
    for line in done.restart:
        print(f"  after a restart only: {line}")
    for line in done.notes:
        print(line)


def _changed(each: VersionView) -> str:
    lines = each.error.splitlines() if each.version is None else each.changes
    shown = lines[:MOST_CHANGES] + ([f"and {len(lines) - MOST_CHANGES} more"] if len(lines) > MOST_CHANGES else [])
    return "\n".join([*([each.reason] if each.reason else []), *shown])


def _style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
