"""Secrets that are recognised by the name they are given: `api_key = "..."`, `--token ...`, `password is ...`,
`Authorization: Bearer ...`, and the passwords of URLs.

A value holds no blank and no quote. What is masked is the value. A name that belongs to a service decides by that
service's format (`Assigned`); else the value must be random enough for what the name promises.
"""

import re
from collections.abc import Sequence

from guardrails.detector import Expression, Match
from guardrails.secrets import checks
from guardrails.secrets.rules import Assigned

GENERIC_KEY = "secret.generic.key"
GENERIC_PASSWORD = "secret.generic.password"  # noqa: S105 (an id)
URL_PASSWORD = "secret.url.password"  # noqa: S105 (an id)
GENERIC = frozenset({GENERIC_KEY, GENERIC_PASSWORD, URL_PASSWORD})

_WORDS = "key|secret|token|passw|passphrase|pass|pwd|auth|cred|_sid|sas|login"
ASSIGNMENT = Expression(rf"(?:{_WORDS})[A-Za-z0-9_.-]{{0,24}}[\"'`\]\)\\]{{0,4}}[ \t]{{0,8}}[=:>]", caseless=True)
FLAG = Expression(rf"--[A-Za-z0-9-]{{0,24}}(?:{_WORDS})[A-Za-z0-9-]{{0,16}} ", caseless=True)
PROSE = Expression(
    r"(?:password|passwd|passphrase|passcode|api key|secret key|access key|token|pin) (?:is|was)[ :]", caseless=True
)
URL = Expression(r"[a-z0-9+.-]{2}://[^\s/?#@\x22'<>]{0,64}:[^\s/?#@\x22'<>]{3,128}@", caseless=True)

LONGEST = 512
"""Characters of a value; what is longer is no key but data, and not judged."""
BEFORE = 128
"""Characters of context: name, operator and what stands between them and the value."""
AHEAD = 1 + 1 + 8 + 15 + 8 + 2 + 1
"""Most characters from the end of a hit to the start of the value, by the parts of `_VALUE`, and one."""
_NAME_WINDOW = 80
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_VALUE = re.compile(
    r"(?:(?<==)(?!=)|(?<=[:> ])=?)>?[ \t]{0,8}"
    r"(?:(?:str|string|bytes|&str|char\*)[ \t]{0,4}=[ \t]{0,4})?"
    r"(?:(?:bearer|basic|token|ssws|apikey)[ ]{1,2})?"
    r"(?P<quote>\\?[\"'`])?"
    rf"(?P<secret>[^\s\"'`<>(){{}}\[\],;\\|]{{6,{LONGEST}}}+)(?![^\s\"'`<>(){{}}\[\],;\\|])",
    re.IGNORECASE,
)
_CALLED = ("(", "[")
"""What follows a name in code, not a value."""
_LOOSE_END = ".,;:!?"
_NOT_A_SECRET = re.compile(
    r"public|publish|primary|foreign|sort|partition|cache|idempoten|_count|max_|min_|num_|_type|_name|_id$|_ids$|_url|"
    r"_uri|_path|_file|_dir|page|next_|cursor|csrf_?field|keyboard|keyword|monkey|hotkey|turkey|tokenizer|tokens$|author(?!i)|"
    r"_length|_size|_limit|_expir|_ttl|_at$|_algorithm|_format|_header|_prefix|_version|object_key|etag|hash|checksum|digest|"
    r"fingerprint|thumbprint|commit|sha\d*$|integrity|key_?id"
)
_PASSWORD = re.compile(r"passw|passphrase|passcode|pwd|(?:^|_)pass(?:$|_)|(?:^|_)pin$|login|cred")
_KEY = re.compile(r"key|secret|token|auth|cred|sas|_sid|passw|pwd")
_DIGIT = re.compile(r"[0-9]")
_STRONG = re.compile(r"[^A-Za-z_.-]")
_HEX = re.compile(r"[0-9a-fA-F-]+")
_CODE = re.compile(
    r"[\w.-]*[A-Za-z_]\(|\$|\*$|%\w|^[/~.@]|://|^\w+\.\w+\.\w*[A-Za-z_]+$|^[a-z]+(?:[-_.][a-z]+)+$|^[A-Z]+(?:_[A-Z]+)+$"
)


class Assignments:
    """Judges assigned values by the rules that are switched on."""

    def __init__(self, assigned: Sequence[Assigned], generic: frozenset[str]) -> None:
        self._assigned = assigned
        self._generic = generic
        self._names = re.compile("|".join(f"(?:{rule.names})" for rule in assigned) or r"(?!)")
        self._each: dict[int, tuple[re.Pattern[str], re.Pattern[str]]] = {}

    def value(self, text: str, at: int) -> Match | None:
        """The secret that is assigned by the operator which ends at `at`."""
        found = _VALUE.match(text, at)
        if found is None:
            return None
        start, end = found.span("secret")
        if found["quote"] is None:
            if text.startswith(_CALLED, end):
                return None
            end = start + len(text[start:end].rstrip(_LOOSE_END))
        value = text[start:end]
        if len(value) < 6 or checks.placeholder(value):
            return None
        rule, score, evidence = self._judge(_name_before(text, at), value)
        return Match("SECRET", start, end, score, rule, evidence) if rule else None

    def url(self, text: str, at: int) -> Match | None:
        """The password of the URL whose `@` ends at `at`."""
        if URL_PASSWORD not in self._generic:
            return None
        begin = text.rfind("://", max(0, at - BEFORE - 72), at)
        start = text.find(":", begin + 3, at) + 1 if begin >= 0 else 0
        value = text[start : at - 1]
        if not start or not 3 <= len(value) <= 128 or any(char.isspace() or char in "/?#@\"'<>" for char in value):
            return None
        if start - begin > 68 or any(char.isspace() or char in "/?#@\"'<>" for char in text[begin + 3 : start]):
            return None
        if checks.placeholder(value) or value.lower() in ("password", "passwd", "pass", "pwd", "secret", "token"):
            return None
        return Match("SECRET", start, at - 1, 0.85, URL_PASSWORD, "context")

    def _judge(self, name: str, value: str) -> tuple[str, float, str]:
        if self._names.search(name):
            for index, rule in enumerate(self._assigned):
                names, values = self._compiled(index)
                if names.search(name) and values.fullmatch(value) and checks.entropy(value) >= checks.LEAST_BITS:
                    return rule.id, rule.score, "context"
        if GENERIC_KEY in self._generic and _is_key(name, value):
            return GENERIC_KEY, 0.75, "entropy"
        if GENERIC_PASSWORD in self._generic and _is_password(name, value):
            return GENERIC_PASSWORD, 0.6, "context"
        return "", 0.0, ""

    def _compiled(self, index: int) -> tuple[re.Pattern[str], re.Pattern[str]]:
        if index not in self._each:
            rule = self._assigned[index]
            self._each[index] = re.compile(rule.names), re.compile(rule.value)
        return self._each[index]


def _name_before(text: str, at: int) -> str:
    """The name in front of the operator that ends at `at`, lower-case, words joined by `_`."""
    window = text[max(0, at - _NAME_WINDOW) : at - 1].rstrip(" \t\"'`])\\")
    for verb in (" is", " was"):
        window = window.removesuffix(verb)
    bare = window.rstrip(_NAME)
    name = window[len(bare) :]
    if bare.endswith((" ", '["', "['")) and len(name) < 10:
        # "api key", "access key": the word before belongs to it; config["datadog"]["api_key"] does not go that far.
        earlier = bare.rstrip(" ")
        name = earlier[len(earlier.rstrip(_NAME)) :] + "_" + name
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return snake.lower().replace("-", "_").replace(".", "_")


def _is_key(name: str, value: str) -> bool:
    """A value that was drawn by chance, under a name that promises a key, a token or a secret."""
    if not _KEY.search(name) or _NOT_A_SECRET.search(name) or len(value) < 16:
        return False
    if not _DIGIT.search(value) or _CODE.search(value) or checks.worded(value) or not checks.random_looking(value):
        return False
    least = 3.0 if _HEX.fullmatch(value) else 3.5
    return checks.entropy(value) >= min(least, 0.8 * len(value) ** 0.5)


def _is_password(name: str, value: str) -> bool:
    """A word no dictionary has: two kinds of characters, and a digit or a mark that names do not have."""
    if not _PASSWORD.search(name) or _NOT_A_SECRET.search(name) or not 6 <= len(value) <= 128:
        return False
    if _CODE.search(value):
        return False
    kinds = sum((
        any(char.islower() for char in value),
        any(char.isupper() for char in value),
        any(char.isdigit() for char in value),
        any(not char.isalnum() for char in value),
    ))  # fmt: skip
    return kinds >= 2 and _STRONG.search(value) is not None and len(set(value)) >= 5
