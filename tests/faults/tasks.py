"""Tasks whose processes are killed, stopped, or die by themselves. Real workers import this."""

import os
import signal
import threading
from contextlib import suppress
from typing import Any

from celery import shared_task

from jobstate import CurrentJob, JobCancelled, JobTask, LeaseLost, StoreUnavailable
from jobstate.celery.attempt import Attempt
from tests.worker.gates import Gates


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _count(task: JobTask) -> None:
    Gates.of(task.app).note(f"ran:{task.job.id}", task.job.attempt)


def _wait(task: JobTask) -> int:
    """Stand at the gate of this attempt."""
    _count(task)
    Gates.of(task.app).stop(f"{task.job.id}:{task.job.attempt}")
    return task.job.attempt


@shared_task(base=JobTask, bind=True, acks_late=True)
def dies_late(self: JobTask, times: int) -> int:
    """Kill the process of so many attempts."""
    _count(self)
    if self.job.attempt <= times:
        die()
    return self.job.attempt


@shared_task(base=JobTask, bind=True)
def dies(self: JobTask) -> None:
    _count(self)
    die()


@shared_task(base=JobTask, bind=True)
def waits(self: JobTask) -> int:
    return _wait(self)


@shared_task(base=JobTask, bind=True, acks_late=True)
def waits_late(self: JobTask) -> int:
    return _wait(self)


@shared_task(base=JobTask, bind=True, acks_late=True)
def writes_at_the_gate(self: JobTask) -> str:
    """Write all that an attempt can write once its gate is open, and note what was refused."""
    gates, job = Gates.of(self.app), self.job
    name = f"attempt {_wait(self)}"
    with suppress(LeaseLost):
        _add_asset(job, name)
        gates.note(f"stored:{job.id}", job.attempt)
    with suppress(LeaseLost):
        job.progress(10 * job.attempt, message=name)
    gates.stop(f"{job.id}:{job.attempt}:end")
    return name


def _add_asset(job: CurrentJob, name: str) -> None:
    """Try until the database has answered; a connection may have been lost unheard."""
    while True:
        with suppress(StoreUnavailable):
            job.add_asset("txt", url=name, storage_path=name, file_size=1)
            return


def _report_at_the_gate(task: JobTask) -> int:
    """Report once the gate is open, and wait again."""
    _wait(task)
    task.job.progress(40, message="still there")
    Gates.of(task.app).stop(f"{task.job.id}:{task.job.attempt}:end")
    return task.job.attempt


@shared_task(base=JobTask, bind=True)
def reports_at_the_gate(self: JobTask) -> int:
    return _report_at_the_gate(self)


@shared_task(base=JobTask, bind=True, acks_late=True)
def reports_at_the_gate_late(self: JobTask) -> int:
    return _report_at_the_gate(self)


@shared_task(base=JobTask, bind=True)
def says_nothing(self: JobTask) -> None:
    """Work for ever, without a report."""
    Gates.of(self.app).note(f"pid:{self.job.id}", os.getpid())
    threading.Event().wait()


@shared_task(base=JobTask, bind=True)
def reports(self: JobTask) -> None:
    """Work until a report raises."""
    gates, pause = Gates.of(self.app), threading.Event()
    gates.note(f"pid:{self.job.id}", os.getpid())
    try:
        while not pause.wait(0.05):
            self.job.progress(3)
    except (JobCancelled, LeaseLost) as error:
        gates.note(f"heard:{self.job.id}", type(error).__name__)
        raise


@shared_task(base=JobTask, bind=True, job_no_progress=1)
def falls_silent(self: JobTask) -> None:
    """Stand at a gate that nobody opens, and report whenever it is open."""
    Gates.of(self.app).note(f"pid:{self.job.id}", os.getpid())
    with suppress(TimeoutError, LeaseLost):
        Gates.of(self.app).stop(self.job.id)
        self.job.progress(99)


@shared_task(base=JobTask, bind=True)
def adds(self: JobTask, x: int, y: int = 0) -> int:
    _count(self)
    return x + y


@shared_task(base=JobTask, bind=True)
def retries(self: JobTask, countdown: float) -> int:
    """Succeed at the second try."""
    _count(self)
    if self.job.retries == 0:
        raise self.retry(countdown=countdown)
    return self.job.attempt


@shared_task(base=JobTask, bind=True, acks_late=True)
def adds_late(self: JobTask, x: int, y: int = 0) -> int:
    _count(self)
    return x + y


@shared_task(base=JobTask, bind=True)
def dies_at_the_gate(self: JobTask) -> None:
    _wait(self)
    die()


@shared_task(base=JobTask, bind=True)
def fails(self: JobTask, *_: Any) -> None:
    _count(self)
    raise ValueError("No luck.")


@shared_task(base=JobTask, bind=True)
def works_through_items(self: JobTask, size: int) -> None:
    for number in self.job.track(range(size)):
        with self.job.item(number):
            pass


def _work_for_a_moment(task: JobTask) -> None:
    Gates.of(task.app).note(f"process:{task.job.id}", (task.job.attempt, os.getpid()))
    threading.Event().wait(0.02)


@shared_task(base=JobTask, bind=True)
def works_for_a_moment(self: JobTask) -> None:
    _work_for_a_moment(self)


@shared_task(base=JobTask, bind=True, acks_late=True)
def works_for_a_moment_late(self: JobTask) -> None:
    _work_for_a_moment(self)


@shared_task(base=JobTask, bind=True)
def is_told(self: JobTask, *_: Any) -> None:
    """Be an errback."""
    _count(self)


def _land_and_die(task: JobTask, x: int) -> int:
    _count(task)
    land = Attempt.land

    def land_and_die(*args: Any, **kwargs: Any) -> bool:
        land(*args, **kwargs)
        die()
        return True

    Attempt.land = land_and_die  # type: ignore[method-assign]
    return x + 1


@shared_task(base=JobTask, bind=True)
def lands_and_dies(self: JobTask, x: int) -> int:
    return _land_and_die(self, x)


@shared_task(base=JobTask, bind=True, acks_late=True)
def lands_and_dies_late(self: JobTask, x: int) -> int:
    return _land_and_die(self, x)
