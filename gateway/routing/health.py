"""What is known of providers across requests: credentials that were refused, and pauses that a provider asked for."""

from gateway.routing.table import Target

CREDENTIAL_PAUSE = 60.0
"""Seconds a refused credential is held back; then one request may try it again."""
LONGEST_PAUSE = 300.0
"""Seconds; a provider that asks for more is tried again after this."""


class Health:
    """Which targets to hold back, by monotonic time. World state: survives reloads."""

    def __init__(self) -> None:
        self._paused: dict[tuple[str, str], float] = {}
        self._refused: dict[tuple[str, str | None], float] = {}

    def ready(self, target: Target, now: float) -> bool:
        """Whether `target` should be tried before those that are held back."""
        if not self._paused and not self._refused:
            return True
        paused = self._paused.get((target.provider.name, target.model), 0.0)
        refused = self._refused.get((target.provider.name, target.provider.api_key), 0.0)
        return now >= paused and now >= refused

    def answered(self, target: Target, status: int, retry_after: float | None, now: float) -> bool:
        """Take note of an answer. True when it marked a working credential down: time to raise an alert."""
        if status in (401, 403):
            credential = (target.provider.name, target.provider.api_key)
            was_up = now >= self._refused.get(credential, 0.0)
            self._refused[credential] = now + CREDENTIAL_PAUSE
            return was_up
        if status in (429, 503, 529):
            self._paused[target.provider.name, target.model] = now + min(retry_after or 1.0, LONGEST_PAUSE)
        elif status < 300 and (self._paused or self._refused):
            self._paused.pop((target.provider.name, target.model), None)
            self._refused.pop((target.provider.name, target.provider.api_key), None)
        return False

    def paused(self, now: float) -> dict[str, int]:
        """How many models of each provider are held back now because it asked for a pause."""
        found: dict[str, int] = {}
        for (name, _), until in self._paused.items():
            found[name] = found.get(name, 0) + (until > now)
        return found

    def down(self, now: float) -> list[str]:
        """Names of providers whose credential is held back now."""
        return sorted({name for (name, _), until in self._refused.items() if until > now})
