"""The JSON of the configuration's history."""

import msgspec


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration that was in force, or, without a version, one that was refused."""

    version: int | None
    at: str
    hash: str
    """Of a refused one: of what stayed in force."""
    cause: str
    """start, file change, SIGHUP, reload, tollway reload, or rollback to version N."""
    actor: str
    """`key:ID`, `cli:USER`; empty: not known."""
    reason: str
    changes: list[str]
    """What it changed against the one before, without secrets."""
    error: str
    """Why it was refused: a problem a line."""
    in_force: bool
    """It is the newest version."""


class VersionList(msgspec.Struct, frozen=True):
    """Newest first."""

    source: str
    versions: list[VersionView]


class FileView(msgspec.Struct, frozen=True):
    """One file. Literal secrets read `[masked]`, digests of keys `…`."""

    name: str
    text: str


class VersionDetail(msgspec.Struct, frozen=True):
    """One version with its files; null: they were too large to be kept."""

    version: VersionView
    files: list[FileView] | None


class DifferenceView(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions."""

    old: int
    new: int
    meaning: list[str]
    """Such as `team search: budget.amount 100 USD → 200 USD`."""
    text: list[str]
    """Lines of a unified difference."""


class RollBack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for."""

    version: int
    reason: str
    discard_edits: bool = False
    """Files that were edited and never in force are overwritten all the same."""


class RolledBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a roll back came to."""

    version: int
    """The one whose files were put back."""
    old_hash: str
    new_hash: str
    files: list[str]
    """Those that were written."""
    difference: list[str]
    notes: list[str]
    restart: list[str]
    """Options that changed and only count after a restart."""
    signalled: int = 0
    """Other workers that were told to reload."""
