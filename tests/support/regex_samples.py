"""Texts that a regular expression matches, drawn from its tree: as short as the pattern allows, or of any length."""

import random

from guardrails.matching.syntax import Atomic, Chars, Either, Group, Node, Repeat, Sequence


def sample(tree: Node, chance: random.Random, shortest: bool = True) -> str:
    """A text the tree matches from beginning to end; look-arounds and edges are not minded."""
    match tree:
        case Chars(ranges):
            low, high = chance.choice([r for r in ranges if r[0] < 0x7F])
            return chr(chance.randint(low, min(high, 0x7E)))
        case Sequence(parts):
            return "".join(sample(part, chance, shortest) for part in parts)
        case Either(choices):
            return sample(chance.choice(choices), chance, shortest)
        case Repeat(part, least, most):
            times = least if shortest else chance.randint(least, min(most, least + 8))
            return "".join(sample(part, chance, shortest) for _ in range(times))
        case Group(part) | Atomic(part):
            return sample(part, chance, shortest)
        case _:
            return ""
