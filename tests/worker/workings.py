"""Tasks whose bodies wait for the test, and look around; real workers import them."""

import asyncio
import contextvars
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from celery import shared_task
from prometheus_client import CollectorRegistry, generate_latest

from jobstate import JobTask, current_job
from jobstate.celery.runtime import runtime_of
from jobstate.metrics import ProcessMetrics
from tests.worker.endings import returns
from tests.worker.gates import Gates


@shared_task(base=JobTask, bind=True)
def waits(self: JobTask, result: Any = None, *, raises: bool = False) -> Any:
    """Count the run, and stand at the job's gate."""
    gates = Gates.of(self.app)
    gates.note(f"ran:{self.job.id}", self.job.attempt)
    gates.stop(self.job.id)
    if raises:
        raise ValueError(result)
    return result


@shared_task(base=JobTask, bind=True)
def counts_runs(self: JobTask) -> None:
    Gates.of(self.app).note(f"ran:{self.job.id}", self.job.attempt)


@shared_task(base=JobTask, bind=True)
def reads_the_step_before(self: JobTask, result: Any) -> dict[str, Any]:
    """Answer with what the row of the step before said when this one ran."""
    before = runtime_of(self.app).service.get_job_internal(self.job.parent_id or "")
    return {"given": result, "status": before.status, "result": before.result}


@shared_task(base=JobTask, bind=True)
def enqueues(self: JobTask, how: str) -> str:
    """Start another job from inside this one; answer with its id."""
    other = self.app.tasks[returns.name]
    match how:
        case "delay":
            return str(other.delay(1).id)
        case "enqueue":
            return str(other.enqueue(1, user_id=self.job.user_id).id)
        case _:
            return str(other.apply((1,)).id)


@shared_task(base=JobTask, bind=True)
def is_given(self: JobTask, value: object) -> None:
    """Note of which type the argument is."""
    Gates.of(self.app).note(f"given:{self.job.id}", type(value).__name__)


@shared_task(base=JobTask, job_redact=("password",))
def forgets(name: str, password: str = "") -> str:
    return name + password


@shared_task(base=JobTask)
def shows_its_process() -> str:
    """Answer with what the worker's process shows of itself."""
    registry = CollectorRegistry()
    registry.register(ProcessMetrics())
    return generate_latest(registry).decode()


@shared_task(base=JobTask)
def finds_its_job() -> dict[str, str | None]:
    """Answer with the id of the current job, as it is seen from many places."""
    return {
        "nested": seen(),
        "async": asyncio.run(seen_async()),
        "to_thread": asyncio.run(asyncio.to_thread(seen)),
        "copied": seen_in_thread(contextvars.copy_context().run),
        "plain": seen_in_thread(lambda call: call()),
    }


def seen() -> str | None:
    job = current_job()
    return str(job.id) if job else None


async def seen_async() -> str | None:
    async def soon() -> str | None:
        await asyncio.sleep(0)
        return seen()

    return await asyncio.create_task(soon())


def seen_in_thread(run: Callable[[Callable[[], None]], object]) -> str | None:
    found: list[str | None] = []
    thread = threading.Thread(target=run, args=(lambda: found.append(seen()),))
    thread.start()
    thread.join()
    return found[0]


@shared_task(base=JobTask, job_redact=("password",))
def knows_a_secret(name: str, password: str, **more: Any) -> list[str]:
    return [name, password, *more]


@shared_task(base=JobTask, job_track=False, bind=True)
def is_plain(self: JobTask, key: str) -> None:
    Gates.of(self.app).note(f"plain:{key}", current_job() is None)


@shared_task(bind=True)
def knows_nothing_of_jobs(self: Any, key: str) -> None:
    Gates.of(self.app).note(f"plain:{key}", current_job() is None)


@shared_task(ignore_result=False)
def adds_plainly(*numbers: int) -> int:
    return sum(numbers)


@shared_task(base=JobTask, bind=True)
def calls_itself(self: JobTask, number: int) -> int:
    if number == 0:
        return 0
    by_run: int = self.run(number - 1)
    by_call: int = self(number - 1)
    assert by_run == by_call
    return number + by_call


@shared_task(base=JobTask, bind=True, job_type="description")
def describes_itself(self: JobTask, value: int) -> dict[str, Any]:
    del value
    job = self.job
    return {
        "id": job.id,
        "user_id": job.user_id,
        "job_type": job.job_type,
        "parameters": job.parameters,
        "attempt": job.attempt,
        "retries": job.retries,
        "parent_id": job.parent_id,
        "shown": repr(job),
    }


@shared_task(base=JobTask, bind=True)
def waits_and_retries(self: JobTask) -> None:
    if self.job.retries == 0:
        Gates.of(self.app).stop(self.job.id)
        raise self.retry(countdown=0)


@shared_task(base=JobTask, bind=True)
def waits_and_dies(self: JobTask) -> None:
    Gates.of(self.app).stop(self.job.id)
    os.kill(os.getpid(), signal.SIGKILL)
