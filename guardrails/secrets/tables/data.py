"""Token formats that belong to no service: JSON web tokens, passwords in URLs and in connection strings."""

from guardrails.secrets.rules import Token

TOKENS = (
    # RFC 7519, compact form (RFC 7515 section 7.1): header and claims are JSON objects, so both begin with `{"`.
    Token("secret.jwt.token", r"eyJ[A-Za-z0-9_-]{10,1000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1400}", "jwt"),
    # RFC 7516 section 7.1: five parts; the header is a JSON object.
    Token("secret.jwt.encrypted-token",
          r"eyJ[A-Za-z0-9_-]{10,1000}\.[A-Za-z0-9_-]{0,700}\.[A-Za-z0-9_-]{8,40}\.[A-Za-z0-9_-]{16,4000}\.[A-Za-z0-9_-]{16,60}",
          "jwt"),
)  # fmt: skip
