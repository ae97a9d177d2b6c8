"""The key that session cookies are signed with: the same in every worker of a gateway, and in no configuration.

Where `secrets.key_hash` is set, the key is derived from it, so that gateways behind one address accept each other's
sessions. Else 32 random bytes are kept in `<runtime_dir>/console.key`, readable by the gateway's user alone. The hashes
of admin keys are no secret to sign with: who may read the configuration would be every admin.
"""

import hmac
import os
import secrets
from pathlib import Path

from gateway.telemetry.logs import alert

FILE = "console.key"
SIZE = 32


def signing_key(server_secret: bytes | None, runtime_dir: str) -> bytes:
    """32 bytes. Where the directory cannot be written the key lives as long as the process, and that is logged."""
    if server_secret is not None:
        return hmac.digest(server_secret, b"tollway console sessions v1", "sha256")
    path = Path(runtime_dir) / FILE
    try:
        return _kept(path)
    except OSError as error:
        alert("console_key_not_kept", reason=error.strerror or "")
        return secrets.token_bytes(SIZE)


def _kept(path: Path) -> bytes:
    """The key in the file, which is made if there is none: complete before it has its name, and never replaced, so that
    workers that start at one time agree."""
    found = _read(path)
    if found is not None:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(6)}")
    fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secrets.token_bytes(SIZE))
    finally:
        os.close(fd)
    try:
        os.link(made, path)
    except FileExistsError:
        if _read(path) is None:
            os.replace(made, path)
            return path.read_bytes()
    finally:
        made.unlink(missing_ok=True)
    return path.read_bytes()


def _read(path: Path) -> bytes | None:
    """None where there is none, or one that others could have written or read."""
    try:
        stat = path.stat()
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == SIZE and not stat.st_mode & 0o077 and stat.st_uid == os.geteuid() else None
