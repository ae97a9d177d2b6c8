"""The book of incidents: opens, updates and resolves them as findings come and go. Pure; time is passed in.

There is one incident at a time for a signal and its subject. It opens when its finding fires (for as long as the
finding asks), worsens with it, and is resolved when nothing was found for `resolve_after`. Of what is quiet, nothing is
known: it stays open for ten minutes, unless it was well when it was last known. What comes back within ten
minutes is the same incident again, not a new one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from gateway.incidents.detect import Finding
from gateway.ledger.incidents import Incident

QUIET = 600.0
"""Seconds an incident stays open of which nothing more can be known."""
AGAIN = 600.0
SHARED = frozenset({"spend"})
"""Signals read from the ledger, which every gateway that shares it sees alike."""
_S = 10**9

Happened = Literal["opened", "worsened", "reopened", "resolved"]
Key = tuple[str, str]


class Step(msgspec.Struct, frozen=True):
    """Something that is to be told."""

    happened: Happened
    incident: Incident


class Book:
    """What is open, and what was a short while ago."""

    def __init__(self, open_: Iterable[Incident], now_ns: int, make_id: Callable[[], str], gateway: str = "") -> None:
        """`gateway`: the name of the one that looks. `open_`: those that were when it last ran; they get the usual
        time to be found again."""
        self._open = {each.key: each for each in open_}
        self._active = dict.fromkeys(self._open, now_ns)
        self._well: set[Key] = set()
        """Open ones that were well when last anything was known of them."""
        self._pending: dict[Key, int] = {}
        self._closed: dict[Key, Incident] = {}
        self._make_id = make_id
        self._gateway = gateway

    @property
    def open(self) -> list[Incident]:
        return sorted(self._open.values(), key=lambda each: (each.opened_ns, each.id))

    def replace(self, incident: Incident) -> None:
        """Take the place of the open one of its key."""
        self._open[incident.key] = incident

    def observe(self, findings: Sequence[Finding], now_ns: int, now: float, resolve_after: float) -> list[Step]:
        """Take up what was found now (`now`: the same moment on the monotonic clock of findings)."""
        steps: list[Step] = []
        found = {(each.signal, each.subject): each for each in findings}
        for key in [key for key in self._pending if key not in found or found[key].level != "firing"]:
            del self._pending[key]
        for key, finding in found.items():
            step = self._update(key, finding, now_ns) if key in self._open else self._begin(key, finding, now_ns, now)
            if step is not None:
                steps.append(step)
        return steps + self._resolve(found, now_ns, resolve_after)

    def _begin(self, key: Key, finding: Finding, now_ns: int, now: float) -> Step | None:
        if finding.level != "firing":
            return None
        first = self._pending.setdefault(key, now_ns)
        if now_ns - first < finding.after * _S:
            return None
        del self._pending[key]
        self._active[key] = now_ns
        since = first if finding.since is None else min(first, now_ns - round((now - finding.since) * _S))
        before = self._closed.pop(key, None)
        if before is not None and before.resolved_ns is not None and now_ns - before.resolved_ns < AGAIN * _S:
            again = msgspec.structs.replace(before, resolved_ns=None, updated_ns=now_ns, **_said(finding))
            self._open[key] = again
            return Step("reopened", again)
        incident = Incident(
            id=self._make_id(),
            gateway="" if finding.signal in SHARED else self._gateway,
            signal=finding.signal,
            subject=finding.subject,
            since_ns=since,
            opened_ns=now_ns,
            updated_ns=now_ns,
            severity=finding.severity,
            title=finding.title,
            detail=finding.detail,
        )
        self._open[key] = incident
        return Step("opened", incident)

    def _update(self, key: Key, finding: Finding, now_ns: int) -> Step | None:
        if finding.level == "quiet":
            return None
        self._active[key] = now_ns
        self._well.discard(key)
        incident = self._open[key]
        if finding.level == "holding":
            return None
        worse = finding.severity == "page" and incident.severity == "ticket"
        said = _said(finding)
        if not worse:
            said["severity"] = incident.severity
        self._open[key] = msgspec.structs.replace(incident, updated_ns=now_ns, **said)
        return Step("worsened", self._open[key]) if worse else None

    def _resolve(self, found: Mapping[Key, Finding], now_ns: int, resolve_after: float) -> list[Step]:
        steps: list[Step] = []
        for key, incident in list(self._open.items()):
            finding = found.get(key)
            if finding is None:
                self._well.add(key)
            patience = resolve_after if key in self._well else QUIET
            if (finding is None or finding.level == "quiet") and now_ns - self._active[key] >= patience * _S:
                del self._open[key]
                self._well.discard(key)
                over = msgspec.structs.replace(incident, resolved_ns=now_ns, updated_ns=now_ns)
                self._closed[key] = over
                steps.append(Step("resolved", over))
        for key, over in list(self._closed.items()):
            if now_ns - (over.resolved_ns or 0) >= AGAIN * _S:
                del self._closed[key]
        return steps


def _said(finding: Finding) -> dict[str, object]:
    return {"severity": finding.severity, "title": finding.title, "detail": finding.detail}
