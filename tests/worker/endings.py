"""Tasks whose bodies end: one for each way there is. Real workers import this module."""

import ctypes
import os
import signal
import sys
import threading
from typing import Any

from celery import shared_task
from celery.exceptions import Ignore, Reject

from jobstate import JobFailed, JobTask, Partial
from tests.worker.gates import Gates


def reach_the_soft_limit() -> None:
    """Do what Celery's main process does when the soft limit of a body on prefork is over."""
    os.kill(os.getpid(), signal.SIGUSR1)
    threading.Event().wait()


class OutOfCreditError(JobFailed):
    """A failure of a task's own, built from what the task knows."""

    def __init__(self, balance: int) -> None:
        super().__init__(f"Only {balance} left.", code="out_of_credit")


class StubbornError(Exception):
    """An exception that pickle cannot carry."""

    def __init__(self, message: str, lock: object) -> None:
        super().__init__(message)
        self.lock = lock


class MuteError(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError("no text")


class BrokenStart(JobTask):
    """A task whose hook fails before its body."""

    abstract = True

    def before_start(self, *_: object) -> None:
        """Fail."""
        raise RuntimeError("not today")


class BrokenEnd(JobTask):
    """A task whose hooks fail after its body."""

    abstract = True

    def on_success(self, *_: object) -> None:
        """Fail."""
        raise RuntimeError("too late")

    def after_return(self, *_: object) -> None:
        """Fail."""
        raise RuntimeError("too late")


@shared_task(base=JobTask)
def returns(value: Any = None) -> Any:
    return value


@shared_task(base=JobTask, ignore_result=False)
def adds(*numbers: int) -> int:
    return sum(numbers)


@shared_task(base=JobTask, ignore_result=False)
def sums(numbers: list[int]) -> int:
    return sum(numbers)


@shared_task(base=JobTask)
def returns_partial(value: Any, message: str | None = None) -> Partial:
    return Partial(value, error_message=message)


@shared_task(base=JobTask, bind=True)
def works_on_items(self: JobTask, succeeded: int, failed: int, skipped: int = 0) -> dict[str, int]:
    for key in range(succeeded + failed):
        with self.job.item(key, label=f"number {key}"):
            if key >= succeeded:
                raise ValueError(f"{key} is broken")
    for key in range(skipped):
        self.job.skip(f"extra {key}", "not needed")
    self.job.add_asset("list", url="/list", storage_path="list", file_size=5)
    counts = self.job.items
    return {"succeeded": counts.succeeded, "failed": counts.failed, "skipped": counts.skipped}


@shared_task(base=JobTask)
def raises(message: str, separator: str = "") -> None:
    """Raise the message; what stands for the separator is a NUL character then."""
    raise ValueError(message.replace(separator, "\0") if separator else message)


@shared_task(base=JobTask)
def raises_mute() -> None:
    raise MuteError


@shared_task(base=JobTask, typing=False)
def takes_two(first: Any, second: Any) -> None:
    raise AssertionError(f"called with {first} and {second}")


@shared_task(base=JobTask)
def runs_out_of_memory() -> None:
    raise MemoryError("no room")


@shared_task(base=JobTask)
def fails(message: str, code: str | None = None) -> None:
    raise JobFailed(message, code=code)


@shared_task(base=JobTask, autoretry_for=(Exception,))
def fails_despite_autoretry() -> None:
    raise OutOfCreditError(3)


@shared_task(base=JobTask)
def returns_object() -> dict[str, object]:
    return {"page": object()}


@shared_task(base=JobTask)
def returns_text(name: str) -> str:
    return {"nul": "a\0b", "surrogate": "\ud800", "large": "x" * 2_000_000}[name]


@shared_task(base=JobTask, bind=True, max_retries=3)
def retries(self: JobTask, times: int, queue: str | None = None) -> list[int]:
    """Answer with the attempt and the ticket of the last message."""
    if self.job.retries < times:
        error = ConnectionError(f"attempt {self.job.attempt} failed")
        raise self.retry(exc=error, countdown=0, **({"queue": queue} if queue else {}))
    return [self.job.attempt, self.request.headers["jobstate-after"]]


@shared_task(base=JobTask, bind=True, max_retries=1)
def retries_without_a_cause(self: JobTask) -> None:
    raise self.retry(countdown=0)


@shared_task(base=JobTask, bind=True, max_retries=1)
def retries_stubbornly(self: JobTask) -> None:
    raise self.retry(exc=StubbornError("will not go", threading.Lock()), countdown=0)


@shared_task(base=JobTask, bind=True, autoretry_for=(KeyError,), retry_kwargs={"max_retries": 1})
def autoretries(self: JobTask, times: int) -> int:
    self.default_retry_delay = 0
    if self.job.retries < times:
        raise KeyError(self.job.attempt)
    return self.job.attempt


@shared_task(base=JobTask, bind=True)
def retries_quietly(self: JobTask) -> str:
    if self.job.retries:
        return "the second attempt's"
    self.retry(countdown=0, throw=False)
    self.job.progress(50)
    return "the first attempt's"


@shared_task(base=JobTask)
def ignores() -> None:
    raise Ignore


@shared_task(base=JobTask, bind=True)
def rejects(self: JobTask, *, requeue: bool) -> int:
    if self.job.attempt == 1:
        raise Reject("not now", requeue=requeue)
    return self.job.attempt


@shared_task(base=JobTask, bind=True, acks_late=True)
def rejects_late(self: JobTask, *, requeue: bool) -> int:
    if self.job.attempt == 1:
        raise Reject("not now", requeue=requeue)
    return self.job.attempt


@shared_task(base=JobTask, bind=True)
def is_replaced(self: JobTask, value: Any, owner: str | None = None) -> Any:
    replacement = self.app.tasks[returns.name].s(value)
    return self.replace(replacement.set(user_id=owner) if owner else replacement)


@shared_task(base=JobTask, bind=True, soft_time_limit=1.5)
def is_too_slow(self: JobTask) -> None:
    Gates.of(self.app).stop(self.job.id)


@shared_task(base=JobTask, bind=True, time_limit=0.3)
def is_far_too_slow(self: JobTask) -> None:
    Gates.of(self.app).stop(self.job.id)


@shared_task(base=JobTask)
def ends_its_process(how: str) -> None:
    match how:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "_exit":
            os._exit(3)
        case "exit":
            sys.exit(3)
        case "segfault":
            ctypes.string_at(0)


@shared_task(base=BrokenStart)
def never_starts() -> None:
    raise AssertionError("the body ran")


@shared_task(base=BrokenEnd)
def ends_badly() -> str:
    return "done"
