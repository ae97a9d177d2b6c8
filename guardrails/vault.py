"""Pseudonyms of one exchange or conversation: values out of a request behind unguessable placeholders, and back in its
answer.

A placeholder is one word of fixed length, capitals and digits only: models copy such words faithfully, Markdown and
JSON leave them alone, and a stream that restores them holds back at most their length less one. It is a keyed hash of
the value, so that a value has the same placeholder wherever it stands in an exchange and nobody can write one that was
not given to them. A seed that stays the same for a conversation makes the placeholders stay the same, with nothing
kept between its exchanges, because the client sends the whole conversation each time.

A vault lives as long as its exchange and is never logged or cached; nor is restored text. What a caller keeps of it
for the next exchange of a conversation (`take_fresh`, `bring`) it keeps encrypted.
"""

import json
import re
from hashlib import blake2b

MARK = "PSN"
"""What every placeholder begins with, so that one cheap search finds out that there is none."""
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""Without vowels no words arise, and without 0 and 1 no mix-ups."""
_RANDOM = 13
"""Characters of 28 kinds: 62 bits."""
LENGTH = len(MARK) + _RANDOM
MOST = 10_000
"""Values one vault holds; what comes after is masked for good."""

_LETTER = f"[{_ALPHABET}{_ALPHABET.lower()}]"
PLACEHOLDER = re.compile(f"[Pp][Ss][Nn]{_LETTER}{{{_RANDOM}}}")
"""What may be a placeholder, of whatever vault, as a model may write it."""
_CANDIDATE = re.compile(f"(?=({PLACEHOLDER.pattern}))")
"""Every place a placeholder may stand, also inside another: chance letters before one do not hide it."""
_TOKEN = re.compile(f"{MARK}[{_ALPHABET}]{{{_RANDOM}}}")
_BEGINNING = re.compile(f"[Pp](?:[Ss](?:[Nn]{_LETTER}{{0,{_RANDOM - 1}}})?)?\\Z")


Place = tuple[int, int]
"""Where a placeholder stands, and the length of what takes its place."""


class Vault:
    """Values and their placeholders. `seed`: at least 16 bytes nobody can guess, made by the caller for this exchange
    or conversation. `most`: values it holds."""

    __slots__ = ("_fresh", "_most", "_seed", "_tokens", "_values")

    def __init__(self, seed: bytes, most: int = MOST) -> None:
        if len(seed) < 16:
            raise ValueError("a vault needs a seed of at least 16 random bytes")
        self._seed = seed[:64]
        self._most = most
        self._tokens: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._fresh: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Vault of {len(self._values)}>"

    def __len__(self) -> int:
        return len(self._values)

    def placeholder(self, value: str) -> str | None:
        """The placeholder that stands for `value`; None when the vault is full."""
        known = self._tokens.get(value)
        if known is not None:
            return known
        if len(self._values) >= self._most:
            return None
        data = value.encode("utf-8", "surrogatepass")
        token = self._derive(data)
        while token in self._values:
            data += b"\0"
            token = self._derive(data)
        self._tokens[value] = token
        self._values[token] = value
        self._fresh[token] = value
        return token

    def bring(self, token: str, value: str) -> None:
        """Know a value of an earlier exchange by the placeholder it had there. What is no placeholder, is taken, or is
        too much is left out."""
        if _TOKEN.fullmatch(token) is None or token in self._values or len(self._values) >= self._most:
            return
        self._values[token] = value
        self._tokens.setdefault(value, token)

    def take_fresh(self) -> dict[str, str]:
        """Values by placeholder that were made, not brought, since this was last asked."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def _derive(self, data: bytes) -> str:
        number = int.from_bytes(blake2b(data, key=self._seed, digest_size=16).digest())
        letters: list[str] = []
        for _ in range(_RANDOM):
            number, at = divmod(number, len(_ALPHABET))
            letters.append(_ALPHABET[at])
        return MARK + "".join(letters)

    def restore(self, text: str, json: bool = False) -> str:
        """`text` with every placeholder of this vault replaced by its value, in one pass: what a value holds is never
        looked at again. `json`: values are escaped as inside a JSON string."""
        out, done = self._restored(text, json, [])
        return out + text[done:] if done else text

    def conceal(self, text: str) -> str:
        """`text` with every value of this vault replaced by its placeholder, longest first, as it is and as it is
        written inside a JSON string: for what must not show values that were restored for somebody else."""
        for value, token in sorted(self._tokens.items(), key=lambda pair: len(pair[0]), reverse=True):
            for form in (value, _escaped(value), json.dumps(value)[1:-1]):
                text = text.replace(form, token)
        return text

    def restore_growing(self, text: str, json: bool = False, places: list[Place] | None = None) -> tuple[str, str]:
        """The same for a text that goes on: what is certain, restored, and the end that is not. `places`: gets where
        placeholders stood, and how long their values are."""
        out, done = self._restored(text, json, [] if places is None else places)
        open_end = _BEGINNING.search(text, max(done, len(text) - LENGTH + 1))
        certain = len(text) if open_end is None else open_end.start()
        return out + text[done:certain], text[certain:]

    def _restored(self, text: str, json: bool, places: list[Place]) -> tuple[str, int]:
        """`text` up to the end of its last placeholder, restored, and where that is."""
        out: list[str] = []
        done = 0
        for found in _CANDIDATE.finditer(text) if self._values else ():
            at = found.start()
            value = self._values.get(found.group(1).upper()) if at >= done else None
            if value is not None:
                written = _escaped(value) if json else value
                out += (text[done:at], written)
                done = at + LENGTH
                places.append((at, len(written)))
        return "".join(out), done


class Restorer:
    """Restores the placeholders of a vault in a text that comes in pieces: however it is cut, what is returned is, put
    together, what `Vault.restore` makes of the whole. Holds back fewer than `LENGTH` characters, and nothing but the
    beginning of a placeholder."""

    __slots__ = ("_held", "_vault", "json", "replaced", "shift", "taken")

    def __init__(self, vault: Vault, json: bool = False) -> None:
        self._vault = vault
        self.json = json
        """Whether what is fed stands inside JSON strings; may change between feeds."""
        self._held = ""
        self.shift = 0
        """Characters more that came out than were taken, but for those that are held."""
        self.taken: int = 0
        """Characters taken."""
        self.replaced: list[tuple[int, int, int]] | None = None
        """See `guardrails/interface.py`; None: nobody asked."""

    @property
    def passed(self) -> int:
        """Characters passed on or replaced."""
        return self.taken - len(self._held)

    def feed(self, text: str) -> str:
        """Take more; returns what can no longer be part of a placeholder."""
        begin = self.passed
        places: list[Place] = []
        certain, self._held = self._vault.restore_growing(self._held + text, self.json, places)
        self.taken += len(text)
        for at, length in places:
            self.shift += length - LENGTH
            if self.replaced is not None:
                self.replaced.append((begin + at, begin + at + LENGTH, self.shift))
        return certain

    def flush(self) -> str:
        """The rest: a beginning that became no placeholder. Idempotent."""
        rest, self._held = self._held, ""
        return rest

    def held(self) -> int:
        """Characters held back now."""
        return len(self._held)


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=not value.isprintable())[1:-1]
