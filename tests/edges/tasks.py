"""Tasks that end in ways that the library does not expect. Real workers import this."""

import asyncio
import os
import signal
from typing import Any

from celery import Signature, shared_task
from celery.exceptions import Ignore, Retry

from jobstate import JobTask
from jobstate.celery.attempt import Attempt
from tests.worker.endings import reach_the_soft_limit
from tests.worker.gates import Gates


def count(task: JobTask) -> None:
    Gates.of(task.app).note(f"ran:{task.job.id}", task.job.attempt)


class IgnoredStart(JobTask):
    """A task whose hook ignores the message before the body."""

    abstract = True

    def before_start(self, *_: object) -> None:
        """Refuse to run."""
        raise Ignore("Not today.")


@shared_task(base=JobTask, bind=True, soft_time_limit=2)
def has_a_soft_limit(self: JobTask) -> int:
    count(self)
    return self.job.attempt


@shared_task(base=JobTask, bind=True, soft_time_limit=3)
def ignores_at_the_gate(self: JobTask) -> None:
    """End by Ignore once the gate is open."""
    count(self)
    Gates.of(self.app).stop(f"{self.job.id}:{self.job.attempt}")
    raise Ignore("Enough.")


@shared_task(base=JobTask, bind=True, job_keep_partial=True)
def keeps_what_it_has_done(self: JobTask) -> None:
    """Do an item; then its soft limit is over, however long that took."""
    with self.job.item("first"):
        count(self)
    reach_the_soft_limit()


@shared_task(base=JobTask, bind=True, acks_late=True)
def cancels_itself(self: JobTask) -> None:
    """End by what asyncio raises, which is no Exception."""
    count(self)
    asyncio.run(_cancelled())


async def _cancelled() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(1)


@shared_task(base=JobTask, bind=True, max_retries=1)
def raises_retry(self: JobTask) -> None:
    """Raise what `self.retry()` would, without having called it."""
    count(self)
    raise Retry("I was misled.")


@shared_task(base=IgnoredStart, bind=True)
def is_ignored_before_it_starts(self: JobTask) -> None:
    count(self)


@shared_task(base=JobTask, bind=True, soft_time_limit=20, time_limit=10)
def has_limits_in_the_wrong_order(self: JobTask) -> None:
    count(self)


@shared_task(base=JobTask, bind=True)
def runs(self: JobTask, *_: Any) -> int:
    count(self)
    return self.job.attempt


@shared_task(base=JobTask, bind=True)
def waits(self: JobTask) -> int:
    count(self)
    Gates.of(self.app).stop(f"{self.job.id}:{self.job.attempt}")
    return self.job.attempt


@shared_task(base=JobTask, bind=True, acks_late=True, time_limit=2)
def hangs_late(self: JobTask) -> int:
    """Hang at the first attempt, and note each."""
    count(self)
    Gates.of(self.app).stop(f"{self.job.id}:{self.job.attempt}")
    return self.job.attempt


@shared_task(base=JobTask, bind=True, max_retries=2)
def retries_for_ever(self: JobTask) -> None:
    count(self)
    raise self.retry(countdown=0)


@shared_task(base=JobTask, bind=True)
def retries_when_called(self: JobTask) -> None:
    raise self.retry(exc=ConnectionError("No answer."))


@shared_task(base=JobTask, bind=True)
def calls_what_retries(_: JobTask) -> None:
    retries_when_called()


@shared_task(base=JobTask, bind=True)
def calls_back(_: JobTask) -> int:
    """Call the other task of the pair as a function."""
    return int(called_back(False) or 0) + 1


@shared_task(base=JobTask, bind=True)
def called_back(_: JobTask, outer: bool = True) -> int:  # noqa: FBT001, FBT002 - a marker
    if outer:
        return int(calls_back.apply().get(disable_sync_subtasks=False))
    return 1


class DiesBeforeItStarts(JobTask):
    """A task whose process dies between the creation of its row and the take."""

    abstract = True

    def before_start(self, *_: object) -> None:
        """Die."""
        os._exit(1)


@shared_task(base=DiesBeforeItStarts, bind=True)
def dies_before_it_starts(self: JobTask) -> None:
    count(self)


@shared_task(base=JobTask, bind=True, acks_late=True)
def dispatches_and_dies_late(self: JobTask) -> int:
    """Die once the callbacks were dispatched, before the row says so."""
    count(self)

    def clear(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    Attempt.clear_followups = clear  # type: ignore[method-assign]
    return self.job.attempt


@shared_task(base=JobTask, bind=True, soft_time_limit=3)
def retries_at_the_gate(self: JobTask) -> None:
    count(self)
    Gates.of(self.app).stop(f"{self.job.id}:{self.job.attempt}")
    raise self.retry(countdown=0)


class DiesBeforeItsRetry(JobTask):
    """A task whose process dies between two eager attempts."""

    abstract = True

    def before_start(self, *_: object) -> None:
        """Die at the second attempt."""
        if self.request.retries:
            os._exit(1)


@shared_task(base=DiesBeforeItsRetry, bind=True)
def dies_before_its_retry(self: JobTask) -> None:
    raise self.retry(countdown=0)


class CallsRun(JobTask):
    """A base class whose call is written as Celery's manual has it."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body."""
        return self.run(*args, **kwargs)


@shared_task(base=CallsRun, bind=True)
def is_called_by_its_base(self: JobTask) -> int:
    Gates.of(self.app).note(f"ran:{self.request.id}", 1)
    return 1


@shared_task(bind=True)
def notes_a_call(self: Any, name: str) -> None:
    """Run as a plain task of Celery."""
    Gates.of(self.app).note(f"called:{name}", 1)


@shared_task(base=JobTask, bind=True)
def leaves_it_to_one_that_expires(self: JobTask) -> None:
    leave_it_to(self, notes_a_call.si(str(self.job.id)).set(expires=-1))


@shared_task(base=JobTask, bind=True)
def leaves_it_to_one_that_nobody_knows(self: JobTask) -> None:
    leave_it_to(self, self.app.signature("nobody.knows.it", immutable=True))


def leave_it_to(task: JobTask, last: Signature) -> None:
    """Have a plain task that notes its call go on with the job, and then the last one."""
    count(task)
    raise task.replace(notes_a_call.si(str(task.job.id)) | last)


class DiesOnceBeforeItStarts(JobTask):
    """A task whose first process dies before it takes the job."""

    abstract = True

    def before_start(self, _: object, task_id: str, *__: object) -> None:
        """Die, unless that has been done."""
        gates = Gates.of(self.app)
        if not gates.notes(f"died:{task_id}"):
            gates.note(f"died:{task_id}", 1)
            os._exit(1)


@shared_task(base=DiesOnceBeforeItStarts, bind=True)
def dies_once_before_it_starts(self: JobTask) -> None:
    count(self)


class StumblesWhenItFails(JobTask):
    """A task whose hooks are broken."""

    abstract = True

    def before_start(self, _: str, args: list[str], *__: object) -> None:
        """Raise if asked to."""
        if args == ["before"]:
            raise ValueError("not today")

    def on_failure(self, *_: object) -> None:
        """Raise."""
        raise RuntimeError("The hook is broken.")


@shared_task(base=StumblesWhenItFails, bind=True)
def stumbles_when_it_fails(self: JobTask, when: str) -> None:
    count(self)
    raise ValueError(when)


class StumblesWhenItRetries(JobTask):
    """A task whose hook is broken."""

    abstract = True

    def on_retry(self, *_: object) -> None:
        """Raise."""
        raise RuntimeError("The hook is broken.")


@shared_task(base=StumblesWhenItRetries, bind=True)
def stumbles_when_it_retries(self: JobTask) -> int:
    count(self)
    if self.job.attempt == 1:
        raise self.retry(countdown=0)
    return self.job.attempt
