"""Reads the written configuration: files, includes, variables, schema, references; every problem found is reported at
once, as `file:line:column: what is wrong; what is allowed`.

No message ever holds a value that came from a variable or stands in a secret field.
"""

import hashlib
import os
from collections.abc import Mapping as MappingABC
from pathlib import Path
from typing import cast

import msgspec
from pydantic import BaseModel, SecretStr, ValidationError

from gateway.errors import ConfigError
from gateway.facts import Wire
from gateway.ledger.findings import FindingsOptions
from gateway.settings.complaints import complaints, place_of
from gateway.settings.guardrail_checks import check_guardrails
from gateway.settings.include import Tree
from gateway.settings.interpolate import SOURCES, Data, DataPath, Resolver
from gateway.settings.limit_checks import check_limits
from gateway.settings.references import check_references
from gateway.settings.schema import FindingsSection, LedgerSection, Root
from gateway.settings.snapshot import LedgerOptions
from gateway.settings.sources import Sources
from gateway.settings.term_files import TermFileError, read_terms
from gateway.settings.yaml_marks import Mapping, Node, Place, Problem, Scalar, Sequence, YamlError, parse
from pricing.overlay import Overlay, OverlayError, parse_overlay


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration as it was written, checked, with variables filled in."""

    path: Path
    root: Root
    prices: Overlay | None
    """None: `prices: off`."""
    data: dict[str, Data]
    """The resolved tree, every scalar as text; for differences."""
    secret: frozenset[DataPath]
    """Paths of values that are never shown: secret fields, and whatever came from a variable."""
    sources: Sources
    """Every file that it was read from, secrets and prices included."""
    hash: str
    """SHA-256, first 16 hex digits, of what it means; comments, the order of names and splitting into files
    do not count."""
    workers: int | None = None
    """What the command line says instead of `server.workers`."""
    terms: dict[DataPath, tuple[str, ...]] = {}
    """What stands in files of terms, by the path of the rule that names the file."""
    nodes: Mapping | None = None
    """The tree as it was read, for the places of problems that are found later."""
    texts: dict[Path, bytes] = {}
    """The YAML files it was read from, as they were, literal secrets included: the main file first."""

    def problem(self, path: DataPath, message: str) -> str:
        """`message` with the place of what stands at `path`."""
        return message if self.nodes is None else str(Problem(place_of(self.nodes, path), message))

    @property
    def ledger(self) -> LedgerOptions | None:
        """The ledger's options; None: `ledger: off`."""
        section = self.root.ledger
        return None if section == "off" else ledger_options(section)

    @property
    def passthrough(self) -> str | None:
        """Name of the provider of operations that name no model."""
        return self.root.passthrough or next(iter(self.root.providers), None)

    @property
    def passthrough_others(self) -> dict[Wire, str]:
        """The first provider of each wire that the one above does not speak."""
        return _others(self.root, self.passthrough)


class LoadError(ConfigError):
    """A configuration that cannot be used, and what was read to find that out."""

    def __init__(self, problems: list[str], sources: Sources) -> None:
        super().__init__(problems)
        self.sources = sources


def load_config(
    path: Path | str,
    *,
    env: MappingABC[str, str] | None = None,
    workers: int | None = None,
    instead: MappingABC[Path, bytes] | None = None,
) -> Written:
    """Read and check a configuration file.

    `env` stands in for the process's environment. `workers` overrides `server.workers` in the check that limits can be
    shared. `instead`: what YAML files (by resolved path) are taken to hold. Raises `LoadError` (a `ConfigError`) with
    every problem found.
    """
    return _Loader(Path(path), os.environ if env is None else env, instead).load(workers)


def ledger_options(section: LedgerSection) -> LedgerOptions:
    return LedgerOptions(
        url=section.url.get_secret_value(),
        journal=section.journal,
        fsync_seconds=section.fsync,
        segment_bytes=section.segment,
        retention_days=section.retention / 86400,
        on_full=section.on_full,
        findings=None if section.findings == "off" else findings_options(section.findings),
    )


def findings_options(section: FindingsSection) -> FindingsOptions:
    return FindingsOptions(sample=section.sample, most=section.most, retention_days=section.retention / 86400)


class _Loader:
    """One run over one configuration."""

    def __init__(self, path: Path, env: MappingABC[str, str], instead: MappingABC[Path, bytes] | None) -> None:
        self._problems: list[Problem] = []
        self._sources = Sources()
        self._tree = Tree(path, self._sources, self._problems, instead)
        self._path = path
        self._resolver = Resolver(env, self._allowed(), self._sources, self._problems)

    def load(self, workers: int | None) -> Written:
        if self._tree.root is None:
            raise self._refusal()
        nodes = self._tree.include(lambda scalar: cast("str | None", self._resolver.data(scalar, ("include",))))
        data = cast("dict[str, Data]", self._resolver.data(nodes))
        root = self._validated(data, nodes)
        check_references(
            data,
            lambda at, message: self._note(place_of(nodes, at), message),
            self._resolver.drawn,
        )
        check_limits(
            data,
            lambda at, message: self._note(place_of(nodes, at), message),
            self._resolver.drawn,
            workers,
        )
        check_guardrails(
            data,
            # In a mapping of types to scores it is the name that is wrong.
            lambda at, message: self._note(place_of(nodes, at, key=at[-2:-1] == ("thresholds",)), message),
            self._resolver.drawn,
        )
        overlay, prices = self._prices(data, nodes)
        terms = self._terms(data, nodes)
        if root is None or self._problems:
            raise self._refusal()
        secret = frozenset(
            {path for path, value in leaves(root) if isinstance(value, SecretStr)} | self._resolver.drawn
        )
        if prices is not None:
            data["prices"] = prices
        return Written(
            path=self._path,
            root=root,
            prices=overlay,
            data=data,
            secret=secret,
            sources=self._sources,
            hash=_hash_of(root, prices, terms),
            workers=workers,
            terms=terms,
            nodes=nodes,
            texts=self._tree.texts,
        )

    def _allowed(self) -> tuple[str, ...]:
        """`secrets.from` of the main file: it must be known before any variable is read, so it cannot be one."""
        node: Node | None = self._tree.root
        for name in ("secrets", "from"):
            node = node.entries.get(name) if isinstance(node, Mapping) else None
        if not isinstance(node, Sequence):
            return SOURCES
        written = [item.text for item in node.items if isinstance(item, Scalar)]
        return tuple(source for source in SOURCES if source in written)

    def _validated(self, data: dict[str, Data], nodes: Mapping) -> Root | None:
        try:
            return Root.model_validate(data)
        except ValidationError as error:
            self._problems += complaints(error, Root, nodes, self._resolver.failed)
            return None

    def _prices(self, data: dict[str, Data], nodes: Mapping) -> tuple[Overlay | None, Data]:
        """The overlay, and the data it was made of (which counts for the hash)."""
        written = data.get("prices")
        at: DataPath = ("prices",)
        where: Node = nodes
        if written == "off":
            return None, "off"
        if isinstance(written, str):
            found = self._read_prices(self._path.parent / written, place_of(nodes, at))
            if found is None:
                return None, None
            where, at = found, ()
            written = self._resolver.data(found, ("prices",))
        elif isinstance(written, list):
            return None, None  # the schema has complained
        try:
            return parse_overlay(_with_numbers(written)), written
        except OverlayError as error:
            for path, message in error.problems:
                if (other := error.earlier.get(path)) is not None:
                    first = ".".join(map(str, other))
                    message = message.replace(first, f"the entry at {place_of(where, (*at, *other))}")
                self._note(place_of(where, (*at, *path), key=message.startswith("unknown key")), f"price: {message}")
            return None, None

    def _terms(self, data: dict[str, Data], nodes: Mapping) -> dict[DataPath, tuple[str, ...]]:
        """What stands in the files that rules name. A path is relative to the file that names it."""
        found: dict[DataPath, tuple[str, ...]] = {}
        policies = data.get("guardrails")
        for policy, rules in policies.items() if isinstance(policies, dict) else ():
            for at, rule in enumerate(rules if isinstance(rules, list) else ()):
                name = rule.get("file") if isinstance(rule, dict) else None
                if not isinstance(name, str) or not name:
                    continue
                path: DataPath = ("guardrails", policy, at)
                place = place_of(nodes, (*path, "file"))
                file = Path(place.file).parent / name
                self._sources.note(file)
                try:
                    found[path] = read_terms(file)
                except TermFileError as error:
                    self._note(place, f"{error}; allowed is a readable text file with a term a line")
        return found

    def _read_prices(self, path: Path, place: Place) -> Node | None:
        try:
            return parse(self._tree.content(path), str(path), self._problems)
        except YamlError as error:
            self._problems.append(error.problem)
        except OSError as error:
            self._note(
                place, f"the price file cannot be read: {error.strerror}; allowed are off, a YAML file, or prices"
            )
        return None

    def _note(self, place: Place, message: str) -> None:
        self._problems.append(Problem(place, message))

    def _refusal(self) -> LoadError:
        """Problems in the order of files as they were read, then of lines; each once."""
        order = {str(file): at for at, file in enumerate(self._tree.files)}
        found = sorted(set(self._problems), key=lambda problem: (order.get(problem.place.file, len(order)), problem))
        return LoadError([str(problem) for problem in found], self._sources)


def _with_numbers(data: Data) -> object:
    """Whole numbers as such; decimals stay text, because money is never a float."""
    if isinstance(data, dict):
        return {name: _with_numbers(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_with_numbers(item) for item in data]
    if isinstance(data, str) and data.isascii() and data.isdecimal() and (data == "0" or data[0] != "0"):
        return int(data) if len(data) < 19 else data
    return data


def leaves(value: object, path: DataPath = ()) -> "list[tuple[DataPath, object]]":
    """Every leaf of a validated section, with its path as it is written."""
    if isinstance(value, BaseModel):
        named = [(field.alias or name, getattr(value, name)) for name, field in type(value).model_fields.items()]
        return [leaf for name, below in named for leaf in leaves(below, (*path, name))]
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return [leaf for name, below in entries.items() for leaf in leaves(below, (*path, name))] or [(path, {})]
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [leaf for at, below in enumerate(items) for leaf in leaves(below, (*path, at))] or [(path, [])]
    return [(path, value)]


def _others(root: Root, default: str | None) -> dict[Wire, str]:
    own = root.providers[default].dialect if default in root.providers else None
    found: dict[Wire, str] = {}
    for name, provider in root.providers.items():
        if provider.dialect != own:
            found.setdefault(provider.dialect, name)
    return found


def _hash_of(root: Root, prices: Data, terms: dict[DataPath, tuple[str, ...]]) -> str:
    """Defaults count as if they were written. Secrets enter as digests."""
    meaning: list[tuple[list[str], str]] = []
    for path, value in leaves(root):
        if path[0] in ("include", "prices"):
            continue
        if isinstance(value, SecretStr):
            spoken = "secret:" + hashlib.sha256(value.get_secret_value().encode()).hexdigest()
        else:
            spoken = f"{type(value).__name__}:{value}"
        meaning.append(([f"{step:09d}" if isinstance(step, int) else step for step in path], spoken))
    default = root.passthrough or next(iter(root.providers), "")
    passthrough = "/".join([default, *_others(root, default).values()])
    listed = sorted((path, hashlib.sha256("\n".join(each).encode()).hexdigest()) for path, each in terms.items())
    whole = msgspec.json.encode([sorted(meaning), passthrough, prices, *([listed] if listed else [])], order="sorted")
    return hashlib.sha256(whole).hexdigest()[:16]
