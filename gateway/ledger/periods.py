"""Moments as people write them on the command line and in queries: `7d`, `2026-11-01`, `2026-11-01T12:00Z`, `now`."""

import re
from datetime import UTC, datetime

from gateway.errors import LedgerError
from gateway.ledger.posting import HOUR_NS

_AGO = re.compile(r"([0-9]{1,6})([mhdw])", re.ASCII)
_UNITS_NS = {"m": 60 * 10**9, "h": HOUR_NS, "d": 24 * HOUR_NS, "w": 168 * HOUR_NS}
_END_NS = 2**63
"""Nanoseconds of the last moment that a database can hold, in the year 2262."""

HINT = "allowed are now, an age (30m, 12h, 7d, 2w), a UTC date (2026-11-01) and a time (2026-11-01T12:00Z)"


def moment_ns(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch. Ages of a day or more go back to a whole hour, so that only roll-ups are read;
    times without a zone are UTC. Raises `LedgerError` saying what is allowed."""
    text = text.strip()
    if text == "now":
        return now_ns
    if found := _AGO.fullmatch(text):
        age = int(found[1]) * _UNITS_NS[found[2]]
        then = max(now_ns - age, 0)
        return then // HOUR_NS * HOUR_NS if age >= _UNITS_NS["d"] else then
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LedgerError(f"{text!r} is no moment; {HINT}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    nanos = (passed.days * 86_400 + passed.seconds) * 10**9 + passed.microseconds * 1000
    if nanos < 0:
        raise LedgerError(f"{text!r} is before 1970; {HINT}")
    if nanos >= _END_NS:
        raise LedgerError(f"{text!r} is too far away; {HINT}")
    return nanos
