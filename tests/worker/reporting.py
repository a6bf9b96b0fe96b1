"""Tasks whose bodies report: progress, items, files and logs; real workers import them."""

import contextvars
import itertools
import logging
import os
import threading
import time
from typing import Any

from celery import shared_task
from celery.utils.log import get_task_logger

from jobstate import JobFailed, JobStateError, JobTask
from tests.worker.gates import PATIENCE, Gates


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
def records_many(self: JobTask, items: int) -> None:
    self.job.record_items(range(items), failed={"bad": "No"}, skipped=["old"])


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


@shared_task(base=JobTask, bind=True)
def works_through_an_outage(self: JobTask) -> int:
    """Report progress and items before the outage, in it, and land after it."""
    gates = Gates.of(self.app)
    for number in self.job.track(range(20)):
        with self.job.item(number):
            if number in (5, 15):
                gates.stop(self.job.id)
    return self.job.items.succeeded
