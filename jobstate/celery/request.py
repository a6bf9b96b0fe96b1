"""One delivery of a job, as the worker's main process sees it: what ends its run from outside."""

import os
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.app.task import Context
from celery.worker import state
from celery.worker.request import Request
from kombu.utils.objects import cached_property

from jobstate.celery.attempt import running_attempt
from jobstate.celery.handover import LostRun
from jobstate.celery.publish import ticket_of
from jobstate.celery.runtime import installed
from jobstate.errors import JobNotFound
from jobstate.states import ErrorCode
from jobstate.values import job_id_of


class JobRequest(Request):  # type: ignore[misc]  # Celery ships no types
    """Hands over to the keeper when its run is lost, cancelled or past its hard limit.

    It names its own process: a copy of the message that dies says nothing about the job. And it
    dispatches nothing: errbacks and the chord hear of the end from the job's landing.
    """

    _is_ended = False
    """Whether it was cancelled, or past its hard limit."""

    @cached_property
    def _context(self) -> Context:
        found: Context = super()._context
        if self._is_job:
            # What Celery would dispatch from here, before the job has landed, or although it
            # has landed otherwise.
            found.errbacks = found.chord = None
        return found

    @property
    def _is_job(self) -> bool:
        return bool(self.task.runs_as_job)

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's
        """Have the job fail at its hard limit; a cold shutdown ends its runs this way too."""
        if not soft:
            shutting_down = state.should_terminate not in (None, False)
            self._hand_over(ErrorCode.WORKER_LOST if shutting_down else ErrorCode.TIME_LIMIT)
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """Have a lost run's job rescued."""
        error = exc_info.exception
        if isinstance(getattr(error, "exc", error), WorkerLostError | SystemExit):
            self._hand_over(ErrorCode.WORKER_LOST)
        super().on_failure(exc_info, *args, **kwargs)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Have the job of a run that somebody revokes fail as cancelled."""
        if self.time_start:
            self._hand_over(ErrorCode.CANCELLED)
        super().terminate(pool, signal)

    def cancel(self, pool: Any, *args: Any, **kwargs: Any) -> None:
        """Have the job of a run that a cold shutdown ends rescued.

        Celery calls this a retry, but publishes nothing.
        """
        self._hand_over(ErrorCode.WORKER_LOST)
        super().cancel(pool, *args, **kwargs)

    def _hand_over(self, code: ErrorCode) -> None:
        runtime = installed(self.app)
        if runtime is None or runtime.keeper is None or not self._is_job or not self.worker_pid:
            return
        if self._is_ended:
            return  # Its process dies of that, which is no reason of its own.
        try:
            job_id = job_id_of(self.id)
        except JobNotFound:
            return
        pid = self.worker_pid
        if (attempt := running_attempt(job_id)) is not None:
            # The pool runs bodies in this process. Gevent's gives its greenlet for a pid.
            if pid not in (os.getpid(), attempt.runner):
                return
            pid = os.getpid()
        self._is_ended = code is not ErrorCode.WORKER_LOST
        runtime.keeper.hand_over(LostRun(job_id, pid, code, ticket_of(self._context)))
