"""Data that an answer carries out in the address of an image or link, as a classifier."""

from collections.abc import Collection

from guardrails.detector import Match

from .leak import exfiltration

TYPE = "DATA_EXFILTRATION"
RULES = ("leak.image", "leak.link")


class ExfiltrationClassifier:
    """Judges answers by their images and links: see `exfiltration`. `trusted`: hosts that may be given data."""

    def __init__(self, name: str = "exfiltration", trusted: Collection[str] = ()) -> None:
        self.name = name
        self._trusted = tuple(trusted)

    def judge(self, text: str, role: str) -> list[Match]:
        """See `guardrails.detector.Classifier`: every role's text is judged alike. Linear in the text."""
        return exfiltration(text, self._trusted)
