"""Texts from the grammar files beside this module: templates of our own words, expanded by a seeded choice.

A file holds slots: `== name`, then one alternative a line, in which `\\n` is an end of line. `{slot}` is replaced by an
alternative of that slot, `{slot^}` with a capital first letter, `[a|b|]` by one of its parts, `{{` by a single brace.
"""

import random
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "grammar"
_SLOT = re.compile(r"\{([a-z_A-Z]+)(\^?)\}")
_CHOICE = re.compile(r"\[([^\[\]\n]*\|[^\[\]\n]*)\]")


class Grammar:
    """All slots of all files."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.slots: dict[str, list[str]] = {}
        for file in sorted(folder.glob("*.txt")):
            for part in re.split(r"^== (?=[a-z_A-Z]+$)", file.read_text("utf-8"), flags=re.M)[1:]:
                name, _, body = part.partition("\n")
                self.slots[name] = [line.replace("\\n", "\n") for line in body.split("\n") if line.strip()]

    def make(self, slot: str, rng: random.Random) -> str:
        """One text of a slot."""
        return self._expand(rng.choice(self.slots[slot]), rng).replace("{{", "{").replace("}}", "}")

    def _expand(self, template: str, rng: random.Random) -> str:
        chosen = _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), template)

        def fill(found: re.Match[str]) -> str:
            if found[1] not in self.slots:
                return found[0]
            text = self._expand(rng.choice(self.slots[found[1]]), rng)
            return text[:1].upper() + text[1:] if found[2] else text

        return _SLOT.sub(fill, chosen)
