"""What the protocol promises: the safety of each step, and where every job must be able to get."""

from collections.abc import Callable, Mapping
from itertools import pairwise

from jobstate.states import VALID_TRANSITIONS, JobStatus
from tests.model.state import LIVE, RUNNING, Job, Lease, State, Step, is_accepted
from tests.model.world import World

Breach = Callable[[World, State, Step], bool]


def is_kept(world: World, state: State) -> bool:
    """Tell whether the job has landed, nobody holds it, and its follow-ups are dispatched."""
    job = state.job
    if not is_accepted(world, state):
        return True
    if job.status in LIVE or job.holder is not None or job.pending:
        return False
    wanted = (0, 1) if job.status is JobStatus.FAILED else (1, 0)
    return (state.callbacks, state.errbacks) == wanted


def lacks(state: State) -> str:
    """Return in words what a job that is stuck lacks."""
    job = state.job
    if job.holder is not None:
        return "the job is held for ever"
    if job.status in LIVE:
        return "the job waits for ever"
    return f"the job is {job.status}, and its follow-ups are never dispatched"


def _illegal_transition(_world: World, before: State, step: Step) -> bool:
    history = step.state.job.history
    return history is not before.job.history and not all(
        later in VALID_TRANSITIONS[earlier] for earlier, later in pairwise(history)
    )


def _superseded_write(_world: World, before: State, step: Step) -> bool:
    return step.writer is not None and not _holds(before.job, step.writer)


def take_without_lease(_world: World, _before: State, step: Step) -> bool:
    """Tell whether a worker takes the job whose own lease is not alive."""
    return step.taker is not None and step.taker.lease is not Lease.ALIVE


def _stale_call(_world: World, before: State, step: Step) -> bool:
    return step.called is not None and step.called != before.job.asked


def _second_run(world: World, before: State, step: Step) -> bool:
    return step.begun in before.job.started and not world.idempotent


def _two_bodies(_world: World, _before: State, step: Step) -> bool:
    one, two = step.state.processes
    both = one.phase in RUNNING and two.phase in RUNNING
    return step.begun is not None and both and one.attempt == two.attempt


def _unfair_burial(_world: World, _before: State, step: Step) -> bool:
    return step.buried is not None and step.buried.lease is Lease.MISSED


def _robbery(_world: World, before: State, step: Step) -> bool:
    """The holder's process runs, and its worker was not silent while it held the job."""
    job = before.job
    if not step.rescued:
        return False
    worker = before.workers[job.holder.worker]
    same = worker.generation == job.holder.generation
    leased = same and worker.lease in (Lease.ALIVE, Lease.MISSED)
    runs = any(p.phase in RUNNING and p.attempt == job.attempt for p in before.processes)
    return runs and (leased or not job.leased)


def _superseded_dispatch(_world: World, before: State, step: Step) -> bool:
    """What an attempt dispatches is its own landing's or release's, or it still holds the job."""
    job, attempt = before.job, step.dispatcher
    if attempt is None or attempt in (job.landed_by, *job.delegated_by):
        return False
    return not _holds(job, attempt)


def _doubled_follow_up(_world: World, _before: State, step: Step) -> bool:
    return step.state.callbacks > 1 or step.state.errbacks > 1


def _callback_of_a_failure(_world: World, _before: State, step: Step) -> bool:
    return step.state.callbacks > 0 and step.state.job.status is JobStatus.FAILED


def _errback_of_a_success(_world: World, _before: State, step: Step) -> bool:
    status = step.state.job.status
    return step.state.errbacks > 0 and status not in LIVE and status is not JobStatus.FAILED


def _holds(job: Job, attempt: int) -> bool:
    return job.holder is not None and job.attempt == attempt


BREACHES: Mapping[str, Breach] = {
    "an illegal transition is made": _illegal_transition,
    "a write of a superseded attempt is accepted": _superseded_write,
    "a worker without a lease takes the job": take_without_lease,
    "an attempt starts that nobody asks for any more": _stale_call,
    "a body that may run only once runs again": _second_run,
    "two bodies run as one attempt": _two_bodies,
    "a worker is buried that could not renew its lease": _unfair_burial,
    "the job is taken away from a live worker that runs it": _robbery,
    "a superseded attempt dispatches what follows": _superseded_dispatch,
    "the next job is doubled": _doubled_follow_up,
    "the job has failed, and its callback runs": _callback_of_a_failure,
    "the job has succeeded, and its errback runs": _errback_of_a_success,
}
"""What must never happen."""
