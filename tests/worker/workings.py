"""Tasks whose bodies wait for the test, report, and look around; real workers import them."""

import asyncio
import contextvars
import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from celery import shared_task
from celery.utils.log import get_task_logger
from prometheus_client import CollectorRegistry, generate_latest

from jobstate import JobFailed, JobStateError, JobTask, current_job
from jobstate.celery.runtime import runtime_of
from jobstate.metrics import ProcessMetrics
from tests.worker.endings import returns
from tests.worker.gates import PATIENCE, Gates


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
def reports(self: JobTask) -> None:
    """Report progress and one asset, and wait; then report again, with an item, and end."""
    gates = Gates.of(self.app)
    self.job.progress(current=10, total=40, message="a quarter")
    self.job.add_asset("csv", url="/1.csv", storage_path="1.csv", file_size=7)
    gates.stop(self.job.id)
    for _ in gates.knocks(self.job.id):
        self.job.progress(current=20, message="half way")
        with self.job.item("first", label="The first"):
            pass
    for done in range(21, 31):
        self.job.progress(current=done)
    raise JobFailed("Ends at three quarters.")


@shared_task(base=JobTask, bind=True)
def reports_and_blocks(self: JobTask) -> None:
    """Report often, and then nothing for as long as the test likes; then once more."""
    for done in range(1, 101):
        self.job.progress(current=done, total=200, message=f"Step {done}")
    Gates.of(self.app).stop(self.job.id)
    self.job.progress(current=200)
    self.job.progress(current=200)


@shared_task(base=JobTask, bind=True)
def reports_until_it_hears(self: JobTask) -> str:
    """Report as fast as it can, until a report raises."""
    gates = Gates.of(self.app)
    gates.note(f"arrived:{self.job.id}")
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            self.job.progress(50)
    except JobStateError as error:
        gates.note(f"learnt:{self.job.id}", type(error).__name__)
        raise
    return "nothing was heard"


@shared_task(base=JobTask, bind=True)
def forks(self: JobTask) -> int:
    """Have a process that the body forked report too; answer with its exit status."""
    self.job.progress(current=1, total=4)
    self.job.progress(current=2)
    child = os.fork()
    if child == 0:
        try:
            time.sleep(0.1)  # longer than an interval of the tests
            self.job.progress(current=3, message="from the child")
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@shared_task(base=JobTask, bind=True, ignore_result=False)
def updates_its_state(self: JobTask, meta: Any) -> None:
    self.update_state(state="PROGRESS", meta=meta)
    Gates.of(self.app).stop(self.job.id)


@shared_task(base=JobTask, bind=True)
def shows_bars(self: JobTask, items: int) -> int:
    """Use tqdm, in a bar inside of a bar."""
    tqdm = self.job.tqdm
    with tqdm(total=items, desc="Reading", disable=None) as bar:
        for _ in tqdm(range(100), desc="Page"):
            pass
        for _ in range(items):
            bar.update()
        return int(bar.n)


@shared_task(base=JobTask, bind=True)
def shows_a_bar_until_it_hears(self: JobTask) -> None:
    """Show a bar that never ends, and a second one after it was told to stop."""
    gates = Gates.of(self.app)
    gates.note(f"arrived:{self.job.id}")
    try:
        for _ in self.job.tqdm(itertools.count()):
            time.sleep(0.001)
    except JobStateError as error:
        gates.note(f"learnt:{self.job.id}", type(error).__name__)
        raise


@shared_task(base=JobTask, bind=True)
def tracks(self: JobTask, items: int) -> int:
    return sum(1 for _ in self.job.track(range(items), message="counting"))


@shared_task(base=JobTask, bind=True)
def does_items(self: JobTask, keys: list[int | str], bad: list[int | str]) -> dict[str, Any]:
    """Do items, of which some are bad the first time; answer with what was done."""
    done = []
    for key in keys:
        with self.job.item(key) as todo:
            if todo:
                done.append(key)
                if key in bad and self.job.only_items is None:
                    raise ValueError("bad")
    only = self.job.only_items
    return {"done": done, "only": None if only is None else sorted(only)}


@shared_task(base=JobTask, bind=True, max_retries=1, job_resume=True)
def resumes(self: JobTask) -> list[int]:
    """Do three of five items, and the others in a second attempt."""
    done = []
    for key in range(5):
        if key == 3 and self.job.attempt == 1:
            raise self.retry(countdown=0)
        with self.job.item(key) as todo:
            if todo:
                done.append(key)
    return done


@shared_task(base=JobTask, bind=True)
def is_given(self: JobTask, value: object) -> None:
    """Note of which type the argument is."""
    Gates.of(self.app).note(f"given:{self.job.id}", type(value).__name__)


@shared_task(base=JobTask, bind=True)
def records_many(self: JobTask, items: int) -> None:
    self.job.record_items(range(items), failed={"bad": "No"}, skipped=["old"])


@shared_task(base=JobTask, job_redact=("password",))
def forgets(name: str, password: str = "") -> str:
    return name + password


@shared_task(base=JobTask, bind=True, job_logs=True)
def logs(self: JobTask) -> None:
    """Log with several loggers, in several threads, before and after the gate, and fail."""
    shop = logging.getLogger("shop")
    shop.warning("Reading %s orders", 7)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("shop.orders").exception("It failed")
    get_task_logger("celery.task.shop").warning("Of the task's logger")
    context = contextvars.copy_context()
    for run in (context.run, lambda call: call()):
        thread = threading.Thread(target=run, args=(lambda: shop.warning("In a thread"),))
        thread.start()
        thread.join()
    logging.getLogger("jobstate").warning("Of the library")
    Gates.of(self.app).stop(self.job.id)
    shop.warning("At the end")
    raise ValueError("No orders")


@shared_task(base=JobTask)
def logs_for_itself() -> None:
    logging.getLogger("shop").warning("Nobody keeps this")


@shared_task(base=JobTask, bind=True, max_retries=1)
def loses_its_first_attempt(self: JobTask) -> None:
    """Leave an item and an asset in each of two attempts."""
    number = self.job.attempt
    with self.job.item("first" if number == 1 else "second"):
        self.job.add_asset("csv", url="/", storage_path=f"{number}.csv", file_size=7)
        if number == 1:
            raise self.retry(countdown=0)


@shared_task(base=JobTask, bind=True)
def works_on(self: JobTask) -> None:
    """Wait; then try every way to write, and note what is raised."""
    gates = Gates.of(self.app)
    gates.stop(self.job.id)
    learnt = set()
    for write in (
        lambda: self.job.progress(50),
        lambda: self.job.skip("one", "not needed"),
        lambda: self.job.add_asset("csv", url="/", storage_path="1.csv", file_size=1),
        self.job.check,
    ):
        try:
            write()
        except JobStateError as error:
            learnt.add(type(error).__name__)
    gates.note(f"learnt:{self.job.id}", ", ".join(sorted(learnt)))
    self.job.check()


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
def works_through_an_outage(self: JobTask) -> int:
    """Report progress and items before the outage, in it, and land after it."""
    gates = Gates.of(self.app)
    for number in self.job.track(range(20)):
        with self.job.item(number):
            if number in (5, 15):
                gates.stop(self.job.id)
    return self.job.items.succeeded


@shared_task(base=JobTask, bind=True)
def waits_and_retries(self: JobTask) -> None:
    if self.job.retries == 0:
        Gates.of(self.app).stop(self.job.id)
        raise self.retry(countdown=0)


@shared_task(base=JobTask, bind=True)
def waits_and_dies(self: JobTask) -> None:
    Gates.of(self.app).stop(self.job.id)
    os.kill(os.getpid(), signal.SIGKILL)
