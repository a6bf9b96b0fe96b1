"""Tasks that only the fates need. Real workers import this module."""

import threading

from celery import shared_task

from jobstate import JobTask
from tests.worker.endings import ends_its_process, runs_out_of_memory


@shared_task(base=JobTask, bind=True, acks_late=True)
def ends_its_process_late(self: JobTask, how: str) -> int:
    if self.job.attempt == 1:
        ends_its_process.run(how)
    return self.job.attempt


@shared_task(base=JobTask, acks_late=True)
def runs_out_of_memory_late() -> None:
    runs_out_of_memory.run()


@shared_task(base=JobTask, bind=True, soft_time_limit=0.5, job_keep_partial=True)
def keeps_what_it_has_done(self: JobTask) -> None:
    with self.job.item("first"):
        pass
    threading.Event().wait()
