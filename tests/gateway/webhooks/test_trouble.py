"""A disk that does not take webhooks is told of, and not every second."""

import errno
import os

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.webhooks.trouble import EVERY, SpoolTrouble

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@given(st.lists(st.tuples(st.floats(0, 90), st.booleans()), max_size=40))
def test_it_is_told_at_once_then_once_a_minute_and_when_it_is_over(happened: list[tuple[float, bool]]) -> None:
    """ "At once, then once a minute, and when it does again": and no failure is left out of the counts."""
    clock = ManualClock()
    told: list[tuple[str, float, int]] = []

    def report(event: str, /, **fields: str | int) -> None:
        assert fields.get("reason", FULL.strerror) == FULL.strerror
        told.append((event, clock.monotonic(), int(fields["failures"])))

    trouble = SpoolTrouble(report, clock)
    row = lines = 0
    for pause, works in happened:
        clock.advance(pause)
        before = len(told)
        if works:
            trouble.well()
            assert told[before:] == ([("webhook_spool_well", clock.monotonic(), row)] if row else [])
            row = lines = 0
        else:
            trouble.failed(FULL)
            row += 1
            new = told[before:]
            assert bool(new) == (row == 1 or clock.monotonic() - told[before - 1][1] >= EVERY)
            lines += sum(count for _, _, count in new)
            assert not new or lines == row
