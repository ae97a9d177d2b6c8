"""What must not reach a log: fields whose name says secret or text, and whatever is shaped like a secret."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

REDACTED = "[redacted]"
MAX_TEXT = 2000
"""Characters kept of one value."""
_DEEPEST = 6

_NAMES = re.compile(
    r"(?:^|[_.-])(?:key|api_?key|x-api-key|secret|secrets|password|passwd|pwd|token|authorization|auth|cookie|cookies|"
    r"set-cookie|credential|credentials|private|signature|"
    r"prompt|prompts|messages|message|content|contents|text|body|input|output|completion|answer|arguments|match|matched)$",
    re.IGNORECASE,
)
"""A field called so holds a secret, or text of a request or an answer; `key_id`, `tokens` or `prompt_tokens` do not."""

_SHAPES = re.compile(
    r"""
      \b(?:bearer|basic)\s+[\w.~+/=-]{6,}                                 # authorization headers
    | (?<![A-Za-z0-9])(?:sk|pk|rk)[-_][\w-]{6,}                           # OpenAI, Anthropic, Stripe, ours
    | (?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|hf_|npm_|pypi-|ya29\.)[\w.-]{8,}
    | (?<![A-Za-z0-9])(?:AKIA|ASIA)[0-9A-Z]{12,}                          # AWS key ids
    | (?<![A-Za-z0-9])AIza[\w-]{20,}                                      # Google
    | (?<![A-Za-z0-9])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?                # JSON web tokens
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*-----|\Z)
    | (?<=://)[^\s/@]{0,200}:[^\s/@]{0,200}(?=@)                                    # user and password in a URL
    | (?:api[_-]?key|x-api-key|secret|password|passwd|token|authorization)["']?\s*[=:]\s*
      ["']?(?:(?:bearer|basic)\s+)?[^\s"',;&]{4,}                          # name and value
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

_LAST_WORD = re.compile(r"\S{1,300}\Z")


def redact_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields of a log line without what must not be there. Names stay, so that the line says what it left out."""
    return {str(name): REDACTED if _NAMES.search(str(name)) else redact(value) for name, value in fields.items()}


def redact(value: object, depth: int = 0) -> object:
    """`value` without anything shaped like a secret; containers are copied, objects of other kinds named by class."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _DEEPEST:
        return REDACTED
    if isinstance(value, Mapping):
        inner = cast("Mapping[object, object]", value)
        return {
            str(name): REDACTED if _NAMES.search(str(name)) else redact(item, depth + 1) for name, item in inner.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in cast("Iterable[object]", value)]
    # The text of any other object, exceptions above all, may quote a request.
    return f"<{type(value).__name__}>"


def redact_text(text: str) -> str:
    """One text without secrets, cut to `MAX_TEXT` characters first: patterns are tried on a bounded text only."""
    if len(text) <= MAX_TEXT:
        return _SHAPES.sub(REDACTED, text)
    # What stands at the cut may be the beginning of a secret, too short to be known as one.
    kept = _LAST_WORD.sub("", text[:MAX_TEXT])
    return f"{_SHAPES.sub(REDACTED, kept)}… ({len(text)} characters)"
