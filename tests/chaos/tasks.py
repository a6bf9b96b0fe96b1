"""The app and the tasks of a chaos run: bodies that note each start outside the database."""

import os
import random
import time
from pathlib import Path

from celery import Celery

import jobstate

app = Celery("chaos", broker=os.environ["JOBSTATE_BROKER_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": 20,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
    },
    jobstate_lease=6,
    jobstate_heartbeat=1.5,
    jobstate_sweep_interval=1,
    jobstate_lost_grace=1,
    jobstate_publish_grace=2,
    jobstate_cancel_grace=2,
    jobstate_start_patience=10,
    jobstate_max_rescues=1000,
)
jobs = jobstate.install(app)


def note(kind: str, job: jobstate.CurrentJob) -> None:
    """Append a line about a body; one write, so that lines of several processes stay whole."""
    line = f"{kind} {job.id} {job.attempt}\n".encode()
    descriptor = os.open(Path(os.environ["CHAOS_LOG"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def work(self: jobstate.JobTask, kind: str) -> int:
    """Run for up to half a second, and report."""
    note(kind, self.job)
    for _ in self.job.track(range(random.randint(1, 8))):  # noqa: S311 - a length, no secret
        time.sleep(0.05)
    return self.job.attempt


@app.task(base=jobstate.JobTask, bind=True)
def once(self: jobstate.JobTask) -> int:
    """Runs at most once."""
    return work(self, "once")


@app.task(base=jobstate.JobTask, bind=True, acks_late=True)
def again(self: jobstate.JobTask) -> int:
    """May run again."""
    return work(self, "again")


@app.task(base=jobstate.JobTask, bind=True)
def retries(self: jobstate.JobTask) -> int:
    """Asks for a retry once or twice; one body for each."""
    work(self, f"retry-{self.job.retries}")
    if self.job.retries < 1 + self.job.id.int % 2:
        raise self.retry(countdown=self.job.id.int % 3)
    return self.job.attempt


@app.task(base=jobstate.JobTask, bind=True)
def fails(self: jobstate.JobTask) -> None:
    """Runs at most once, and fails."""
    work(self, "once")
    raise ValueError("no luck")


@app.task(base=jobstate.JobTask, bind=True)
def replaced(self: jobstate.JobTask) -> None:
    """Leaves its job to a chain, of which the last step has the job's id."""
    note("once", self.job)
    raise self.replace(again.s() | step.s())


@app.task(base=jobstate.JobTask, bind=True, job_type="first")
def first(self: jobstate.JobTask) -> int:
    """The first step of a chain, at most once."""
    return work(self, "once")


@app.task(base=jobstate.JobTask, bind=True, acks_late=True, job_type="step")
def step(self: jobstate.JobTask, _: int) -> int:
    """The second step of a chain."""
    return work(self, "step")
