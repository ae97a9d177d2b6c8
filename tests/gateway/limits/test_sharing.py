"""Places are shared by weight, nobody starves, no place is lost, and no more are given than there are."""

import heapq
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.facts import Priority
from gateway.limits.sharing import IN_A_ROW, Full, Granted, Sharing, Ticket, Waiting
from gateway.quota import Capacity

TEAMS = ("a", "b", "c", "d")
WEIGHTS = {"a": 1, "b": 1, "c": 2, "d": 5}
PRIORITIES: tuple[Priority, ...] = ("interactive", "batch")
capacities = st.builds(
    Capacity,
    concurrent=st.integers(1, 4),
    queue=st.integers(0, 12),
    queue_per_team=st.one_of(st.none(), st.integers(0, 4)),
)


class Machine(RuleBasedStateMachine):
    """Anything in any order, against a plain account of who holds and who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.capacity = Capacity(concurrent=2, queue=6)
        self.sharing = Sharing(self.capacity)
        self.inside: list[Ticket] = []
        self.outside: list[Ticket] = []
        self.over: list[Ticket] = []
        self.passed_over: dict[Ticket, int] = {}

    def served(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            first = next(each for each in self.outside if (each.team, each.priority) == (ticket.team, ticket.priority))
            assert ticket is first, "within a team, first come, first served"
            batch = next((each for each in self.outside if each.priority == "batch"), None)
            if ticket.priority == "interactive" and batch is not None:
                self.in_a_row += 1
                assert self.in_a_row <= IN_A_ROW, "batch is served within ten grants"
            else:
                self.in_a_row = 0
            self.outside.remove(ticket)
            self.inside.append(ticket)

    in_a_row = 0

    @rule(seconds=st.floats(0, 20), back=st.booleans())
    def time_passes(self, seconds: float, back: bool) -> None:
        """A clock that steps back by a little (timers fire early) harms nothing."""
        self.now += -0.001 if back else seconds

    @rule(team=st.sampled_from(TEAMS), priority=st.sampled_from(PRIORITIES), wait=st.floats(0, 30))
    def enters(self, team: str, priority: Priority, wait: float) -> None:
        ticket = Ticket(team, WEIGHTS[team], priority, self.now + wait)
        free = self.sharing.in_use < self.capacity.concurrent
        match self.sharing.enter(ticket, self.now):
            case Granted():
                assert free
                self.inside.append(ticket)
            case Waiting(displaced):
                assert not free
                if displaced is not None:
                    assert len(self.outside) >= self.capacity.queue
                    assert not (priority == "batch" and displaced.priority == "interactive")
                    self.outside.remove(displaced)
                    self.over.append(displaced)
                self.outside.append(ticket)
            case Full():
                assert not free
                self.over.append(ticket)

    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        if self.inside:
            ticket = data.draw(st.sampled_from(self.inside))
            self.inside.remove(ticket)
            self.over.append(ticket)
            self.served(self.sharing.leave(ticket, self.now))

    @rule(data=st.data())
    def is_cancelled(self, data: st.DataObject) -> None:
        """Wherever it stands; also one that is long over."""
        known = [*self.inside, *self.outside, *self.over]
        if known:
            ticket = data.draw(st.sampled_from(known))
            for where in (self.inside, self.outside):
                if ticket in where:
                    where.remove(ticket)
                    self.over.append(ticket)
            self.served(self.sharing.cancel(ticket, self.now))
            assert self.sharing.leave(ticket, self.now) == ()

    @rule()
    def deadlines_pass(self) -> None:
        due = [ticket for ticket in self.outside if ticket.deadline <= self.now]
        expired = self.sharing.expire(self.now)
        assert sorted(map(id, expired)) == sorted(map(id, due))
        for ticket in due:
            self.outside.remove(ticket)
            self.over.append(ticket)

    @rule(capacity=capacities)
    def reloads(self, capacity: Capacity) -> None:
        self.capacity = capacity
        before = len(self.inside)
        self.served(self.sharing.resize(capacity, self.now))
        assert len(self.inside) <= max(before, capacity.concurrent)

    @invariant()
    def no_place_is_lost_or_given_twice(self) -> None:
        assert self.sharing.in_use == len(self.inside)
        assert self.sharing.waiting == len(self.outside)
        assert {ticket.state for ticket in self.inside} <= {"granted"}
        assert {ticket.state for ticket in self.outside} <= {"waiting"}

    @invariant()
    def a_free_place_and_a_waiting_request_never_exist_at_one_time(self) -> None:
        assert not self.outside or len(self.inside) >= self.capacity.concurrent

    @invariant()
    def parts_are_reckoned_among_those_who_hold_or_want_a_place(self) -> None:
        for rank, priority in ((self.sharing._interactive, "interactive"), (self.sharing._batch, "batch")):
            teams = {ticket.team for ticket in self.inside + self.outside if ticket.priority == priority}
            assert rank.weight == sum(WEIGHTS[team] for team in teams)

    @invariant()
    def the_next_deadline_is_known(self) -> None:
        assert self.sharing.next_deadline == min((t.deadline for t in self.outside), default=float("inf"))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


@given(
    weights=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    rounds=st.integers(10, 120),
)
def test_requests_served_follow_the_weights_to_within_one_each(weights: list[int], rounds: int) -> None:
    """ "Equal costs, one place: requests served differ by less than one each, |g_i/w_i - g_j/w_j| <= 1/w_i + 1/w_j", at
    every moment while all wait."""
    sharing = Sharing(Capacity(concurrent=1, queue=10_000), timed=False)
    held = Ticket("holder")
    sharing.enter(held, 0.0)
    for team, weight in enumerate(weights):
        for _ in range(rounds + 1):
            sharing.enter(Ticket(str(team), weight), 0.0)
    served = [0] * len(weights)
    for _ in range(rounds):
        (held,) = sharing.leave(held, 0.0)
        served[int(held.team)] += 1
        for i, mine in enumerate(weights):
            for j, theirs in enumerate(weights):
                assert abs(served[i] / mine - served[j] / theirs) <= 1 / mine + 1 / theirs + 1e-9


def seconds_of_place(
    places: int, weights: dict[str, int], lengths: dict[str, float], until: float, seed: int
) -> dict[str, float]:
    """Every team always has requests waiting; the seconds of place each had until `until`. Requests of a team last
    between half and twice `lengths`."""
    chance = random.Random(seed)
    sharing = Sharing(Capacity(concurrent=places, queue=10_000))
    ends: list[tuple[float, int, Ticket]] = []
    used = dict.fromkeys(weights, 0.0)
    number = 0

    def begin(ticket: Ticket, now: float) -> None:
        nonlocal number
        number += 1
        lasts = lengths[ticket.team] * chance.uniform(0.5, 2)
        used[ticket.team] += min(now + lasts, until) - now
        heapq.heappush(ends, (now + lasts, number, ticket))
        arrive(ticket.team, now)

    def arrive(team: str, now: float) -> None:
        ticket = Ticket(team, weights[team])
        if isinstance(sharing.enter(ticket, now), Granted):
            begin(ticket, now)

    for team in weights:
        arrive(team, 0.0)
    while ends[0][0] < until:
        now, _, ticket = heapq.heappop(ends)
        for following in sharing.leave(ticket, now):
            begin(following, now)
    return used


@settings(deadline=None, max_examples=50)
@given(
    places=st.integers(1, 8),
    weights=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    lengths=st.lists(st.floats(0.2, 10), min_size=4, max_size=4),
    seed=st.integers(0, 2**16),
)
def test_seconds_of_place_follow_the_weights_whatever_requests_last(
    places: int, weights: list[int], lengths: list[float], seed: int
) -> None:
    """ "Seconds of place differ by |s_i/w_i - s_j/w_j| <= 3(n+1)(c_i/w_i + c_j/w_j), c the longest request": a team of
    long requests gets no more of a provider than one of short ones."""
    named = {str(team): weight for team, weight in enumerate(weights)}
    lasting = {team: lengths[int(team)] for team in named}
    used = seconds_of_place(places, named, lasting, 200.0, seed)
    longest = {team: max(2 * length, 1.0) for team, length in lasting.items()}
    for i in named:
        for j in named:
            bound = 3 * (places + 1) * (longest[i] / named[i] + longest[j] / named[j])
            assert abs(used[i] / named[i] - used[j] / named[j]) <= bound


def test_a_team_of_long_streams_and_one_of_short_questions_have_the_same_part_of_a_provider() -> None:
    used = seconds_of_place(8, {"streams": 1, "questions": 1}, {"streams": 10.0, "questions": 0.1}, 2000.0, 1)
    assert 0.45 < used["streams"] / (used["streams"] + used["questions"]) < 0.55


def full(places: int, queue: int, *flood: str, **options: int) -> tuple[Sharing, list[Ticket], list[Ticket]]:
    """Every place held, and the line full of `flood`, in turn."""
    sharing = Sharing(Capacity(concurrent=places, queue=queue, **options), timed=False)
    held = [Ticket("holder") for _ in range(places)]
    line = [Ticket(flood[at % len(flood)]) for at in range(queue)]
    for ticket in held + line:
        sharing.enter(ticket, 0.0)
    return sharing, held, line


def test_who_comes_back_is_served_next_but_has_no_credit_for_its_absence() -> None:
    sharing, held, _ = full(1, 100, "noisy")
    for at in range(50):
        held += sharing.leave(held.pop(), float(at))
    for _ in range(3):
        sharing.enter(Ticket("quiet"), 50.0)
    order = ""
    for at in range(6):
        (ticket,) = sharing.leave(held.pop(), 51.0 + at)
        held.append(ticket)
        order += ticket.team[0]
    assert order in ("qnqnqn", "nqnqnq")


def test_a_team_within_its_part_waits_for_the_next_place_whatever_others_ask_for() -> None:
    """ "A team that holds fewer places than its part is served before one that holds its part", also with several
    requests in a row, for which others would take turns with it; and only up to its part."""
    sharing = Sharing(Capacity(concurrent=8, queue=100))
    held = [Ticket("noisy") for _ in range(8)]
    for ticket in held + [Ticket("noisy") for _ in range(20)]:
        sharing.enter(ticket, 0.0)
    for _ in range(6):
        sharing.enter(Ticket("quiet"), 1.0)
    order = ""
    for at in range(8):
        (ticket,) = sharing.leave(held[at], 1.0 + at / 10)
        order += ticket.team[0]
    assert order[:4] == "qqqq"
    assert order[4:].count("q") <= 2


def test_a_flood_does_not_shut_others_out_of_a_full_line() -> None:
    """ "When it is full, a newcomer whose team has less of it than its weight says takes the place of the youngest
    request of the longest line"."""
    sharing, _, line = full(1, 10, "noisy")
    displaced: list[Ticket] = []
    for _ in range(8):
        if isinstance(entry := sharing.enter(Ticket("quiet"), 0.0), Waiting) and entry.displaced is not None:
            displaced.append(entry.displaced)
    assert displaced == line[:4:-1], "half of the line each, the youngest first"
    assert isinstance(sharing.enter(Ticket("noisy"), 0.0), Full)
    assert isinstance(sharing.enter(Ticket("other", weight=10), 0.0), Waiting)


def test_interactive_takes_the_place_of_batch_in_a_full_line_and_never_the_other_way() -> None:
    sharing, _, _ = full(1, 4, "noisy")
    assert isinstance(sharing.enter(Ticket("jobs", 9, "batch"), 0.0), Full)
    sharing = Sharing(Capacity(concurrent=1, queue=4))
    sharing.enter(Ticket("holder"), 0.0)
    jobs = [Ticket("jobs", 9, "batch") for _ in range(4)]
    for job in jobs:
        sharing.enter(job, 0.0)
    assert [sharing.enter(Ticket("noisy"), 0.0) for _ in range(4)] == [Waiting(job) for job in reversed(jobs)]
    assert isinstance(sharing.enter(Ticket("noisy"), 0.0), Full)


def test_a_team_has_no_more_of_the_line_than_it_may() -> None:
    sharing, _, _ = full(1, 0, "noisy")
    sharing.resize(Capacity(concurrent=1, queue=10, queue_per_team=2), 0.0)
    entries = [type(sharing.enter(Ticket("noisy"), 0.0)) for _ in range(3)]
    assert entries == [Waiting, Waiting, Full]
    assert isinstance(sharing.enter(Ticket("quiet"), 0.0), Waiting)


def test_one_place_in_ten_goes_to_batch_while_both_wait() -> None:
    """ "A batch request at the head of its class is served within ten grants"."""
    sharing, held, _ = full(1, 60, "chat")
    sharing.resize(Capacity(concurrent=1, queue=100), 0.0)
    for _ in range(5):
        sharing.enter(Ticket("jobs", 1, "batch"), 0.0)
    order = ""
    for at in range(40):
        (ticket,) = sharing.leave(held.pop(), float(at))
        held.append(ticket)
        order += ticket.team[0]
    assert order == ("c" * IN_A_ROW + "j") * 4


def test_batch_has_every_place_that_nothing_interactive_wants() -> None:
    sharing = Sharing(Capacity(concurrent=3))
    assert [type(sharing.enter(Ticket("jobs", 1, "batch"), 0.0)) for _ in range(4)] == [Granted] * 3 + [Waiting]


def test_one_endless_stream_does_not_shut_its_team_out() -> None:
    """ "What it owes is held against it only up to four of the longest mean requests for every place"."""
    sharing = Sharing(Capacity(concurrent=2, queue=1000))
    endless = Ticket("streams")
    sharing.enter(endless, 0.0)
    held = Ticket("chat")
    sharing.enter(held, 0.0)
    now = 0.0
    for _ in range(200):
        sharing.enter(Ticket("chat"), 0.0)
    while now < 100:
        now += 1.0
        (held,) = sharing.leave(held, now)
    sharing.leave(endless, now)
    held_too = Ticket("streams")
    sharing.enter(held_too, now)
    turns = 0
    while held_too.state != "granted":
        now += 1.0
        turns += 1
        (held,) = sharing.leave(held, now)
    assert turns <= 4 * 2 + 1


def test_how_long_a_newcomer_would_wait_is_guessed_from_what_requests_took() -> None:
    sharing = Sharing(Capacity(concurrent=4, queue=100))
    now = 0.0
    for _ in range(100):
        ticket = Ticket("a")
        sharing.enter(ticket, now)
        now += 3.0
        sharing.leave(ticket, now)
    for _ in range(4 + 7):
        sharing.enter(Ticket("a"), now)
    assert 5.9 < sharing.delay() <= 6.0


def test_deadlines_that_are_no_longer_needed_are_not_kept() -> None:
    sharing = Sharing(Capacity(concurrent=1, queue=10))
    held = Ticket("a")
    sharing.enter(held, 0.0)
    for at in range(2000):
        sharing.enter(Ticket("a", deadline=1e9), float(at))
        (held,) = sharing.leave(held, float(at))
    assert len(sharing._deadlines) < 100
