"""What changed between two written configurations, for people, without secrets."""

from collections.abc import Iterator

from gateway.limits.shared.address import AddressError, parse_address
from gateway.settings.interpolate import Data, DataPath
from gateway.settings.load import Written

MOST_LINES = 200
_KINDS = {"teams": "team", "providers": "provider", "models": "model", "guardrails": "policy"}
_PEOPLES = frozenset(("allow", "terms", "topics"))
_LONGEST = 120

_RESTART = (
    ("server", "host"),
    ("server", "port"),
    ("server", "workers"),
    ("server", "max_headers"),
    ("server", "keep_alive"),
    ("server", "runtime_dir"),
    ("ledger",),
    ("limits", "store"),
    ("limits", "patience"),
    ("limits", "lease"),
    ("telemetry", "metrics"),
    ("telemetry", "log_level"),
    ("telemetry", "log_format"),
    ("telemetry", "otlp"),
    ("telemetry", "otlp_metrics"),
    ("telemetry", "headers"),
    ("telemetry", "semconv"),
)
"""What a running process does not take up from a reload."""


def difference(old: Written, new: Written) -> list[str]:
    """Lines such as `models.gpt-4o: added` and `server.drain: 30s → 10s`, at most 200. Values of secret fields, key
    hashes and whatever came from a variable are shown as `(changed)`."""
    lines = [*_stale(old, new), *_Differ(old.secret | new.secret).compare(old.data, new.data, ()), *_terms(old, new)]
    if old.hash != new.hash and not lines:
        lines = ["the order of providers: changed (the first one is the default of passthrough)"]
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more"]


def _stale(old: Written, new: Written) -> Iterator[str]:
    """Rules whose allowed digests were made with a secret that nobody knows any more."""
    before, after = old.root.secrets, new.root.secrets
    if before.key_hash in (None, after.key_hash, after.previous_key_hash):
        return
    for policy, rules in new.root.guardrails.items():
        stood = {digest for rule in old.root.guardrails.get(policy, []) for digest in rule.allow.digests}
        for at, rule in enumerate(rules):
            if lost := len(stood.intersection(rule.allow.digests)):
                yield (
                    f"guardrails.{policy}[{at}].allow.digests: {lost} of another secrets.key_hash, which match nothing "
                    "any more; set secrets.previous_key_hash to what key_hash was"
                )


def data_difference(old: dict[str, Data], new: dict[str, Data]) -> Iterator[str]:
    """The same of two trees that hold no secret, such as kept versions, worded by what each line is about:
    `team search: budget.amount 100 USD → 200 USD`. Key hashes are hidden here, too."""
    differ = _Differ(frozenset())
    for section in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(section), new.get(section)
        kind = _KINDS.get(section)
        if kind is None or not isinstance(before, dict | None) or not isinstance(after, dict | None):
            yield from differ.compare(before, after, (section,))
            continue
        before, after = before or {}, after or {}
        for name in [*before, *(name for name in after if name not in before)]:
            path = (section, name)
            for line in differ.compare(before.get(name), after.get(name), path):
                rest = line.removeprefix(_spoken(path))
                if rest[:1] != ":":
                    said = rest.lstrip(".")
                    rest = ": " + (said.replace(": ", " ", 1) if "→" in said else said)
                yield f"{kind} {name}{rest}"


def _terms(old: Written, new: Written) -> Iterator[str]:
    """Files of terms that changed while their names did not."""
    for path in old.terms.keys() & new.terms.keys():
        if old.terms[path] != new.terms[path]:
            before, after = frozenset(old.terms[path]), frozenset(new.terms[path])
            yield f"{_spoken((*path, 'file'))}: {len(after - before)} terms added, {len(before - after)} removed"


def needs_restart(old: Written, new: Written) -> list[str]:
    """Options that changed and only count after a restart. The limit store's password is none: it is taken up."""
    before, after = old.root.model_dump(), new.root.model_dump()
    stores = [_servers(each.root.limits.store.get_secret_value()) for each in (old, new)]
    changed = [path for path in _RESTART if _at(before, path) != _at(after, path)]
    return [".".join(path) for path in changed if path != ("limits", "store") or stores[0] != stores[1]]


def _servers(store: str) -> object:
    """Where counters are kept, whoever comes there."""
    try:
        return parse_address(store).nameless
    except AddressError:
        return store  # memory, or what cannot be used


def _at(tree: object, path: tuple[str, ...]) -> object:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return tree  # pyright: ignore[reportUnknownVariableType]


class _Differ:
    def __init__(self, secret: frozenset[DataPath]) -> None:
        self._secret = secret
        self._above_secret = {path[:length] for path in secret for length in range(len(path))}

    def compare(self, old: Data, new: Data, path: DataPath) -> Iterator[str]:
        if old == new or path == ("include",):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for name in [*old, *(name for name in new if name not in old)]:
                yield from self.compare(old.get(name), new.get(name), (*path, name))
        elif isinstance(old, list) and isinstance(new, list) and any(isinstance(x, dict) for x in [*old, *new]):
            yield from self._items(old, new, path)
        elif old is None or new is None:
            yield self._appeared(old, new, path)
        else:
            yield self._changed(old, new, path)

    def _items(self, old: list[Data], new: list[Data], path: DataPath) -> Iterator[str]:
        """Keys are told apart by their id, rules and budgets by their name, all else by its place in the list."""
        before, after = _by_id(old), _by_id(new)
        if before is None or after is None:
            for at in range(max(len(old), len(new))):
                yield from self.compare(
                    old[at] if at < len(old) else None, new[at] if at < len(new) else None, (*path, at)
                )
            return
        for name in [*before, *(name for name in after if name not in before)]:
            mine, theirs = before.get(name), after.get(name)
            if mine is None or theirs is None:
                yield f"{_spoken(path)}[{name}]: {'added' if mine is None else 'removed'}"
            elif mine != theirs:
                yield f"{_spoken(path)}[{name}]: changed ({', '.join(_changed_names(mine, theirs))})"

    def _appeared(self, old: Data, new: Data, path: DataPath) -> str:
        value = new if old is None else old
        added = old is None
        if isinstance(value, dict | list) or self._hidden(path, value):
            return f"{_spoken(path)}: {'added' if added else 'removed'}"
        return f"{_spoken(path)}: " + (f"(default) → {_cut(value)}" if added else f"{_cut(value)} → (default)")

    def _changed(self, old: Data, new: Data, path: DataPath) -> str:
        if self._hidden(path, old) or self._hidden(path, new) or isinstance(old, dict) or isinstance(new, dict):
            return f"{_spoken(path)}: (changed)"
        return f"{_spoken(path)}: {_cut(old)} → {_cut(new)}"

    def _hidden(self, path: DataPath, value: Data) -> bool:
        """Whether `value` is secret or holds something that is. So are values that guardrails look for or allow: they
        may be people's, and differences are logged."""
        if path[:1] == ("guardrails",) and not _PEOPLES.isdisjoint(path):
            return True
        inside = not isinstance(value, str) and path in self._above_secret
        return inside or path in self._secret or path[-1:] in (("hash",), ("key_hash",), ("previous_key_hash",))


def _by_id(items: list[Data]) -> dict[str, dict[str, Data]] | None:
    found: dict[str, dict[str, Data]] = {}
    for item in items:
        id_ = item.get("id") or item.get("name") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(id_, str) or id_ in found:
            return None
        found[id_] = item
    return found


def _changed_names(old: dict[str, Data], new: dict[str, Data]) -> list[str]:
    return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def _cut(value: Data) -> str:
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _spoken(path: DataPath) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
