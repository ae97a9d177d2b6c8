"""What an answer must not carry: the system prompt, a canary, data in the address of an image or link."""

import re
from collections.abc import Callable, Collection, Sequence

from guardrails.detector import Match

from .fold import fold
from .words import TOKEN

RUN = 8
"""Words in a row of the system prompt that are no coincidence."""
_IMAGE = re.compile(
    r"!\[[^\]\n]{0,300}\]\(\s{0,4}(https?://[^\s)]{1,2000})|<img\b[^>\n]{0,200}?\bsrc\s{0,4}=\s{0,4}[\"']?(https?://[^\s\"'>]{1,2000})",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"(?<!!)\[[^\]\n]{0,300}\]\(\s{0,4}(https?://[^\s)]{1,2000})|<a\b[^>\n]{0,200}?\bhref\s{0,4}=\s{0,4}[\"']?(https?://[^\s\"'>]{1,2000})",
    re.IGNORECASE,
)
_HOST = re.compile(r"https?://(?:[^/@?#]{0,200}@)?([^/:?#]{1,255})", re.IGNORECASE)
_VALUE = re.compile(r"[?&#;]([^=&#;]{0,100})=([^&#;]{1,1500})")
_DENSE = re.compile(r"[A-Za-z0-9+/_%=.-]{40,}")


class PromptLeak:
    """Finds pieces of a system prompt in answers. Made once for each prompt; memory is linear in the prompt.

    Words are compared folded and in lower case, so that case, punctuation, line ends and invisible characters do not
    hide them. A translation or paraphrase is not found.
    """

    def __init__(self, prompt: str, canaries: Collection[str] = ()) -> None:
        self._words = [match.group() for match in _words(fold(prompt).text)]
        self._runs = {tuple(self._words[i : i + RUN]) for i in range(max(0, len(self._words) - RUN + 1))}
        self._canaries = tuple(canary for canary in canaries if canary)

    def find(self, answer: str) -> list[Match]:
        """Type SYSTEM_PROMPT_LEAK. Rules `leak.canary` (score 1) and `leak.system_prompt` (from 0.5 for `RUN` words to
        1 for four times as many, or for half the prompt). Linear in the answer."""
        matches = [Match("SYSTEM_PROMPT_LEAK", at.start(), at.end(), 1.0, "leak.canary", "list")
                   for canary in self._canaries for at in re.finditer(re.escape(canary), answer)]  # fmt: skip
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


def exfiltration(answer: str, trusted: Collection[str] = ()) -> list[Match]:
    """Images and links in an answer whose address carries data to a host that is not trusted.

    Type DATA_EXFILTRATION. `leak.image`: loaded without a click, 0.9 with data, 0.3 without. `leak.link`: 0.6 with
    data. Data is a value of at least 24 characters, or one with encoded spaces or an e-mail address, or a dense path.
    `trusted`: host names, their subdomains included. Linear in the answer.
    """
    hosts = tuple(host.lower() for host in trusted)
    matches: list[Match] = []
    for shape, rule, with_data, without in ((_IMAGE, "leak.image", 0.9, 0.3), (_LINK, "leak.link", 0.6, 0.0)):
        for found in shape.finditer(answer):
            address = found.group(1) or found.group(2)
            host = _HOST.match(address)
            if host and host.group(1).lower().endswith(hosts) and _whole(host.group(1).lower(), hosts):
                continue
            score = with_data if _carries(address) else without
            if score:
                matches.append(Match("DATA_EXFILTRATION", found.start(), found.end(), score, rule, "heuristic"))
    return sorted(matches, key=lambda match: match.start)


def _whole(host: str, trusted: Collection[str]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in trusted)


def _carries(address: str) -> bool:
    for _, value in _VALUE.findall(address):
        if len(value) >= 24 or "%20" in value or "+" in value or "%40" in value or "@" in value or "%0" in value:
            return True
    path = address.partition("?")[0].split("/")[3:]
    return any(_DENSE.fullmatch(part) for part in path)
