"""Leases of several workers against a real server's script, in any interleaving: never beyond the limit.

The workers are `Lease` objects without a loop: what they say goes to the script when the test delivers it, or is lost,
and so is each answer. A worker may die. Some requests are asked for in the store beside them. The model is a list of
what each request took.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway.limits.decide import asked, owed
from gateway.limits.shared.lease import Epoch, Lease, Report
from gateway.limits.shared.packing import Batch, Packer, decode_answers, script
from gateway.limits.shared.plans import Plan
from gateway.quota import NOTHING, Bound, Calendar, Charge, Measure, Rolling, Window
from tests.gateway.limits.helpers import budget
from tests.support.redis_servers import Connection, RedisServer

LIMIT = 1000
LIFE = 600.0
KINDS: tuple[tuple[Measure, Window | None], ...] = (
    ("usd", Calendar("year")),
    ("requests", Calendar("year")),
    ("usd", Rolling(3600)),
    ("concurrent", None),
)


def charge(bound: Bound, amount: int) -> Charge:
    return Charge(requests=amount, nanos=amount)


@dataclass
class Worker:
    """One worker's lease, and its requests under way: the epoch, and what is reserved."""

    lease: Lease
    requests: list[tuple[Epoch, int]] = field(default_factory=list)
    sending: list[tuple[Report, Batch]] = field(default_factory=list)
    coming: list[tuple[Report, tuple[int, int, int, int], float]] = field(default_factory=list)
    silent: bool = False


class LeaseMachine(RuleBasedStateMachine):
    """At any moment: what was used and what is reserved, of all workers together, is no more than the limit."""

    connection: Connection
    sha: object

    @initialize(kind=st.sampled_from(KINDS), workers=st.integers(1, 3))
    def begin(self, kind: tuple[Measure, Window | None], workers: int) -> None:
        self.bound = budget(LIMIT, measure=kind[0], window=kind[1])
        self.gauge = kind[1] is None
        self.packer = Packer("machine")
        self.names = 0
        self.workers = [self.new_worker() for _ in range(workers)]
        self.used = 0
        self.direct: dict[str, int] = {}
        self.stranded = 0
        """What dead workers had at most."""
        self.now = 1.0

    def new_worker(self) -> Worker:
        self.names += 1
        return Worker(Lease(self.bound, f"lease:{self.names}", 0.5))

    def ask(self, batch: Batch) -> tuple[list[object], Sequence[int]]:
        group = self.bound.group
        argument = batch.encode(self.packer, 1_790_000_000_000_000_000)
        keys = (f"machine:{{{group}}}:holds", f"machine:{{{group}}}:expiry")
        reply = self.connection.ask("EVALSHA", self.sha, 2, *keys, argument)
        assert isinstance(reply, bytes)
        answers = decode_answers(reply)
        return answers.answers, answers.resets

    def level(self) -> int:
        batch = Batch()
        batch.level(self.bound)
        used, reserved, _ = msgspec.convert(self.ask(batch)[0][0], tuple[int, int, int])
        return used + reserved

    def of(self, number: int) -> Worker:
        return self.workers[number % len(self.workers)]

    # --- requests -----------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 2), amount=st.integers(0, 120))
    def admit(self, number: int, amount: int) -> None:
        worker, self.now = self.of(number), self.now + 0.001
        amount = min(amount, 1) if self.gauge else amount
        lease = worker.lease
        lease.last = amount
        lease.gross += amount
        if lease.free >= amount and self.now < lease.deadline:
            worker.requests.append((lease.take(amount, self.now), amount))

    @rule(number=st.integers(0, 2), which=st.integers(0, 9), share=st.floats(0, 1))
    def settle(self, number: int, which: int, share: float) -> None:
        worker = self.of(number)
        if worker.requests:
            epoch, held = worker.requests.pop(which % len(worker.requests))
            actual = 0 if self.gauge else int(held * share)
            worker.lease.settle(epoch, held, actual)
            self.used += actual

    @rule(number=st.integers(0, 2), which=st.integers(0, 9))
    def hand_over(self, number: int, which: int) -> None:
        """A request that grows becomes a hold of the store."""
        worker = self.of(number)
        if worker.requests:
            epoch, held = worker.requests.pop(which % len(worker.requests))
            worker.lease.hand_over(epoch, held)
            self.take(held, force=True)

    @rule(amount=st.integers(1, 150))
    def ask_the_store(self, amount: int) -> None:
        self.take(1 if self.gauge else amount)

    def take(self, amount: int, *, force: bool = False) -> None:
        self.names += 1
        name, plan, batch = f"hold:{self.names}", Plan((self.bound,)), Batch()
        amounts = asked(charge(self.bound, amount))
        if force:
            batch.force(name, plan.asked, amounts, LIFE, 0.01)
        else:
            batch.admit(name, plan.asked, amounts, LIFE)
        answer = self.ask(batch)[0][0]
        assert isinstance(answer, list)
        if answer[0]:
            self.direct[name] = amount

    @rule(share=st.floats(0, 1))
    def settle_in_the_store(self, share: float) -> None:
        if self.direct:
            name = next(iter(self.direct))
            amount = self.direct.pop(name)
            actual = 0 if self.gauge else int(amount * share)
            self.used += actual
            batch = Batch()
            batch.settle(name, owed(charge(self.bound, actual) if actual else NOTHING), taken=True)
            self.ask(batch)

    # --- reports ------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, 2), wanted=st.sampled_from([0, 1, 50, 200, 500]), more=st.booleans())
    def report(self, number: int, wanted: int, more: bool) -> None:
        worker, self.now = self.of(number), self.now + 0.01
        said = worker.lease.report(self.now, wanted, more=more)
        batch = Batch()
        batch.lease(worker.lease.name, self.bound, said, LIFE, 0.5)
        worker.sending.append((said, batch))

    @rule(number=st.integers(0, 2))
    def deliver(self, number: int) -> None:
        worker = self.of(number)
        if worker.sending:
            said, batch = worker.sending.pop(0)
            worker.silent = False
            answers, resets = self.ask(batch)
            worker.coming.append((said, msgspec.convert(answers[0], tuple[int, int, int, int]), resets[0] / 1e6))

    @rule(number=st.integers(0, 2))
    def answer(self, number: int) -> None:
        worker = self.of(number)
        if worker.coming:
            said, answer, reset = worker.coming.pop(0)
            worker.lease.answered(said, answer, reset, self.now)

    @rule(
        number=st.integers(0, 2),
        wanted=st.sampled_from([50, 200, 500]),
        spent=st.lists(st.integers(0, 120), max_size=6),
    )
    def work(self, number: int, wanted: int, spent: list[int]) -> None:
        """As it goes when nothing goes wrong: renewed, and spent from."""
        self.report(number, wanted, more=True)
        while self.of(number).sending:
            self.deliver(number)
        while self.of(number).coming:
            self.answer(number)
        for amount in spent:
            self.admit(number, amount)
        if len(spent) % 2:
            self.settle(number, 0, 0.5)

    @rule(number=st.integers(0, 2), how=st.sampled_from(["asking", "answering", "twice", "late"]))
    def fail(self, number: int, how: str) -> None:
        """Something is lost; or arrives twice; or after what was said later."""
        worker = self.of(number)
        if how == "asking" and worker.sending:
            worker.lease.lost(worker.sending.pop(0)[0])
        elif how == "answering" and worker.coming:
            worker.lease.lost(worker.coming.pop(0)[0])
        elif how == "twice" and worker.sending:
            self.ask(worker.sending[0][1])
        elif how == "late":
            worker.sending.reverse()

    @rule(number=st.integers(0, 2))
    def die(self, number: int) -> None:
        """Nobody knows what it has spent: all it had stays used. What is under way has an end."""
        worker = self.of(number)
        under_way = sum(held for _, held in worker.requests)
        self.used += 0 if self.gauge else under_way
        self.stranded += LIMIT
        self.workers[self.workers.index(worker)] = self.new_worker()
        self.silence(worker)

    @rule(number=st.integers(0, 2))
    def be_silent(self, number: int) -> None:
        """The store takes a lease for over; its worker stops by itself, and speaks of it later."""
        worker = self.of(number)
        if not worker.silent and not (self.gauge and worker.requests):
            worker.silent = True
            self.now += 2.0
            self.silence(worker)

    def silence(self, worker: Worker) -> None:
        self.connection.ask("ZADD", f"machine:{{{self.bound.group}}}:expiry", "XX", 1, worker.lease.name)
        self.level()

    # --- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def never_beyond_the_limit(self) -> None:
        under_way = sum(held for worker in self.workers for _, held in worker.requests)
        assert self.used + under_way + sum(self.direct.values()) <= LIMIT

    @invariant()
    def the_store_knows_at_least_what_was_taken(self) -> None:
        under_way = sum(held for worker in self.workers for _, held in worker.requests)
        free = sum(max(0, worker.lease.free) for worker in self.workers if self.now < worker.lease.deadline)
        assert self.level() >= self.used + under_way + sum(self.direct.values()) + free

    def teardown(self) -> None:
        """When everybody has spoken, the store holds what was taken, to the last one."""
        if not hasattr(self, "workers") or self.stranded:
            return
        under_way = 0
        for worker in self.workers:
            under_way += sum(held for _, held in worker.requests)
            worker.sending.clear()
            said = worker.lease.report(self.now, 0)
            batch = Batch()
            batch.lease(worker.lease.name, self.bound, said, LIFE, 0.5)
            self.ask(batch)
        assert self.level() == self.used + under_way + sum(self.direct.values())


def test_no_interleaving_spends_more_than_the_limit(redis_server: RedisServer) -> None:
    connection = Connection(redis_server.port)
    sha = connection.ask("SCRIPT", "LOAD", script("turn.lua"))

    class Machine(LeaseMachine):
        pass

    Machine.connection, Machine.sha = connection, sha
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    connection.close()
