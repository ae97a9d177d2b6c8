"""Names that refer to other names, and rules between sections: what a schema of single fields cannot see.

Works on the resolved data rather than on the validated sections, so that a misspelt key somewhere does not hide an
unknown provider elsewhere: `tollway check` reports both in one run.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gateway.errors import ConnectFailed
from gateway.seams import Tls
from gateway.settings.interpolate import Data, DataPath
from gateway.settings.nearest import hint, near
from gateway.settings.schema_teams import PLACEHOLDERS
from gateway.transport.tls import build

Note = Callable[[DataPath, str], None]


def check_references(data: dict[str, Data], note: Note, drawn: set[DataPath]) -> None:
    """Call `note(path, message)` for every problem. Values at paths in `drawn` are not repeated in messages."""
    checker = _Checker(data, note, drawn)
    checker.providers()
    checker.models()
    checker.teams()
    checker.baseline()
    checker.reroutes()
    checker.keys()
    checker.telemetry()


def matches(pattern: str, name: str) -> bool:
    """Whether a model name or `prefix*` covers `name` (which may itself be a wildcard)."""
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1]) and len(name) >= len(pattern)
    return pattern == name


class _Checker:
    def __init__(self, data: dict[str, Data], note: Note, drawn: set[DataPath]) -> None:
        self._data = data
        self._note = note
        self._drawn = drawn
        self._providers = _mapping(data.get("providers"))
        self._models = _mapping(data.get("models"))
        self._policies = _mapping(data.get("guardrails"))

    def providers(self) -> None:
        self._known(("passthrough",), self._data.get("passthrough"), "provider", self._providers)
        for name, provider in self._providers.items():
            fields, path = _mapping(provider), ("providers", name)
            tls = _mapping(fields.get("tls"))
            if tls and _text(fields.get("base_url")).startswith("http:"):
                self._note((*path, "tls"), "TLS options of a provider whose base_url is http; allowed is https")
            if tls.get("key_file") and not tls.get("cert_file"):
                self._note(
                    (*path, "tls", "key_file"), "a client key without its certificate; allowed is with cert_file"
                )
            self._tls((*path, "tls"), tls)

    def _tls(self, path: DataPath, options: Mapping[str, Data]) -> None:
        """A file that is there and cannot be used would only show at the first request."""
        files = {name: file for name in ("ca_file", "cert_file", "key_file") if (file := _text(options.get(name)))}
        absent = [name for name, file in files.items() if not Path(file).is_file()]
        for name in absent:
            self._note((*path, name), "this file is not there; allowed is a PEM file")
        if not files or absent or files.keys() == {"key_file"}:
            return
        try:
            build(Tls(**files))
        except ConnectFailed as error:
            wrong = "ca_file" if "ca_file" in str(error) else "cert_file"
            self._note((*path, wrong), f"{error}; allowed are PEM files, a key without a pass phrase")

    def models(self) -> None:
        for name, model in self._models.items():
            fields, path = _mapping(model), ("models", name)
            for at, target in enumerate(_list(fields.get("targets"))):
                where, options = (*path, "targets", at), _mapping(target)
                self._known((*where, "provider"), options.get("provider"), "provider", self._providers)
                if "*" in _text(options.get("model")) and not name.endswith("*"):
                    self._note((*where, "model"), "a * in the target of a model without one; allowed is a full name")
            for at, fallback in enumerate(_list(fields.get("fallbacks"))):
                where = (*path, "fallbacks", at)
                if fallback == name:
                    self._note(where, "a model cannot be its own fallback; allowed are other models")
                # One that is not there, and is nobody's misspelling, is skipped with a warning (`compile.py`): a
                # fallback may be written down before its model is.
                if near(_text(fallback), self._models):
                    self._model(where, fallback)

    def teams(self) -> None:
        for name, team in _mapping(self._data.get("teams")).items():
            fields, path = _mapping(team), ("teams", name)
            self._named_policies((*path, "guardrails"), fields.get("guardrails"))
            allowed = self._allow_list((*path, "models"), fields.get("models"))
            for at, key in enumerate(_list(fields.get("keys"))):
                where = (*path, "keys", at, "models")
                for index, model in enumerate(self._allow_list(where, _mapping(key).get("models")) or ()):
                    if allowed is not None and not any(matches(own, model) or matches(model, own) for own in allowed):
                        shown = [own for at_, own in enumerate(allowed) if (*path, "models", at_) not in self._drawn]
                        self._note((*where, index), f"the team '{name}' may not use this model; {hint(model, shown)}")

    def baseline(self) -> None:
        self._named_policies(("baseline",), self._data.get("baseline"))

    def _named_policies(self, path: DataPath, written: Data) -> None:
        self._known(path, written, "guardrail policy", self._policies)
        for at, policy in enumerate(_list(written)):
            self._known((*path, at), policy, "guardrail policy", self._policies)

    def reroutes(self) -> None:
        for name, rules in self._policies.items():
            for at, rule in enumerate(_list(rules)):
                self._model(("guardrails", name, at, "reroute"), _mapping(rule).get("reroute"))

    def telemetry(self) -> None:
        teams = _mapping(self._data.get("teams"))
        content = _mapping(_mapping(self._data.get("telemetry")).get("content"))
        for at, team in enumerate(_list(content.get("teams"))):
            self._known(("telemetry", "content", "teams", at), team, "team", teams)

    def keys(self) -> None:
        """Ids and hashes are unique: a report or a revocation must mean one key."""
        seen_ids: dict[str, str] = {}
        seen_admin: dict[str, str] = {}
        hashes: dict[str, str] = {}
        keyed = bool(_mapping(self._data.get("secrets")).get("key_hash"))
        for path, key, admin in self._every_key():
            id_, digest = _text(key.get("id")), _text(key.get("hash")).lower()
            spoken = ".".join(map(str, path))
            ids = seen_admin if admin else seen_ids
            if id_ and id_ in ids:
                self._note((*path, "id"), f"this id is taken by {ids[id_]}; allowed is each id once")
            ids.setdefault(id_, spoken)
            if not digest or digest in PLACEHOLDERS:
                continue
            if digest.startswith("hmac:") and not keyed:
                self._note((*path, "hash"), "an hmac: hash needs secrets.key_hash; set it, or use a sha256: hash")
            plain = digest.removeprefix("sha256:")
            if plain in hashes:
                self._note((*path, "hash"), f"this is the same key as {hashes[plain]}; allowed is each key once")
            hashes.setdefault(plain, spoken)

    def _every_key(self) -> Iterator[tuple[DataPath, dict[str, Data], bool]]:
        for name, team in _mapping(self._data.get("teams")).items():
            for at, key in enumerate(_list(_mapping(team).get("keys"))):
                yield ("teams", name, "keys", at), _mapping(key), False
        for at, key in enumerate(_list(_mapping(self._data.get("admin")).get("keys"))):
            yield ("admin", "keys", at), _mapping(key), True

    def _allow_list(self, path: DataPath, written: Data) -> list[str] | None:
        if not isinstance(written, list):
            return None
        for at, name in enumerate(written):
            if name == "*" or not isinstance(name, str):
                continue
            if not (name.endswith("*") and any(matches(name, model) for model in self._models)):
                self._model((*path, at), name)
        return [name for name in written if isinstance(name, str)]

    def _model(self, path: DataPath, name: Data) -> None:
        if isinstance(name, str) and not any(matches(model, name) for model in self._models):
            self._unknown(path, name, "model", self._models)

    def _known(self, path: DataPath, name: Data, what: str, known: dict[str, Data]) -> None:
        if isinstance(name, str) and name not in known:
            self._unknown(path, name, what, known)

    def _unknown(self, path: DataPath, name: str, what: str, known: dict[str, Data]) -> None:
        spoken = f"this {what} is not configured" if path in self._drawn else f"unknown {what} '{name[:80]}'"
        self._note(path, f"{spoken}; {hint(name, known)}")


def _mapping(data: Data) -> dict[str, Data]:
    return data if isinstance(data, dict) else {}


def _list(data: Data) -> list[Data]:
    return data if isinstance(data, list) else []


def _text(data: Data) -> str:
    return data if isinstance(data, str) else ""
