"""What tasks ask the store that a job was delegated to: to take it over, to land it, to fail it.

No hold fences this: nobody holds such a job. The attempt that delegated it is compared.
"""

from uuid import UUID

from jobstate.answers import logged, moved
from jobstate.attempts import Landing
from jobstate.records import Job
from jobstate.states import JobStatus
from jobstate.store import Operation


def succeed_to(
    job_id: UUID,
    ticket: int,
    task_name: str,
    queue: str | None,
    message: str,
    publish_grace: float,
) -> Operation[bool]:
    """Let a task take over a job that was delegated to it at this attempt; say whether it may."""
    params = {
        "id": job_id,
        "attempt": ticket,
        "task_name": task_name,
        "queue": queue,
        "message": message,
        "publish_grace": publish_grace,
    }
    return Operation("succeed_to", params, bool)


def land_delegated(job_id: UUID, ticket: int, result: str) -> Operation[tuple[bool, Job]]:
    """Land a job with the result of the plain task that it was delegated to at this attempt."""
    params = {"id": job_id, "attempt": ticket, "result": result}
    return Operation("land_delegated", params, logged(job_id))


def fail_delegated(
    job_id: UUID, ticket: int, landing: Landing | None = None
) -> Operation[Job | None]:
    """Fail a job that other tasks have: like this, or like the first of its members that failed.

    None: it was not delegated at this attempt, or was taken over.
    """
    reason = (landing or Landing(JobStatus.FAILED)).reason()
    return Operation("fail_delegated", {"id": job_id, "attempt": ticket, **reason}, moved)
