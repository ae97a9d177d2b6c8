"""Who may do what in the admin API: admin keys, their roles, and the matrix.

| | config, budgets, incidents, findings | list keys, audit | spend, set budgets | reload, incidents | keys, reviews |
|---|---|---|---|---|---|
| viewer | yes | | | | |
| finops | yes | yes | yes | | |
| oncall | yes | yes | | yes | |
| admin  | yes | yes | yes | yes | yes |

The history of the configuration is read as the audit log is; only an admin rolls back. Health, metrics and the OpenAPI
document ask for no key.
"""

import hmac
from typing import Literal

from gateway.auth.keys import digest_of
from gateway.errors import Forbidden, Refusal, Unauthenticated
from gateway.settings.snapshot import AdminKey, Role, Snapshot

Permission = Literal[
    "read_config",
    "read_budgets",
    "list_keys",
    "read_audit",
    "read_incidents",
    "manage_incidents",
    "read_spend",
    "manage_budgets",
    "reload",
    "roll_back",
    "manage_keys",
    "review_findings",
]

MATRIX: dict[Permission, frozenset[Role]] = {
    "read_config": frozenset({"viewer", "finops", "oncall", "admin"}),
    "read_budgets": frozenset({"viewer", "finops", "oncall", "admin"}),
    "list_keys": frozenset({"finops", "oncall", "admin"}),
    "read_audit": frozenset({"finops", "oncall", "admin"}),
    "read_incidents": frozenset({"viewer", "finops", "oncall", "admin"}),
    "manage_incidents": frozenset({"oncall", "admin"}),
    "read_spend": frozenset({"finops", "admin"}),
    "manage_budgets": frozenset({"finops", "admin"}),
    "reload": frozenset({"oncall", "admin"}),
    "roll_back": frozenset({"admin"}),
    "manage_keys": frozenset({"admin"}),
    "review_findings": frozenset({"admin"}),
}


class Conflict(Refusal):
    """409: the request is right, and the state of things does not allow it."""

    status = 409
    type = "invalid_request_error"
    anthropic_type = "invalid_request_error"
    code = "conflict"


def sent_key(authorization: str | None, x_api_key: str | None) -> str | None:
    """The key of a request's headers: `x-api-key`, or `authorization: Bearer`."""
    if x_api_key:
        return x_api_key.strip()
    scheme, _, key = (authorization or "").strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def authorize(snapshot: Snapshot, key: str | None, permission: Permission) -> AdminKey:
    """The admin key that was sent, if its role allows this. Raises `Unauthenticated` or `Forbidden`."""
    if not snapshot.admin_keys:
        raise Forbidden(
            "This gateway has no admin keys, so that its admin API refuses everyone. Add one under admin.keys, such as "
            "{id: ops, role: admin, hash: 'sha256:…'} with the SHA-256 of a key of yours.",
            code="admin_not_configured",
        )
    if key is None:
        raise Unauthenticated("No admin key was sent. Send it as 'authorization: Bearer KEY' or 'x-api-key: KEY'.")
    found = _find(snapshot, key.encode("utf-8", "surrogateescape"))
    if found is None:
        raise Unauthenticated("Incorrect admin key. (Keys of teams do not open the admin API.)")
    allowed = MATRIX[permission]
    if found.role not in allowed:
        roles = ", ".join(sorted(allowed))
        raise Forbidden(
            f"The role '{found.role}' of admin key '{found.id}' does not allow this; it takes one of: {roles}.",
            code="role_not_allowed",
        )
    return found


def _find(snapshot: Snapshot, key: bytes) -> AdminKey | None:
    """Compares with every key in constant time, and does not stop at the first that fits."""
    plain = digest_of(key, "sha256")
    keyed = digest_of(key, "hmac", snapshot.server_secret) if snapshot.server_secret else b""
    found: AdminKey | None = None
    for admin in snapshot.admin_keys:
        if hmac.compare_digest(admin.digest, keyed if admin.scheme == "hmac" else plain):
            found = admin
    return found
