"""Whole nodes come and go: a worker is killed, a broker restarts, and jobs go on landing."""

from uuid import UUID

import pytest
from celery import Celery
from pytest_celery import CeleryTestSetup

from jobstate import Job, JobState, JobStatus
from tests.worker.gates import Gates

PATIENCE = 90.0
"""How long a job may take to land, in seconds."""


class Shop:
    """Enqueues jobs for one user."""

    def __init__(self, jobs: JobState, user_id: UUID) -> None:
        self.jobs = jobs
        self.user_id = user_id
        self.gates = Gates.of(jobs.app)

    def enqueue(self, task: str, *args: object) -> Job:
        """Enqueue one of the tests' tasks."""
        return self.jobs.enqueue(f"tests.worker.{task}", args, user_id=self.user_id)

    def landed(self, job: Job) -> Job:
        """Wait until a job has landed, once; return it."""
        landed = self.jobs.service.wait(job.id, self.user_id, PATIENCE)
        events = self.jobs.service.get_job_events(job.id, self.user_id)
        assert [event.to_status for event in events if event.event == "transition"] == [
            JobStatus.QUEUED,
            JobStatus.PROCESSING,
            landed.status,
        ]
        assert landed.worker_id is None
        return landed


@pytest.fixture
def shop(celery_setup: CeleryTestSetup, jobs: JobState, user_id: UUID) -> Shop:
    """A shop on running nodes."""
    assert celery_setup.ready()
    return Shop(jobs, user_id)


def test_a_worker_node_completes_a_job(shop: Shop) -> None:
    job = shop.landed(shop.enqueue("endings.returns", {"rows": 3}))
    assert (job.status, job.result) == (JobStatus.COMPLETED, {"rows": 3})


def test_a_node_with_jobstate_runs_plain_tasks_as_before(celery_setup: CeleryTestSetup) -> None:
    app: Celery = celery_setup.app
    result = app.send_task("tests.worker.workings.adds_plainly", (1, 2))
    assert result.get(timeout=PATIENCE) == 3


def test_a_worker_that_was_killed_and_restarted_takes_jobs(
    celery_setup: CeleryTestSetup, shop: Shop
) -> None:
    running = shop.enqueue("workings.waits")
    shop.gates.reached(running.id)
    celery_setup.worker.kill()
    assert celery_setup.worker.container.status == "exited"
    celery_setup.worker.restart()
    job = shop.landed(shop.enqueue("endings.returns", "after the kill"))
    assert job.result == "after the kill"
    took = shop.jobs.service.get_job_events(job.id, shop.user_id)[1]
    before = shop.jobs.service.get_job_events(running.id, shop.user_id)[1]
    assert took.worker_id != before.worker_id


def test_a_job_lands_after_the_broker_was_restarted(
    celery_setup: CeleryTestSetup, shop: Shop
) -> None:
    assert shop.landed(shop.enqueue("endings.returns", "before")).result == "before"
    celery_setup.broker.restart()
    assert shop.landed(shop.enqueue("endings.returns", "after")).result == "after"


def test_a_warm_shutdown_lets_the_running_job_land(
    celery_setup: CeleryTestSetup, shop: Shop
) -> None:
    job = shop.enqueue("workings.waits", "finished")
    shop.gates.reached(job.id)
    celery_setup.worker.kill("SIGTERM")
    celery_setup.worker.wait_for_log("Warm shutdown")
    shop.gates.open(job.id)
    assert shop.landed(job).result == "finished"
