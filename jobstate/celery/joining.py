"""What an attempt writes in transactions of its body's own: files, and the landing.

Such a transaction keeps the job's row locked until it ends, and nobody knows of its end but the
body. So nothing is written past it while it is open, and what has become of it is found out
afterwards: when the body ends, or wants to write something else.
"""

from collections.abc import Mapping
from dataclasses import replace

from jobstate import attempts, reporting
from jobstate.answers import log_transition, read_answer
from jobstate.attempts import Landing
from jobstate.celery import outcome
from jobstate.celery.fence import Fence, Grip
from jobstate.celery.reports import Reports
from jobstate.errors import (
    ConfigurationError,
    InvalidStateTransitionError,
    LeaseLost,
    TransactionOpen,
)
from jobstate.items import BATCH, Outcome
from jobstate.records import Asset, Job
from jobstate.states import JobStatus
from jobstate.store import DriverConnection, JoinedTransaction, Operation, Script


class Joining:
    """The transactions that an attempt's writes were made a part of."""

    def __init__(self, fence: Fence, reports: Reports, *, followups: bool) -> None:
        self.landed: Job | None = None
        """The job, once it is known to have landed in one of them."""
        self.dispatched = False
        """Whether what follows it was dispatched by somebody else since."""
        self._fence = fence
        self._reports = reports
        self._followups = followups
        self._joined: list[JoinedTransaction] = []
        self._landing: Landing | None = None
        self._items: Mapping[str, Outcome] = {}
        fence.settle = self.settle

    def add_asset(
        self, connection: DriverConnection, added: Operation[Asset | None]
    ) -> Script[Asset]:
        """Link a file to the job in the transaction of a connection."""
        self.settle(besides=connection)
        if self._fence.grip is Grip.LANDING and self._fence.landing is not None:
            landed_in = {"landed_in": self._fence.landing.name}
            added = replace(added, params={**added.params, **landed_in})
        else:
            self._fence.refuse_completed()
            yield from self._join(connection)
        asset: Asset | None = yield added
        if asset is None:
            raise self._fence.lost()
        return asset

    def complete(self, connection: DriverConnection, result: object) -> Script[None]:
        """Land the job in the transaction of a connection, with all that was recorded of it."""
        self.settle(besides=connection)
        hold, settings = self._fence.hold, self._fence.runtime.settings
        if self._fence.grip in (Grip.LANDING, Grip.LANDED):
            done = JobStatus.COMPLETED
            raise InvalidStateTransitionError(hold.job_id, done, done)
        if self._fence.grip is not Grip.HELD:
            raise LeaseLost(hold.job_id, hold.attempt)
        landing = outcome.success(result, self._reports.items.counts, settings)
        joined = yield from self._join(connection)
        # From here on nothing is written past this transaction.
        self._fence.grip, self._fence.landing, self._landing = Grip.LANDING, joined, landing
        report = self._reports.progress.close()
        self._items = self._reports.items.take_out()
        names = list(self._items)
        for start in range(0, len(names), BATCH):
            batch = {name: self._items[name] for name in names[start : start + BATCH]}
            yield reporting.record_items(hold, batch)
        land = attempts.land(
            hold,
            landing,
            report,
            followups=self._followups,
            publish_grace=settings.publish_grace,
        )
        # It is no transition before it is committed.
        done, _ = yield replace(land, read=read_answer(hold.job_id))
        assert done  # noqa: S101 - its row is locked, and was held

    def settle(self, *, besides: DriverConnection | None = None) -> None:
        """Find out what has become of the transactions; but the one of `besides` may be open.

        Raises:
            TransactionOpen: Another is.
        """
        self._joined = [joined for joined in self._joined if joined.is_open]
        if any(joined.connection is not besides for joined in self._joined):
            raise TransactionOpen(self._fence.hold.job_id)
        if self._landing is not None and self._fence.landing not in self._joined:
            self._settle_landing(self._landing)

    def roll_back(self) -> bool:
        """End the transactions that are open; return whether there were any."""
        left_open = [joined for joined in self._joined if joined.is_open]
        for joined in left_open:
            joined.roll_back()
        return bool(left_open)

    def _join(self, connection: DriverConnection) -> Script[JoinedTransaction]:
        name: str | None = yield attempts.join(self._fence.hold)
        if name is None:
            raise self._fence.lost()
        for joined in self._joined:
            if joined.name == name:
                return joined
        joined = JoinedTransaction(connection, name)
        if not joined.is_on:
            raise ConfigurationError(
                f"Job {self._fence.hold.job_id} cannot be written with this connection=: it is in "
                "no transaction, and commits each statement by itself. Begin one first."
            )
        self._joined.append(joined)
        yield attempts.bound_idleness(self._fence.runtime.settings.lease)
        return joined

    def _settle_landing(self, landing: Landing) -> None:
        hold, grace = self._fence.hold, self._fence.runtime.settings.publish_grace
        claimed, job = self._fence.insist(attempts.claim_followups(hold, grace))
        self._landing = self._fence.landing = None
        if landing.is_of(job, hold):
            self._fence.grip, self.landed = Grip.LANDED, job
            self.dispatched = self._followups and not claimed
            log_transition(job)
            self._reports.write_last_logs()
        else:
            self._fence.grip = Grip.HELD
            self._reports.items.put_back(self._items)
            self._reports.progress.go_on()
        self._items = {}
