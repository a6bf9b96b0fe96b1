"""Everything that may happen to jobs, in any order, and how they land afterwards all the same."""

import sys
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from jobstate import JobService, JobStatus
from jobstate.attempts import Hold, Landing, Policy
from jobstate.states import ItemStatus
from tests.factories import COMPLETED, FAILED, PARTIAL
from tests.promise.acts import Acts
from tests.promise.ledger import Entry
from tests.promise.stage import TICK

POLICIES = st.builds(
    Policy,
    idempotent=st.sampled_from([True, True, False]),
    max_rescues=st.sampled_from([3, 1]),
    keep_partial=st.booleans(),
    no_progress=st.sampled_from([None, None, 50.0]),
)

THEN = st.sampled_from(["nothing", "published", "delivered to 0", "delivered to 1"])
"""What happens at once to a job that waits to be started; its publisher may die before that."""

ENDS = st.sampled_from([False, False, True])
"""Whether the newest attempt ends too, or only those that run on though they lost the job."""

TIMES = st.sampled_from([None, None, None, 40.0, 4000.0])


class Machine(RuleBasedStateMachine):
    """Draws who does what next; the acts check the promise after each step."""

    def __init__(self, service: JobService, connection: psycopg.Connection[Any]) -> None:
        super().__init__()
        self.acts = Acts(service, connection)

    @initialize(policy=POLICIES, follow=st.booleans())
    def begin(self, policy: Policy, follow: bool) -> None:  # noqa: FBT001 - Hypothesis passes it
        """There is a job, and sweepers have been up for a lease."""
        self.acts.let_a_lease_go_by()
        self._go_on(self.acts.enqueue(policy, follow=follow), "delivered to 0")

    @precondition(lambda self: len(self._unlanded()) < 3)
    @rule(
        policy=POLICIES,
        follow=st.booleans(),
        then=THEN,
        deadline=TIMES,
        expires=TIMES,
        eta=TIMES,
        key=st.sampled_from([None, None, "a"]),
    )
    def enqueue(self, policy: Policy, then: str, **given: Any) -> None:
        """An owner asks for a job."""
        self._go_on(self.acts.enqueue(policy, **given), then)

    @precondition(lambda self: self.acts.broker.ever)
    @rule(data=st.data(), again=st.booleans())
    def deliver(self, data: st.DataObject, *, again: bool) -> None:
        """A worker is given a message; it may be one that was delivered before."""
        broker = self.acts.broker
        messages = broker.ever if again else broker.messages or broker.ever
        workers = [worker for worker in self.acts.workers if worker.is_up]
        if workers:
            message = data.draw(st.sampled_from(messages), "message")
            self.acts.deliver(message, data.draw(st.sampled_from(workers), "worker"))

    @precondition(lambda self: self.acts.broker.messages)
    @rule(data=st.data(), known=st.booleans())
    def lose(self, data: st.DataObject, *, known: bool) -> None:
        """A message is lost, or comes to a worker that does not know its task."""
        messages = self.acts.broker.messages
        message = data.draw(st.sampled_from(messages), "message")
        if known:
            messages.remove(message)
        else:
            self.acts.throw_away(message)

    @precondition(lambda self: self._holds())
    @rule(data=st.data(), status=st.sampled_from(ItemStatus))
    def report(self, data: st.DataObject, status: ItemStatus) -> None:
        """Bodies write while they run."""
        for hold in self._claims(data):
            self.acts.report(hold, status)

    @precondition(lambda self: self._holds())
    @rule(
        data=st.data(),
        landing=st.sampled_from([COMPLETED, FAILED, PARTIAL]),
        ends=ENDS,
        dispatches=st.booleans(),
    )
    def land(self, data: st.DataObject, landing: Landing, *, ends: bool, dispatches: bool) -> None:
        """Bodies end; a worker may die before it dispatches what follows."""
        for hold in self._claims(data, last=ends):
            entry = self.acts.entries[hold.job_id]
            landed = entry.holds(hold)
            self.acts.land(hold, landing)
            if landed and dispatches:
                self.acts.dispatch(entry)
            if landed:
                self.acts.report(hold, ItemStatus.SUCCEEDED)
                self.acts.land(hold, FAILED)

    @precondition(lambda self: self._holds())
    @rule(
        data=st.data(),
        countdown=st.sampled_from([0.0, 30.0, 300.0]),
        then=THEN,
    )
    def release(self, data: st.DataObject, countdown: float, then: str) -> None:
        """A body asks for a retry."""
        for hold in self._claims(data):
            self.acts.release(hold, countdown)
            self._go_on(self.acts.entries[hold.job_id], then)

    @rule(
        data=st.data(),
        what=st.sampled_from([*["psql"] * 6, "cancel", "move"]),
        to=st.sampled_from(JobStatus),
    )
    def intervene(self, data: st.DataObject, what: str, to: JobStatus) -> None:
        """An owner cancels, an operator moves a job, or somebody uses psql."""
        entry = data.draw(st.sampled_from(list(self.acts.entries.values())), "job")
        if what == "cancel":
            self.acts.cancel(entry)
        elif what == "move":
            self.acts.move(entry, to)
        else:
            self.acts.break_the_law(entry, to)

    @rule(data=st.data(), what=st.sampled_from(["pause", "resume", "resume", "die"]))
    def tend(self, data: st.DataObject, what: str) -> None:
        """A worker stops, goes on, or dies, and another starts in its place."""
        worker = data.draw(st.sampled_from(self.acts.workers), "worker")
        if what == "die":
            self.acts.replace(worker)
        else:
            worker.is_up = what == "resume"

    @precondition(lambda self: self._holds())
    @rule(data=st.data(), ends=ENDS, then=THEN)
    def lose_child(self, data: st.DataObject, then: str, *, ends: bool) -> None:
        """Processes of a pool die."""
        for hold in self._claims(data, last=ends):
            self.acts.lose_child(hold)
            self._go_on(self.acts.entries[hold.job_id], then)

    @rule(data=st.data(), steps=st.sampled_from([1, 2, 3, 5, 1000]))
    def sweep(self, data: st.DataObject, steps: int) -> None:
        """A sweeper goes on with its round for a while."""
        self.acts.sweep(data.draw(st.sampled_from(self.acts.sweepers), "sweeper"), steps)

    @rule(ticks=st.sampled_from([None, None, 1, 3, 13, 80, 1000]), renew=st.booleans())
    def wait(self, ticks: int | None, *, renew: bool) -> None:
        """A while passes; or a lease, in which workers that are up renew time and again."""
        if ticks is None:
            self.acts.let_a_lease_go_by()
        else:
            self.acts.clock.pass_time(ticks * TICK)
        for worker in self.acts.workers:
            if worker.is_up and renew:
                self.acts.renew(worker)

    def teardown(self) -> None:
        """Nothing goes wrong any more: from wherever they are, all jobs land."""
        if sys.exception() is None and self.acts.entries:
            self._come_to_an_end()
        for sweeper in self.acts.sweepers:
            sweeper.abandon()

    def _come_to_an_end(self) -> None:
        entries = self.acts.entries.values()
        if not any(worker.is_up for worker in self.acts.workers):
            self.acts.replace(self.acts.workers[0])
        for hours in range(12):
            self._work_off()
            if all(entry.has_landed and not entry.pending for entry in entries):
                break
            self.acts.let_a_lease_go_by()
            self.acts.sweep(self.acts.sweepers[0], 1000)
            self.acts.clock.pass_time(3600 * 2.0**hours)
            self.acts.sweep(self.acts.sweepers[1], 1000)
        for entry in entries:
            assert entry.has_landed, "it never lands"
            assert not entry.pending, "what follows it is never dispatched"
            assert entry.has_run or not entry.policy.idempotent, "it never runs to its end"
            self.acts.look(entry)
        self._come_back()

    def _come_back(self) -> None:
        """Workers that were silent go on, and their bodies end: it is too late for all of that."""
        for worker in self.acts.workers:
            self.acts.renew(worker)
            for hold in worker.holds:
                self.acts.report(hold, ItemStatus.SUCCEEDED)
                self.acts.land(hold, PARTIAL)

    def _work_off(self) -> None:
        """Everybody does what is theirs to do."""
        for entry in list(self.acts.entries.values()):
            if entry.driven and not entry.has_landed:
                self.acts.move(entry, JobStatus.COMPLETED)
        worker = next(worker for worker in self.acts.workers if worker.is_up)
        self.acts.renew(worker)
        for message in list(self.acts.broker.messages):
            self.acts.deliver(message, worker)
        for hold in self._holds():
            entry = self.acts.entries[hold.job_id]
            self.acts.land(hold, COMPLETED)
            if entry.pending:
                self.acts.dispatch(entry)

    def _go_on(self, entry: Entry, then: str) -> None:
        """Publish a job, and deliver what was published of it, the oldest message first."""
        if then == "nothing":
            return
        self.acts.publish(entry)
        worker = self.acts.workers[then[-1] == "1"]
        if then != "published" and worker.is_up:
            for message in [each for each in self.acts.broker.ever if each[0] == entry.job_id]:
                self.acts.deliver(message, worker)

    def _holds(self) -> list[Hold]:
        """What bodies that run take themselves to hold, of jobs that have not landed."""
        return [
            hold
            for worker in self.acts.workers
            for hold in worker.holds
            if worker.is_up and not self.acts.entries[hold.job_id].has_landed
        ]

    def _claims(self, data: st.DataObject, *, last: bool = True) -> list[Hold]:
        """What all who run one job take themselves to hold, oldest first; the last, if wanted."""
        job_id = data.draw(st.sampled_from(self._holds()), "hold").job_id
        holds = sorted(
            (hold for hold in self._holds() if hold.job_id == job_id), key=lambda hold: hold.attempt
        )
        return holds if last else holds[:-1]

    def _unlanded(self) -> list[Entry]:
        return [entry for entry in self.acts.entries.values() if not entry.has_landed]
