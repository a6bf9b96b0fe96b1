"""Runs the body of an attempt, and lands the job by how it ends."""

import logging
import sys
from collections.abc import Callable
from typing import Any

from celery.exceptions import Ignore, Reject, Retry
from celery.worker import state

from jobstate.answers import about
from jobstate.celery.attempt import Attempt
from jobstate.errors import LeaseLost, TransactionOpen
from jobstate.states import JobStatus

logger = logging.getLogger("jobstate")


def run_body(attempt: Attempt, body: Callable[[], Any], *, resume: bool = False) -> Any:
    """Run the body and land the job; return or raise what Celery is to dispatch from.

    Raises:
        Ignore: Nothing is to be dispatched from here: the job is no longer this attempt's, or a
            message of its own brings what follows it.
    """
    try:
        attempt.reports.prepare(resume=resume)
        return attempt.succeed(_run(attempt, body))
    except LeaseLost as error:
        raise Ignore(str(error)) from error
    except (Ignore, Reject, Retry):
        raise
    except Exception as error:
        if _is_shutdown(error):
            attempt.give_up()
            raise Ignore("The worker was shut down.") from error
        _land_failure(attempt, error)
        raise
    except BaseException as error:
        if not _is_ended_from_outside(attempt, error):
            attempt.fail(error)
        raise


def _run(attempt: Attempt, body: Callable[[], Any]) -> Any:
    """Run the body, and end what it has left open in the database.

    Raises:
        TransactionOpen: It has returned before the end of a transaction with writes of its job.
    """
    try:
        value = body()
    except BaseException as error:
        attempt.joining.roll_back()
        if not isinstance(error, Exception) and _is_ended_from_outside(attempt, error):
            raise
        attempt.joining.settle()
        if attempt.joining.landed is None:
            raise
        logger.warning(
            "Job %s was completed before its body raised; it stays so.",
            attempt.job.id,
            exc_info=error,
            extra=about(attempt.job),
        )
        return None
    left_open = attempt.joining.roll_back()
    attempt.joining.settle()
    if left_open:
        raise TransactionOpen(attempt.job.id)
    return value


def _land_failure(attempt: Attempt, error: Exception) -> None:
    if not attempt.fail(error):
        raise Ignore(f"Job {attempt.job.id} is no longer this attempt's.") from None
    if attempt.job.status is JobStatus.PARTIAL:
        # To Celery it failed, but its callbacks are to come.
        attempt.runtime.publish_committed(attempt.job.id, again=True)
        raise Ignore(f"Job {attempt.job.id} keeps what was done.") from error


def _is_shutdown(error: Exception) -> bool:
    """Tell whether Celery has raised this to shut down a worker that runs bodies itself."""
    if not isinstance(error, NotImplementedError) or state.should_terminate in (None, False):
        return False
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_globals["__name__"].startswith("celery.")


def _is_ended_from_outside(attempt: Attempt, error: BaseException) -> bool:
    """Tell whether the keeper will hear of this end, and why: it lands the job then."""
    if attempt.runtime.seat.in_pool_process:
        # What Celery's signal handlers raise there. Any other is the body's own, as CancelledError.
        return isinstance(error, SystemExit | KeyboardInterrupt)
    gevent = sys.modules.get("gevent")
    ends = (gevent.Timeout, gevent.GreenletExit) if gevent is not None else ()
    return attempt.runtime.keeper is not None and isinstance(error, ends)
