"""How a job lands that no attempt holds: its body never began, or it was delegated."""

from uuid import UUID

from celery.app.task import Context

from jobstate import attempts, delegating
from jobstate.attempts import Landing
from jobstate.celery import outcome
from jobstate.celery.handover import DelegateFailed, LostMessage, UnstartedRun
from jobstate.celery.patience import insist
from jobstate.celery.publish import ticket_of
from jobstate.celery.runtime import Runtime
from jobstate.errors import InvalidValueError
from jobstate.states import ErrorCode, JobStatus
from jobstate.values import to_json

GIVEN_UP = ("IGNORED", "REJECTED")
"""Celery's states of a task whose body, or a hook before it, raised Ignore or Reject."""

_UNCALLED = (
    "The task ran past its job: its class has a __call__ that does not call super().__call__(). "
    "Call that instead of self.run()."
)


def land_delegated(
    runtime: Runtime, job_id: UUID, ticket: int, request: Context, result: object
) -> None:
    """Land a job with what the plain task returned that it was delegated to."""
    try:
        stored = to_json(result, "result", runtime.settings.max_result_bytes)
    except InvalidValueError as error:
        fail_delegated(runtime, job_id, ticket, request, error)
    else:
        landing = delegating.land_delegated(job_id, ticket, stored)
        insist(lambda: runtime.service.store.run(landing), job_id)


def fail_delegated(
    runtime: Runtime, job_id: UUID, ticket: int, request: Context, error: BaseException
) -> None:
    """Fail a job with a plain task that it was delegated to."""
    end_delegated(runtime, job_id, ticket, request, _landing_of(runtime, error))


def end_delegated(
    runtime: Runtime, job_id: UUID, ticket: int, request: Context, landing: Landing
) -> None:
    """Fail a job like this that was delegated at this attempt."""
    _settle(runtime, request, DelegateFailed(job_id, ticket, landing))


def land_unstarted(runtime: Runtime, job_id: UUID, request: Context, error: BaseException) -> None:
    """Land a job whose body never began."""
    landing = _landing_of(runtime, error)
    _settle(runtime, request, UnstartedRun(job_id, ticket_of(request), landing))


def see_to_uncalled(
    runtime: Runtime, job_id: UUID, request: Context, state: str | None, *, requeue: bool
) -> None:
    """See to a job whose task's `__call__` was never reached: a hook gave it up, or a subclass."""
    ticket = ticket_of(request)
    if requeue or state == "RETRY":
        lost = LostMessage(job_id, ticket)
        runtime.service.store.run(lost.putting_back(runtime.settings.lost_grace))
    elif state in GIVEN_UP:
        landing = outcome.failed(ErrorCode.REJECTED)
        _settle(runtime, request, UnstartedRun(job_id, ticket, landing))
    elif state == "SUCCESS":
        landing = outcome.failed(ErrorCode.REJECTED, _UNCALLED)
        _settle(runtime, request, UnstartedRun(job_id, ticket, landing))


def note_errbacks(runtime: Runtime, job_id: UUID) -> None:
    """Note that the errbacks of a job were dispatched, if it has failed."""

    def note() -> None:
        if runtime.service.get_job_internal(job_id).status is JobStatus.FAILED:
            runtime.service.store.run(attempts.clear_followups(job_id))

    insist(note, job_id)


def _landing_of(runtime: Runtime, error: BaseException) -> Landing:
    return outcome.failure(error, runtime.settings, retries_exhausted=False)


def _settle(runtime: Runtime, request: Context, event: UnstartedRun | DelegateFailed) -> None:
    """Settle it here, or by the keeper where this is the main process."""
    keeper = None if request.is_eager or runtime.seat.in_pool_process else runtime.keeper
    if keeper is not None:
        keeper.hand_over(event)
    else:
        insist(lambda: event.settle_in(runtime.service.store), event.job_id)
