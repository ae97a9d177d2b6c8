"""Making, listing, replacing and ending virtual keys: what the admin API and `tollway keys` have in common.

Everything here talks to the ledger database and blocks. Needs no web framework.
"""

import difflib
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.admin.access import Conflict
from gateway.admin.shapes import KeyState, KeyView, NewKeyView, iso, iso_or_none
from gateway.auth.keys import digest_of, make_key
from gateway.errors import BadRequest, NotFound
from gateway.seams import Clock
from gateway.settings.references import matches
from gateway.settings.schema_base import check_tag_text, check_tags
from gateway.settings.units import parse_duration, parse_moment

if TYPE_CHECKING:
    from gateway.ledger.keystore import KeyMaterial, KeyStore, StoredKey

MISSING_KEY_HASH = (
    "Keys are stored as HMAC hashes, and this gateway has no secret to make them with. Set secrets.key_hash in the "
    "configuration to a variable that holds at least 16 random bytes, such as ${env:TOLLWAY_KEY_HASH} "
    "(openssl rand -hex 32 makes one), and keep it: changing it makes every key invalid."
)
MAX_NAME = 200
_LONGEST = 100 * 365 * 86400


class Keyring:
    """The keys of one ledger. `secret` is the server's (`secrets.key_hash`).

    Methods raise `BadRequest` for what was asked wrongly, `NotFound` for an id nobody has, `Conflict` for a key whose
    state does not allow it, and `LedgerError` when the database is away.
    """

    def __init__(self, store: "KeyStore", secret: bytes | None, clock: Clock) -> None:
        self._store = store
        self._secret = secret
        self._clock = clock

    def create(
        self,
        *,
        team: str,
        teams: Collection[str],
        known_models: Collection[str],
        team_models: Collection[str] | None = None,
        name: str = "",
        expires: str | None = None,
        models: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> NewKeyView:
        """A new key for one of `teams`, for some of `known_models` (names and wildcards) or all its team's, which may
        use `team_models` (None: all)."""
        check_team(team, teams)
        if len(name) > MAX_NAME or (name and not name.isprintable()):
            raise BadRequest(f"name: allowed are at most {MAX_NAME} printable characters.", param="name")
        _check_models(models, known_models, team, team_models)
        check_tags_of_key(tags or {})
        expires_ns = None if expires is None else expiry_ns(expires, self._clock.now_ns())
        material, secret = self._material()
        stored = self._store.create(material, team=team, name=name, models=models, tags=tags, expires_ns=expires_ns)
        return _with_secret(stored, secret, self._clock.now_ns())

    def list(self, team: str | None = None) -> "list[KeyView]":
        """All keys, or a team's; oldest first."""
        now_ns = self._clock.now_ns()
        return [view(key, now_ns) for key in self._store.list(team)]

    def revoke(self, key_id: str) -> KeyView:
        """End a key now; ending it twice changes nothing."""
        self._find(key_id)
        return view(self._store.revoke(key_id), self._clock.now_ns())

    def rotate(self, key_id: str, overlap: str) -> NewKeyView:
        """A new key in place of this one, which works on for `overlap` (a duration)."""
        try:
            seconds = parse_duration(overlap)
        except ValueError as error:
            raise BadRequest(f"overlap: {error}.", param="overlap") from None
        if seconds > _LONGEST:
            raise BadRequest("overlap: this is longer than a hundred years.", param="overlap")
        old = self._find(key_id)
        if not old.works(self._clock.now_ns()) or old.overlap_until_ns is not None:
            state = _state(old, self._clock.now_ns())
            raise Conflict(f"The key '{key_id}' is {state} and cannot be rotated; create a new one.")
        material, secret = self._material()
        new = self._store.rotate(key_id, round(seconds * 1e9), material)
        return _with_secret(new, secret, self._clock.now_ns())

    def _find(self, key_id: str) -> "StoredKey":
        keys = self._store.list()
        for key in keys:
            if key.id == key_id:
                return key
        raise NotFound(
            f"There is no key '{key_id[:100]}' in the ledger.{_nearest(key_id, [key.id for key in keys])} "
            "(Keys written in the configuration are changed there.)",
            code="key_not_found",
        )

    def _material(self) -> "tuple[KeyMaterial, str]":
        from gateway.ledger.keystore import KeyMaterial

        if not self._secret:
            raise Conflict(MISSING_KEY_HASH, code="key_hash_missing")
        made = make_key()
        digest = digest_of(made.secret.encode(), "hmac", self._secret).hex()
        return KeyMaterial(digest, made.prefix, made.last4), made.secret


@contextmanager
def open_keyring(url: str, secret: bytes | None, clock: Clock, actor: str = "unknown") -> "Generator[Keyring]":
    """The keyring of a ledger database, whose tables are made if they are not there. `actor` is who makes changes, for
    the audit log. Raises `LedgerError`."""
    from gateway.ledger.keystore import KeyStore
    from gateway.ledger.store import current_ledger

    with current_ledger(url) as engine:
        yield Keyring(KeyStore(engine, clock, actor), secret, clock)


def check_team(team: str, teams: Collection[str]) -> None:
    """Raises `BadRequest` naming the nearest teams when there is none of this name."""
    if team in teams:
        return
    hint = _nearest(team, teams) or (
        f" Teams are: {', '.join(sorted(teams)[:20])}." if teams else " There is none yet."
    )
    raise BadRequest(f"There is no team '{team[:100]}' in the configuration.{hint}", param="team", code="unknown_team")


def expiry_ns(text: str, now_ns: int) -> int:
    """When a key ends: a duration from now (`90d`), or a UTC date or time. Raises `BadRequest`."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        try:
            ends_ns = parse_moment(text)
        except ValueError:
            raise BadRequest(
                "expires: this is neither an age nor a date; allowed are an age such as 12h, 90d or 52w, and a UTC "
                "date such as 2027-01-31.",
                param="expires",
            ) from None
    else:
        if seconds > _LONGEST:
            raise BadRequest("expires: this is more than a hundred years away.", param="expires")
        ends_ns = now_ns + round(seconds * 1e9)
    if not now_ns < ends_ns < 2**63:
        raise BadRequest("expires: this is not in the future.", param="expires")
    return ends_ns


def view(key: "StoredKey", now_ns: int) -> KeyView:
    """A stored key as it is shown."""
    return KeyView(
        id=key.id,
        team=key.team,
        name=key.name,
        prefix=key.prefix,
        last4=key.last4,
        state=_state(key, now_ns),
        models=key.models,
        tags=key.tags,
        created_at=iso(key.created_ns),
        expires_at=iso_or_none(key.expires_ns),
        revoked_at=iso_or_none(key.revoked_ns),
        replaced_until=iso_or_none(key.overlap_until_ns),
        rotated_from=key.rotated_from,
    )


def _with_secret(key: "StoredKey", secret: str, now_ns: int) -> NewKeyView:
    shown = view(key, now_ns)
    return NewKeyView(**{name: getattr(shown, name) for name in shown.__struct_fields__}, secret=secret)


def _state(key: "StoredKey", now_ns: int) -> KeyState:
    if key.revoked_ns is not None:
        return "revoked"
    if not key.works(now_ns):
        return "expired"
    return "active" if key.overlap_until_ns is None else "replaced"


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name[:MAX_NAME], list(known), 3, 0.5)
    return f" Did you mean {' or '.join(repr(found) for found in close)}?" if close else ""


def _check_models(models: list[str] | None, known: Collection[str], team: str, allowed: Collection[str] | None) -> None:
    """What no route can serve, or the team may not use, is a slip of the pen that would only show when the key is
    used."""
    prefixes = tuple(name[:-1] for name in known if name.endswith("*"))
    for model in models or ():
        if not (model in known or model.endswith("*") or (prefixes and model.startswith(prefixes))):
            raise BadRequest(
                f"There is no model '{model[:100]}' in the configuration.{_nearest(model, known)}", param="models"
            )
        if allowed is not None and not any(matches(own, model) or matches(model, own) for own in allowed):
            usable = ", ".join(list(allowed)[:20])
            raise BadRequest(
                f"The team '{team}' may not use the model '{model[:100]}'. It may use: {usable}.", param="models"
            )


def check_tags_of_key(tags: dict[str, str]) -> None:
    """Raises `BadRequest` for what the configuration would not take either."""
    try:
        for text in (*tags.keys(), *tags.values()):
            check_tag_text(text)
        check_tags(tags)
    except ValueError as error:
        raise BadRequest(f"tags: {error}.", param="tags") from None
