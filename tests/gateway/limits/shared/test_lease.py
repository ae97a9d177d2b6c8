"""One counter's lease, by hand: what is free, until when, and what is said of it."""

import pytest

from gateway.limits.shared.lease import CLOSED, LIFE, OPEN, Epoch, Lease, leasable
from gateway.quota import Calendar, Rolling, Smooth, Window
from tests.gateway.limits.helpers import budget


def leased(window: Window | None = None, amount: int = 1000, share: float = 0.1, granted: int = 50) -> Lease:
    """At second 10, with so much of it free."""
    lease = Lease(budget(amount, window=window or Calendar("year")), "lease:1", share)
    lease.answered(lease.report(10.0, granted), (granted, 1, granted, -1), 5.0, 10.1)
    return lease


def test_what_is_granted_may_be_spent_until_a_second_after_it_was_asked_for() -> None:
    lease = leased()
    assert (lease.free, lease.deadline, lease.room) == (50, 10.0 + LIFE, 950)
    epoch = lease.take(20, 10.2)
    lease.settle(epoch, 20, 15)
    assert (lease.free, epoch.used, epoch.held) == (35, 15, 0)


def test_a_period_that_ends_is_not_spent_beyond_its_end() -> None:
    """Counted from before the store was asked: its end has not come then."""
    lease = Lease(budget(1000), "lease:1", 0.1)
    lease.answered(lease.report(10.0, 50), (50, 1, 50, 200_000), 5.0, 10.1)
    assert lease.deadline == pytest.approx(10.2)


def test_a_short_rolling_window_is_leased_for_a_quarter_of_it() -> None:
    assert leased(Rolling(1)).deadline == 10.25


def test_a_report_restates_what_every_epoch_is() -> None:
    lease = leased()
    first = lease.take(20, 10.2)
    lease.take(5, 10.3)
    lease.settle(first, 20, 8)
    said = lease.report(10.5, 40)
    assert (said.number, said.entries, said.want) == (2, [1, 8, 5 + 37, OPEN], 3)
    lease.answered(said, (3, 1, 70, -1), 5.0, 10.6)
    assert lease.free == 40


def test_another_place_of_the_counter_is_another_epoch_and_the_old_one_settles_where_it_was() -> None:
    lease = leased(Rolling(60))
    epoch = lease.take(20, 10.2)
    lease.answered(lease.report(10.4, 40), (40, 2, 90, -1), 5.0, 10.5)
    assert (lease.free, lease.open is epoch) == (40, False)
    lease.settle(epoch, 20, 12)
    assert lease.free == 40
    said = lease.report(10.6, 40)
    assert said.entries == [1, 12, 0, 400_000, 2, 0, 40, OPEN]
    assert said.finished == {1}
    lease.answered(said, (0, 2, 60, -1), 5.0, 10.7)
    assert lease.report(10.8, 40).entries == [2, 0, 40, OPEN]


def test_a_request_that_reserved_nothing_keeps_its_epoch() -> None:
    """It may have taken something all the same."""
    lease = leased()
    epoch = lease.take(0, 10.2)
    lease.answered(lease.report(10.3, 0), (0, 0, 0, -1), 0.0, 10.4)
    assert not lease.idle
    lease.settle(epoch, 0, 7)
    assert lease.free == -7
    said = lease.report(10.5, 0)
    assert said.entries[:3] == [1, 7, 0]
    lease.answered(said, (0, 0, 7, -1), 0.0, 10.6)
    assert lease.idle


def test_what_was_not_reserved_is_taken_from_what_is_free() -> None:
    lease = leased(Rolling(60))
    epoch = lease.take(20, 10.2)
    lease.answered(lease.report(10.4, 40), (40, 2, 90, -1), 5.0, 10.5)
    lease.settle(epoch, 20, 30)
    assert lease.free == 30


def test_after_its_deadline_it_is_closed_and_asked_for_anew() -> None:
    lease = leased()
    said = lease.report(12.0, 40)
    assert (said.want, said.entries[:3], lease.free, lease.open) == (40, [1, 0, 0], 0, None)


def test_an_answer_to_an_older_report_is_not_believed() -> None:
    lease = leased()
    older = lease.report(10.2, 90)
    newer = lease.report(10.3, 0)
    lease.answered(older, (40, 1, 90, -1), 5.0, 10.4)
    assert lease.free == 0
    assert newer.want == CLOSED
    lease.lost(newer)
    assert lease.changed


def test_who_was_overtaken_says_it_again() -> None:
    lease = leased()
    lease.answered(lease.report(10.2, 40), (-1, 0, 50, -1), 5.0, 10.3)
    assert lease.changed
    assert lease.pending is None


def test_it_ends_when_the_counter_is_beyond_its_limit() -> None:
    lease = leased()
    lease.answered(lease.report(10.2, 60), (10, 1, 1001, -1), 5.0, 10.3)
    assert (lease.open, lease.free) == (None, 0)


def test_as_much_as_is_needed_and_no_more_than_the_share() -> None:
    lease = leased(amount=1000, share=0.1)
    lease.gross, lease.last = 20, 3
    lease.passed(0.1)
    assert lease.target == 60
    lease.gross = 2000
    lease.passed(0.1)
    assert lease.target == 100


@pytest.mark.parametrize(
    ("amount", "window", "may"),
    [(1, Rolling(1), True), (1, Calendar("day"), True), (0, Calendar("day"), False), (9, Smooth(60, 3), False)],
)
def test_rates_are_not_leased(amount: int, window: Window, may: bool) -> None:
    assert leasable(budget(amount, measure="requests", window=window)) is may
    assert leasable(budget(5, measure="concurrent", window=None))


def test_what_a_report_tells_anew_was_spent_just_before() -> None:
    """A store that came back without what it held is told every epoch again, and the ledger says the same of what had
    ended: of a key that was busy for a month, all of that month counted twice. One request stays under way for long:
    with it its own epoch only."""
    lease = Lease(budget(10**9), "lease:1", 0.05)
    now, spent, told = 100.0, 0, []
    long: Epoch | None = None
    for _ in range(600):
        now += 0.1
        said = lease.report(now, 20)
        told.append(sum(said.entries[1::4]))
        number = lease.open.number if lease.open is not None else said.number
        lease.answered(said, (said.want, number, 0, 10**12), 1e6, now)
        for _ in range(10):
            epoch = lease.take(1, now)
            if long is None:
                long = epoch
            else:
                lease.settle(epoch, 1, 1)
                spent += 1
    assert spent == 5999
    assert max(told) <= 450, "of two epochs, not of a minute"
    assert long is not None
    assert (long.held, long.under_way) == (1, 1)
