"""What every guarded write of an attempt has in common: the fence, and answers that are lost."""

from jobstate.states import JobStatus
from tests.model.state import Job, Step
from tests.model.world import World


def accepts(world: World, job: Job, attempt: int) -> bool:
    """The fence: the database accepts the writes of the attempt that holds the job."""
    if not world.rules.fence:
        return job.status is JobStatus.PROCESSING
    return job.holder is not None and job.attempt == attempt


def unanswered(step: Step) -> Step:
    """Return the step as one that was done, but whose answer was lost."""
    state = step.state._replace(faults=step.state.faults - 1)
    return step._replace(words=f"{step.words}, but the answer is lost", state=state, owed=False)


def call_name(number: int) -> str:
    """Name a call of the task."""
    return f"retry {number}" if number else "the first call"
