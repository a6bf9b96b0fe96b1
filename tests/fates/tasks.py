"""Tasks that only the fates need. Real workers import this module."""

import os
import signal

from celery import shared_task

from jobstate import JobTask
from tests.worker.endings import ends_its_process, reach_the_soft_limit, runs_out_of_memory
from tests.worker.gates import Gates


@shared_task(base=JobTask, bind=True, acks_late=True)
def ends_its_process_late(self: JobTask, how: str) -> int:
    if self.job.attempt == 1:
        ends_its_process.run(how)
    return self.job.attempt


@shared_task(base=JobTask, acks_late=True)
def runs_out_of_memory_late() -> None:
    runs_out_of_memory.run()


@shared_task(base=JobTask, bind=True, job_keep_partial=True)
def keeps_what_it_has_done(self: JobTask) -> None:
    """Do an item; then its soft limit is over, however long that took."""
    with self.job.item("first"):
        pass
    reach_the_soft_limit()


def _keeps(self: JobTask) -> None:
    """Do an item, and stand at the gate."""
    with self.job.item("first"):
        pass
    Gates.of(self.app).stop(self.job.id)


@shared_task(base=JobTask, bind=True, job_keep_partial=True)
def keeps_and_waits(self: JobTask) -> None:
    _keeps(self)


@shared_task(base=JobTask, bind=True, job_keep_partial=True)
def keeps_and_dies(self: JobTask) -> None:
    _keeps(self)
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(base=JobTask, bind=True, job_keep_partial=True, time_limit=2)
def keeps_and_is_far_too_slow(self: JobTask) -> None:
    _keeps(self)


@shared_task(base=JobTask, bind=True, job_keep_partial=True, job_no_progress=2)
def keeps_and_falls_silent(self: JobTask) -> None:
    _keeps(self)
