"""Sessions: who is logged in, in a signed cookie. Nothing is kept on the server.

    cookie   = base64url(payload) "." base64url(HMAC-SHA-256(key, "session" 0 payload))
    payload  = JSON of the admin key's id, a proof of its hash, when the session began, and a random name

The role is not in it: it is looked up at every request, so that a key that is changed, or taken out of the
configuration, ends its sessions at once. A session lasts `LIFETIME`, whatever happens; logging out only forgets the
cookie. The token against forged requests (CSRF) is a MAC of the session's name: it is in every form, and no other site
can read it.
"""

import base64
import binascii
import hmac
import secrets

import msgspec

from gateway.settings.snapshot import AdminKey, Snapshot

LIFETIME = 8 * 3600
"""Seconds."""
_AHEAD = 60
"""Seconds that another worker's machine clock may be ahead."""
MOST = 1024
"""Characters of a cookie that is looked at."""


class Session(msgspec.Struct, frozen=True):
    """What a cookie says, once its signature is right."""

    admin: str
    """Id of the admin key."""
    proof: str
    born: int
    """Seconds since the epoch, UTC."""
    name: str


_decode = msgspec.json.Decoder(Session).decode


class Sessions:
    """Makes and reads session cookies with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, admin: AdminKey, now_ns: int) -> str:
        """The cookie of a new session."""
        session = Session(admin.id, self._proof(admin), now_ns // 10**9, secrets.token_urlsafe(18))
        payload = msgspec.json.encode(session)
        return f"{_coded(payload)}.{_coded(self._mac(b'session', payload))}"

    def read(self, cookie: str, snapshot: Snapshot, now_ns: int) -> tuple[Session, AdminKey] | None:
        """The session of a cookie and the admin key as it is now; None when it is not ours, over, or the key's no
        more."""
        payload, mac = _parts(cookie)
        if payload is None or mac is None or not hmac.compare_digest(mac, self._mac(b"session", payload)):
            return None
        try:
            session = _decode(payload)
        except msgspec.MsgspecError:
            return None
        age = now_ns // 10**9 - session.born
        if not -_AHEAD <= age < LIFETIME:
            return None
        for admin in snapshot.admin_keys:
            if admin.id == session.admin and hmac.compare_digest(self._proof(admin), session.proof):
                return session, admin
        return None

    def token(self, session: Session) -> str:
        """What every form of this session carries."""
        return _coded(self._mac(b"form", session.name.encode()))

    def fits(self, session: Session, token: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.token(session).encode(), token.encode("utf-8", "replace"))

    def _proof(self, admin: AdminKey) -> str:
        return _coded(self._mac(b"key", admin.scheme.encode() + b"\0" + admin.digest)[:12])

    def _mac(self, use: bytes, of: bytes) -> bytes:
        return hmac.digest(self._key, use + b"\0" + of, "sha256")


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(cookie: str) -> tuple[bytes | None, bytes | None]:
    if len(cookie) > MOST or cookie.count(".") != 1 or not cookie.isascii():
        return None, None
    payload, _, mac = cookie.partition(".")
    return _decoded(payload), _decoded(mac)


def _decoded(text: str) -> bytes | None:
    """Strict: what encodes to something else than `text` is refused, so that a cookie has one form."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _coded(data) == text else None
