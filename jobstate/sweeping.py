"""What the keeper and the sweeper ask the store: leases, burials, rescues, ends, the due list."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from jobstate.answers import first_value, moved, nothing
from jobstate.attempts import Hold, Landing, ending
from jobstate.errors import StoreUnavailable
from jobstate.operations import request_cancel
from jobstate.records import Job, Worker
from jobstate.settings import Settings
from jobstate.states import ErrorCode
from jobstate.store import Operation, Row, Script
from jobstate.values import job_id_of


class Finding(StrEnum):
    """What the sweeper finds about a job that is due."""

    PUBLISH = "publish"
    CANCEL = "cancel"
    DEADLINE = "deadline"
    NO_PROGRESS = "no_progress"
    EXPIRED = "expired"
    UNDELIVERED = "undelivered"
    DELEGATE_FAILED = "delegate_failed"
    DELEGATE_LOST = "delegate_lost"
    ORPHANED = "orphaned"
    ABANDONED = "abandoned"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Due:
    """A job that the sweeper must look at."""

    job_id: UUID
    attempt: int
    worker_id: UUID | None
    finding: Finding
    reason: str | None
    """Why it was not started, where a worker has said so."""

    @classmethod
    def from_row(cls, row: Row) -> "Due":
        """Build it from the columns of the due list."""
        job_id, attempt, worker_id, reason, finding = row
        return cls(job_id, attempt, worker_id, Finding(finding), reason)


def register_worker(
    worker_id: UUID,
    hostname: str,
    pid: int,
    queues: list[str],
    lease: float,
    setup: str | None = None,
) -> Operation[None]:
    """Announce a worker, with a lease of so many seconds, and with what it runs with as JSON."""
    params = {
        "worker_id": worker_id,
        "hostname": hostname,
        "pid": pid,
        "queues": queues,
        "lease": lease,
        "setup": setup,
    }
    return Operation("register_worker", params, nothing)


def renew_lease(worker_id: UUID, lease: float, queues: list[str] | None = None) -> Operation[bool]:
    """Prolong a worker's lease, and note its queues if given. False: the worker was buried."""
    params = {"worker_id": worker_id, "lease": lease, "queues": queues}
    return Operation("renew_lease", params, bool)


def end_worker(worker_id: UUID) -> Operation[None]:
    """Note that a worker has ended."""
    return Operation("end_worker", {"worker_id": worker_id}, nothing)


def held_by(worker_id: UUID) -> Operation[Mapping[tuple[UUID, int], int]]:
    """List what a worker holds: the process that runs each job and attempt."""
    return Operation(
        "held_by",
        {"worker_id": worker_id},
        lambda rows: {(job_id, attempt): pid for job_id, attempt, pid in rows},
    )


def held_by_the_dead(limit: int, tried: Collection[UUID] = ()) -> Operation[list[Hold]]:
    """List holds of workers that were buried, but for jobs that were tried already."""
    params = {"limit": limit, "tried": list(tried)}
    return Operation("held_by_the_dead", params, lambda rows: [Hold(*row) for row in rows])


def ended_among(job_ids: list[UUID]) -> Operation[set[UUID]]:
    """List which of these jobs were ended while somebody still ran them."""
    return Operation("ended_among", {"ids": job_ids}, lambda rows: {job_id for (job_id,) in rows})


def delivered(messages: Mapping[UUID, int]) -> Operation[None]:
    """Note that the messages of these jobs, with these tickets, wait in a worker that lives."""
    params = {"ids": list(messages), "tickets": list(messages.values())}
    return Operation("delivered", params, nothing)


def see(settings: Settings) -> Operation[float]:
    """Note that the database is there; answer for how many seconds it was without a gap."""
    return Operation("see", {"gap": settings.lease / 3}, lambda rows: float(rows[0][0]))


def beacon() -> Operation[tuple[UUID, bool]]:
    """Read the name of the mark in the broker, and whether it was ever there."""
    return Operation("beacon", {}, lambda rows: (rows[0][0], rows[0][1]))


def beacon_lit() -> Operation[None]:
    """Remember that the broker was marked."""
    return Operation("beacon_lit", {}, nothing)


def doubt_published() -> Operation[int]:
    """Have everything published again that was in the broker; answer how many jobs that are."""
    return Operation("doubt_published", {}, lambda rows: int(rows[0][0]))


def bury() -> Operation[list[str]]:
    """Give up workers whose lease ran out; answer their names."""
    return Operation("bury", {}, lambda rows: [hostname for _, hostname in rows])


def silent_workers() -> Operation[int]:
    """Count workers whose lease ran out, and that were not given up yet."""
    return Operation("silent_workers", {}, lambda rows: int(rows[0][0]))


def forget_workers() -> Operation[None]:
    """Delete the rows of workers that died long ago."""
    return Operation("forget_workers", {}, nothing)


def list_workers() -> Operation[list[Worker]]:
    """List the workers that are not known to be dead, with what they hold."""
    return Operation("list_workers", {}, lambda rows: [Worker.from_row(row) for row in rows])


def rescue(hold: Hold) -> Operation[Job | None]:
    """Decide by its policy about a job whose holder is gone. None: not held, or locked."""
    messages = {
        "lost_message": ErrorCode.WORKER_LOST.message,
        "exhausted_message": ErrorCode.RESCUES_EXHAUSTED.message,
    }
    return Operation("rescue", {**hold.params(), **messages}, moved)


def end_held(hold: Hold, code: ErrorCode) -> Operation[Job | None]:
    """End the job of an attempt that does not end by itself. None: not held, locked, or heard of.

    It failed, or keeps what it has done where its task says so. Not if its owner has ended it.
    """
    params = {
        **hold.params(),
        **ending(code).reason(),
        "interrupted": code is not ErrorCode.CANCELLED,
        "silent": code is ErrorCode.NO_PROGRESS,
    }
    return Operation("end_held", params, moved)


def end_unheld(job_id: UUID, attempt: int | None, landing: Landing) -> Script[Job | None]:
    """Fail a job that nobody holds, at this attempt or at any. None: it is held, gone or locked.

    One that never started is started and failed in one transaction: both are in the history.
    """
    begin = Operation("begin_end", {"id": job_id, "attempt": attempt}, first_value)
    begun = yield begin
    at = attempt if begun is None else begun
    params = {"id": job_id, "attempt": at, **landing.reason()}
    job: Job | None = yield Operation("end_unheld", params, moved)
    return job


def cancel(job_id: UUID | str, user_id: object, grace: float) -> Script[None]:
    """Remember that the owner wants a job cancelled, and fail it if nobody holds it.

    In one transaction: what comes in between would leave a job to the sweeper that is to land now.
    """
    if (yield request_cancel(job_id, user_id, grace)):
        yield from end_unheld(job_id_of(job_id), None, ending(ErrorCode.CANCELLED))


def insist_end_unheld(job_id: UUID, attempt: int, landing: Landing) -> Script[Job | None]:
    """Do the same for who will not be asked again. None: there is nothing to end.

    Raises:
        StoreUnavailable: Somebody has the job locked just now.
    """
    job = yield from end_unheld(job_id, attempt, landing)
    waits = Operation("waits", {"id": job_id, "attempt": attempt}, bool)
    if job is None and (yield waits):
        raise StoreUnavailable(f"Job {job_id} is locked by somebody just now. Try again.")
    return job


def due(settings: Settings, limit: int) -> Script[list[Due]]:
    """List jobs that must be looked at, the oldest first, and say when they must be again.

    In one transaction: what is judged as one that waits is still locked when that is settled.
    """
    params = {
        "limit": limit,
        "interval": settings.sweep_interval,
        "grace": settings.cancel_grace,
        "queue_timeout": settings.queue_timeout,
        "lost_grace": settings.lost_grace,
        "republish_after": settings.republish_after,
    }
    found: list[Due] = yield Operation(
        "due", params, lambda rows: [Due.from_row(row) for row in rows]
    )
    if found:
        ids = {
            "ids": [one.job_id for one in found],
            "waiting": [one.job_id for one in found if one.finding is Finding.WAIT],
        }
        yield Operation("rest", {**params, **ids}, nothing)
    return found
