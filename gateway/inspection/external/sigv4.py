"""AWS Signature Version 4, the part a JSON POST needs: canonical request → string to sign → HMAC chain.

Rule: "Create a signed AWS API request", AWS IAM User Guide. Paths are encoded twice in the canonical request, as for
every service but S3; header values are trimmed and runs of spaces in them made one.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(msgspec.Struct, frozen=True):
    """Whose signature, and for what."""

    key_id: str
    secret: str
    region: str
    service: str
    session_token: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Credentials(region={self.region!r}, service={self.service!r})"


def signed(
    credentials: Credentials, method: str, host: str, target: str, headers: Iterable[tuple[str, str]], body: bytes,
    now_ns: int,
) -> list[tuple[str, str]]:  # fmt: skip
    """The headers to add: `x-amz-date`, `x-amz-security-token` with temporary credentials, and `authorization`.

    `target` is path and query as they go over the wire, `headers` what is sent and signed besides `host` (names in
    lower case). `now_ns`: nanoseconds since the epoch.
    """
    at = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    added = [("x-amz-date", stamp)]
    if credentials.session_token:
        added.append(("x-amz-security-token", credentials.session_token))
    fields = sorted([("host", host), *headers, *added])
    names = ";".join(name for name, _ in fields)
    canonical = "\n".join([
        method, *_canonical_target(target), *(f"{name}:{' '.join(value.split())}" for name, value in fields), "",
        names, hashlib.sha256(body).hexdigest(),
    ])  # fmt: skip
    scope = f"{stamp[:8]}/{credentials.region}/{credentials.service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(signing_key(credentials, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    value = f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return [*added, ("authorization", value)]


def signing_key(credentials: Credentials, date: str) -> bytes:
    """Key of one day (`YYYYMMDD`), region and service."""
    key = f"AWS4{credentials.secret}".encode()
    for part in (date, credentials.region, credentials.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_target(target: str) -> tuple[str, str]:
    """Path encoded once more, and the query's parameters encoded anew and in order."""
    path, _, query = target.partition("?")
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    ordered = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, _, value in pairs
    )
    return quote(path or "/", safe="/-_.~"), "&".join(f"{name}={value}" for name, value in ordered)
