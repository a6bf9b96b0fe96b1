"""What those who work on the store do: each act calls it, tells the model, and compares the two."""

from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest

from jobstate import (
    InvalidStateTransitionError,
    JobService,
    JobStatus,
    attempts,
    publishing,
    reporting,
    sweeping,
)
from jobstate.attempts import Hold, Landing, Policy
from jobstate.creation import NewJob
from jobstate.items import Outcome
from jobstate.progress import Report
from jobstate.states import VALID_TRANSITIONS, ErrorCode, ItemStatus
from jobstate.store import Operation
from tests.factories import landed, released
from tests.promise.judge import Judge
from tests.promise.ledger import Entry
from tests.promise.stage import SETTINGS, Broker, Clock, Paced, Rounds, Watcher, Worker

RESULTS = {JobStatus.COMPLETED: {"rows": 7}, JobStatus.PARTIAL: {"rows": 3}}


class Acts:
    """Workers, sweepers, owners and operators on one database.

    Args:
        service: The service on a database that may be emptied; its store is under test.
        connection: A connection of the one who watches.
    """

    def __init__(self, service: JobService, connection: psycopg.Connection[Any]) -> None:
        self._service, self._store = service, service.store
        self._watcher = Watcher(connection)
        self._watcher.empty()
        self._judge = Judge(self._watcher)
        self.entries = self._judge.entries
        self.clock = Clock(connection)
        self.broker = Broker()
        self._ids = count(1)
        self.workers = [Worker(self._new_id()), Worker(self._new_id())]
        paced = Paced(self._store)
        self.sweepers = [Rounds(paced, self.broker), Rounds(paced, self.broker)]
        self._keys: dict[str, UUID] = {}
        self._user_id = self._new_id()
        for worker in self.workers:
            self.boot(worker)

    def enqueue(
        self,
        policy: Policy,
        *,
        follow: bool,
        deadline: float | None = None,
        expires: float | None = None,
        eta: float | None = None,
        key: str | None = None,
    ) -> Entry:
        """Create a job; whoever asks twice with one key has one job."""
        new = NewJob(
            user_id=self._user_id,
            job_id=self._new_id(),
            job_type="report",
            task_name="tasks.report",
            queue="q",
            message=_message(follow=follow),
            deadline=deadline,
            expires=expires,
            eta=eta,
            idempotency_key=key,
        )
        job, at = self.clock.timed(lambda: self._service.create(new))
        known = self._keys.get(key) if key else None
        assert job.id == (known or new.id)
        if known is None:
            entry = Entry(job.id, policy, follow)
            entry.deadline = None if deadline is None else at.later(deadline)
            entry.expires = None if expires is None else at.later(expires)
            self.entries[job.id] = entry
            if key:
                self._keys[key] = job.id
        self._judge.check()
        return self.entries[job.id]

    def publish(self, entry: Entry) -> None:
        """Publish a job that waits to be started."""
        self.broker.publish(self._store, entry.job_id, again=True)
        self._judge.check()

    def deliver(self, message: tuple[UUID, int], worker: Worker) -> None:
        """Give a message to a worker, which takes the job or hears why not."""
        job_id, ticket = message
        entry = self.entries[job_id]
        if message in self.broker.messages:
            self.broker.messages.remove(message)
        take = attempts.take(job_id, ticket, worker.worker_id, 100, entry.policy)
        taking, at = self.clock.timed(lambda: self._store.run(take))
        assert taking is not None
        lease = self._judge.leases[worker.worker_id]
        if taking.done:
            assert entry.is_free_for(ticket), "it is not there to be taken"
            assert worker.worker_id not in self._judge.given_up, "the taker was given up"
            assert not lease.is_over(at), "the taker's lease has run out"
            hold = Hold(job_id, taking.job.attempt, worker.worker_id)
            entry.taken(hold, at)
            worker.holds.append(hold)
        elif not taking.lease_alive:
            assert worker.worker_id in self._judge.given_up or lease.may_be_over(at)
            self.broker.messages.append(message)
        else:
            assert not entry.is_free_for(ticket), "nobody takes it"
            if taking.job.followups_pending:
                self.dispatch(entry)
        self._judge.check()

    def throw_away(self, message: tuple[UUID, int]) -> None:
        """Have a worker that does not know the task throw its message away."""
        job_id, ticket = message
        self.broker.messages.remove(message)
        code, entry = ErrorCode.UNKNOWN_TASK, self.entries[job_id]
        self._store.run(publishing.put_back(job_id, ticket, code, SETTINGS.lost_grace))
        if entry.is_free_for(ticket):
            entry.error_code = code
        self._judge.check()

    def report(self, hold: Hold, status: ItemStatus) -> None:
        """Write progress, an item with this status and an asset, while the body runs."""
        serial = next(self._ids)
        entry, name, percent = self.entries[hold.job_id], str(serial), serial % 100
        if self._written(hold, reporting.report_progress(hold, Report(percent))):
            entry.progress = percent
        if self._written(hold, reporting.record_items(hold, {name: Outcome(status)})):
            entry.items[name] = (hold.attempt, status)
        asset = reporting.add_asset(hold, "csv", "", name, 9, content_type=None, sha256=None)
        if self._written(hold, asset):
            entry.assets.append((hold.attempt, name))
        self._judge.check()

    def land(self, hold: Hold, landing: Landing) -> None:
        """End a body."""
        entry = self.entries[hold.job_id]
        done, job = landed(self._store, hold, landing, followups=entry.follow)
        assert done is entry.holds(hold), "who lands it"
        if done:
            entry.landed(landing, RESULTS.get(landing.status))
        assert job.status is entry.status, "who hears where it is"
        self._judge.check()

    def dispatch(self, entry: Entry) -> None:
        """Dispatch what follows a job, and forget it."""
        assert entry.has_landed, "what follows a job comes after it"
        self._store.run(attempts.clear_followups(entry.job_id))
        entry.pending = False
        self._judge.check()

    def release(self, hold: Hold, countdown: float) -> None:
        """Let a body ask for a retry."""
        entry = self.entries[hold.job_id]
        done, job = released(
            self._store,
            hold,
            message=_message(follow=entry.follow),
            when={"eta": None, "countdown": countdown},
        )
        assert done is entry.holds(hold), "who releases it"
        assert job.status is entry.status
        if done:
            entry.released()
        self._judge.check()

    def cancel(self, entry: Entry) -> None:
        """Have the owner ask for an end."""
        job, at = self.clock.timed(lambda: self._service.cancel(entry.job_id, self._user_id))
        if not entry.has_landed:
            entry.cancelled = entry.cancelled or at
            if entry.holder is None:
                entry.ended(ErrorCode.CANCELLED)
        assert job.status is entry.status
        self._judge.check()

    def move(self, entry: Entry, target: JobStatus) -> None:
        """Move a job like an operator, or whoever drives it; refused where that is illegal."""
        if target in VALID_TRANSITIONS[entry.status]:
            job = self._service.transition_status(entry.job_id, target)
            entry.moved(target, job.error_code)
        else:
            with pytest.raises(InvalidStateTransitionError) as refused:
                self._service.transition_status(entry.job_id, target)
            assert refused.value.current is entry.status
        self._judge.check()

    def break_the_law(self, entry: Entry, target: JobStatus) -> None:
        """Set a status by hand that the job cannot come to; the database refuses."""
        if target is not entry.status and target not in VALID_TRANSITIONS[entry.status]:
            has_landed = not VALID_TRANSITIONS[target]
            with pytest.raises(psycopg.errors.CheckViolation, match=f"cannot become {target}"):
                self._watcher.move(entry.job_id, target, has_landed=has_landed)
        self._judge.check()

    def boot(self, worker: Worker) -> None:
        """Announce a worker."""
        lease = SETTINGS.lease
        register = sweeping.register_worker(worker.worker_id, "host", 1, ["q"], lease)
        _, at = self.clock.timed(lambda: self._store.run(register))
        self._judge.leases[worker.worker_id] = at.later(lease)

    def replace(self, worker: Worker) -> None:
        """Let a worker die, and another start in its place."""
        self.workers.remove(worker)
        self.workers.append(Worker(self._new_id()))
        self.boot(self.workers[-1])

    def renew(self, worker: Worker) -> None:
        """Renew a lease; who was given up goes on under a new id."""
        renew = sweeping.renew_lease(worker.worker_id, SETTINGS.lease)
        alive, at = self.clock.timed(lambda: self._store.run(renew))
        assert alive is (worker.worker_id not in self._judge.given_up)
        if alive:
            self._judge.leases[worker.worker_id] = at.later(SETTINGS.lease)
        else:
            worker.worker_id = self._new_id()
            self.boot(worker)

    def lose_child(self, hold: Hold) -> None:
        """Kill the process that ran an attempt; its worker sees to the job."""
        entry = self.entries[hold.job_id]
        rescued = self._store.run(sweeping.rescue(hold)) is not None
        assert rescued is entry.holds(hold), "who rescues it"
        if rescued:
            entry.rescued()
        self._judge.check()

    def let_a_lease_go_by(self) -> None:
        """Be seen for so long that who does not renew may be given up."""
        for _ in range(5):
            self.clock.pass_time(SETTINGS.lease / 4)
            for worker in self.workers:
                if worker.is_up:
                    self.renew(worker)
            self._store.run(sweeping.see(SETTINGS))
        self._judge.check()

    def sweep(self, sweeper: Rounds, steps: int) -> None:
        """Let a sweeper go on, but not beyond the end of its round."""
        goes_on = True
        while goes_on and steps:
            goes_on, at = self.clock.timed(sweeper.step)
            steps -= 1
            self._judge.explain(at)
            self._judge.check()

    def look(self, entry: Entry) -> None:
        """The owner is shown what the last attempt has written, and nothing else."""
        items = self._service.get_job_items(entry.job_id, self._user_id)
        written = {key for key, (attempt, _) in entry.items.items() if attempt == entry.attempt}
        assert {item.key for item in items} == written
        assets = self._service.get_job_assets(entry.job_id, self._user_id)
        stored = {path for attempt, path in entry.assets if attempt == entry.attempt}
        assert {asset.storage_path for asset in assets} == stored

    def _new_id(self) -> UUID:
        """Return the next id: the same one when the same steps are done again."""
        return UUID(int=next(self._ids))

    def _written(self, hold: Hold, operation: Operation[Any]) -> bool:
        """Tell whether something was written: it is, if this attempt holds the job."""
        entry = self.entries[hold.job_id]
        answer, at = self.clock.timed(lambda: self._store.run(operation))
        assert (answer is not None) is entry.holds(hold), "who writes, and who is told"
        if isinstance(answer, bool):
            assert answer is (entry.cancelled is not None), "who is told to end"
        if answer is not None and operation.statement in ("report_progress", "record_items"):
            entry.reported = at
        return answer is not None


def _message(*, follow: bool) -> str:
    shown = str(follow).lower()
    return f'{{"body": "[[], {{}}, {{}}]", "followups": {shown}, "errbacks": {shown}}}'
