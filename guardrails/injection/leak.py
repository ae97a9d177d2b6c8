"""What an answer must not carry: the system prompt, or a canary."""

import re
from collections.abc import Callable, Collection, Sequence

from guardrails.detector import Match

from .fold import fold
from .words import TOKEN

RUN = 8
"""Words in a row of the system prompt that are no coincidence."""


class PromptLeak:
    """Finds pieces of a system prompt in answers. Made once for each prompt; memory is linear in the prompt.

    Words are compared folded and in lower case, so that case, punctuation, line ends and invisible characters do not
    hide them. A translation or paraphrase is not found.
    """

    def __init__(self, prompt: str, canaries: Collection[str] = ()) -> None:
        self._words = [match.group() for match in _words(fold(prompt).text)]
        self._runs = {tuple(self._words[i : i + RUN]) for i in range(max(0, len(self._words) - RUN + 1))}
        self._canaries = [re.compile(re.escape(canary), re.IGNORECASE) for canary in canaries if canary]

    def find(self, answer: str) -> list[Match]:
        """Type SYSTEM_PROMPT_LEAK. Rules `leak.canary` (score 1) and `leak.system_prompt` (from 0.5 for `RUN` words to
        1 for four times as many, or for half the prompt). Linear in the answer."""
        matches = [
            Match("SYSTEM_PROMPT_LEAK", at.start(), at.end(), 1.0, "leak.canary", "list")
            for canary in self._canaries
            for at in canary.finditer(answer)
        ]
        folded = fold(answer)
        places = list(_words(folded.text))
        words = [place.group() for place in places]
        start = end = -1
        for i in range(len(words) - RUN + 1):
            if tuple(words[i : i + RUN]) not in self._runs:
                continue
            if i > end:
                matches += self._run(places, start, end, folded.sources)
                start = i
            end = i + RUN
        matches += self._run(places, start, end, folded.sources)
        return sorted(matches, key=lambda match: match.start)

    def _run(
        self, places: Sequence[re.Match[str]], start: int, end: int, sources: Callable[..., list[int]]
    ) -> list[Match]:
        if start < 0:
            return []
        length = end - start
        score = min(1.0, 0.5 + (length - RUN) / (6 * RUN)) if length * 2 < len(self._words) else 1.0
        first, last = sources(places[start].start(), places[end - 1].end())
        return [Match("SYSTEM_PROMPT_LEAK", first, last, score, "leak.system_prompt", "list")]


def _words(text: str) -> list[re.Match[str]]:
    return [match for match in TOKEN.finditer(text.lower()) if match.group()[0] not in "\n?:"]
