"""`${env:NAME}`, `${env:NAME:-default}` and `${file:/path}` in values, put in place before the schema looks.

What came from a variable is remembered (`drawn`): it may be a secret, so no message and no difference ever shows it.
`$${` stands for a literal `${`. Text that escapes of a quoted scalar make up is never a variable.
"""

import re
from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import TypeAlias

from gateway.settings.sources import Sources
from gateway.settings.yaml_marks import Mapping, Node, Place, Problem, Scalar, hidden_runs

Data: TypeAlias = "str | list[Data] | dict[str, Data] | None"
"""Resolved YAML: every scalar is text or nothing."""
DataPath: TypeAlias = tuple[str | int, ...]

SOURCES = ("env", "file")
MAX_SECRET_FILE = 1024 * 1024
_TOKEN = re.compile(r"\$?\$\{([^{}]*)\}")
_INSIDE = re.compile(r"(env|file):(.*?)(?::-(.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALLOWED = "allowed are ${env:NAME}, ${env:NAME:-default} and ${file:/path}; write $${ for a literal ${"


class Resolver:
    """Turns nodes into data, collecting problems instead of stopping at the first."""

    def __init__(
        self, env: MappingABC[str, str], allowed: tuple[str, ...], sources: Sources, problems: list[Problem]
    ) -> None:
        """`allowed`: which of `env` and `file` may be used (`secrets.from`). Files read are noted in `sources`."""
        self._env = env
        self._allowed = allowed
        self._sources = sources
        self._problems = problems
        self.drawn: set[DataPath] = set()
        """Paths of values that came from a variable."""
        self.failed: set[DataPath] = set()
        """Paths of values that have a problem already, so that nobody complains of them twice."""

    def data(self, node: Node, path: DataPath = ()) -> Data:
        """The data under `node`. A value with a problem becomes None; `path` is where it stands in the whole tree."""
        if isinstance(node, Scalar):
            return self._scalar(node, path)
        if isinstance(node, Mapping):
            return {name: self.data(value, (*path, name)) for name, value in node.entries.items()}
        return [self.data(item, (*path, at)) for at, item in enumerate(node.items)]

    def _scalar(self, node: Scalar, path: DataPath) -> str | None:
        if node.text is None:
            return None
        pieces: list[str] = []
        varies = False
        for text, hidden in hidden_runs(node.text):
            if not hidden:
                if "${" in text.replace("$${", ""):
                    self._wrong(node.place, f"this variable is not complete; {_ALLOWED}")
                    self.failed.add(path)
                    return None
                pieces.append(text)
                continue
            for token in _TOKEN.finditer(text):
                if token[0].startswith("$$"):
                    pieces.append(token[0][1:])
                    continue
                varies = True
                value = self._variable(token[1], node.place)
                if value is None:
                    self.failed.add(path)
                    return None
                pieces.append(value)
        whole = "".join(pieces)
        if varies:
            self.drawn.add(path)
        return None if varies and node.plain and not whole else whole

    def _variable(self, inside: str, place: Place) -> str | None:
        found = _INSIDE.fullmatch(inside)
        if found is None:
            return self._wrong(place, f"this is not a variable; {_ALLOWED}")
        source, name, default = found.groups()
        if source not in self._allowed:
            allowed = ", ".join(self._allowed) or "none"
            return self._wrong(
                place, f"variables from {source} are switched off; allowed by secrets.from are: {allowed}"
            )
        if source == "file":
            return self._file(name, default, place)
        if not _NAME.fullmatch(name):
            return self._wrong(place, f"this is not a name of an environment variable; {_ALLOWED}")
        # As in a shell, `:-` also replaces a variable that is set to nothing.
        value = self._env.get(name)
        if not value and default is not None:
            return default
        if value is None:
            return self._wrong(
                place, f"the environment variable {name} is not set; set it, or give a default: ${{env:{name}:-…}}"
            )
        if not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
            return self._wrong(place, f"the environment variable {name} is not text in UTF-8; allowed is text")
        return value

    def _file(self, name: str, default: str | None, place: Place) -> str | None:
        path = Path(place.file).parent / name
        self._sources.note(path)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_SECRET_FILE + 1)
            if len(data) > MAX_SECRET_FILE:
                return self._wrong(
                    place, f"the file {name} is too long for a value; allowed are {MAX_SECRET_FILE} bytes"
                )
            return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            if default is not None and isinstance(error, FileNotFoundError):
                return default
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            return self._wrong(place, f"the file {name} cannot be read: {reason}; allowed is a readable text file")

    def _wrong(self, place: Place, message: str) -> None:
        self._problems.append(Problem(place, message))
