"""What a worker does with a message: it takes the job, once, or drops the message."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from jobstate import InvalidValueError, JobNotFound, JobStatus
from jobstate.celery.publish import OWNER
from tests.worker.apps import SYSTEM_USER
from tests.worker.pools import on_pools
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site

A_MOMENT_AGO = timedelta(seconds=-1)


def test_the_same_message_twice_runs_the_body_once(site: Site) -> None:
    """Both copies of many messages, so that two slots of the pool meet over one job."""
    jobs = [site.store("counts_runs") for _ in range(20)]
    for job in jobs:
        for _ in range(2):
            site.publish(job, "counts_runs", ticket=0)
    for job in jobs:
        site.completed(job)
        site.logged("message of job", str(job.id), "was dropped")
        assert site.gates.notes(f"ran:{job.id}") == [1]


@on_pools("prefork", "threads")
def test_a_copy_of_the_message_is_dropped_while_the_job_runs(site: Site) -> None:
    job = site.enqueue("waits")
    site.gates.reached(job.id)
    site.publish(job, "waits", ticket=0)
    site.logged("message of job", str(job.id), "was dropped", "processing at attempt 1")
    site.gates.open(job.id)
    site.completed(job)
    assert site.gates.notes(f"ran:{job.id}") == [1]


def test_a_message_that_follows_another_attempt_is_dropped(site: Site) -> None:
    job = site.enqueue("retries", 1, queue := f"nobody-{uuid4()}")
    eventually(lambda: site.waiting(queue), "the retry's message")
    site.publish(job, "retries", 1, ticket=0, retries=1)
    site.logged("message of job", str(job.id), "was dropped", "it follows attempt 0")
    site.publish(job, "retries", 1, ticket=2, retries=1)
    site.logged("message of job", str(job.id), "was dropped", "it follows attempt 2")
    assert (site.read(job).attempt, site.read(job).worker_id) == (1, None)
    site.publish(job, "retries", 1, ticket=1, retries=1)
    assert site.completed(job).attempt == 2


def test_a_message_of_a_landed_job_is_dropped(site: Site) -> None:
    job = site.completed(site.enqueue("counts_runs"))
    site.publish(job, "counts_runs", ticket=1)
    site.logged("message of job", str(job.id), "was dropped", "completed at attempt 1")
    assert site.gates.notes(f"ran:{job.id}") == [1]


def test_a_message_whose_job_is_gone_is_dropped(site: Site) -> None:
    gone = uuid4()
    site.publish(gone, "returns", ticket=0)
    site.logged("message of job", str(gone), "was dropped", "purged, or never committed")
    with pytest.raises(JobNotFound):
        site.read(gone)


def test_a_message_that_was_not_published_as_a_job_is_adopted_by_the_system_user(
    site: Site,
) -> None:
    job_id = uuid4()
    site.publish(job_id, "returns", 5)
    job = site.completed(job_id)
    assert job.user_id == UUID(SYSTEM_USER)
    assert (job.result, job.parameters, job.attempt) == (5, {"value": 5}, 1)
    assert [event.to_status for event in site.history(job)] == ["queued", "processing", "completed"]


def test_a_message_that_names_an_owner_is_adopted_by_that_one(site: Site) -> None:
    job_id = uuid4()
    site.publish(job_id, "returns", headers={OWNER: str(site.user_id)})
    assert site.completed(job_id).user_id == site.user_id


def test_an_adopted_message_runs_once_however_often_it_comes(site: Site) -> None:
    job_id = uuid4()
    for _ in range(2):
        site.publish(job_id, "counts_runs")
    site.completed(job_id)
    site.logged("message of job", str(job_id), "was dropped")
    assert site.gates.notes(f"ran:{job_id}") == [1]


@pytest.mark.parametrize("task", ["rejects", "rejects_late"])
def test_an_adopted_job_is_published_again_when_it_is_requeued(site: Site, task: str) -> None:
    job_id = uuid4()
    site.app.send_task(site.task(task).name, kwargs={"requeue": True}, task_id=str(job_id))
    assert site.completed(job_id).result == 2


def test_an_adopted_job_is_retried(site: Site) -> None:
    site.publish(job_id := uuid4(), "retries", 1)
    assert site.completed(job_id).result == [2, 1]


def test_an_id_that_is_no_uuid_is_refused_when_enqueueing(site: Site) -> None:
    with pytest.raises(InvalidValueError, match="Task id 'order-1' is not a UUID"):
        site.enqueue_with("returns", task_id="order-1")


def test_an_id_that_is_no_uuid_is_dropped_by_a_worker(site: Site) -> None:
    name = f"order-{uuid4().hex}"
    site.publish(name, "returns")
    site.logged(f"its id '{name}' is not a UUID")


def test_a_job_whose_task_no_worker_has_stays_queued(site: Site) -> None:
    job = site.jobs.enqueue("shop.not_deployed_yet", user_id=site.user_id)
    site.logged("ERROR", str(job.id), "shop.not_deployed_yet", "it stays queued")
    assert site.read(job).status is JobStatus.QUEUED


@on_pools("prefork", "threads")
def test_a_revoked_job_tells_its_errbacks_on_the_worker_that_revoked_it(site: Site) -> None:
    """Celery's own set of revoked ids would throw their message away too."""
    errback = site.task("counts_runs").si()
    told = errback.freeze().id
    job = site.store("counts_runs", link_error=errback)
    site.revoke(job)
    site.jobs.publish(job)
    site.failed(job, "cancelled", "The job was cancelled.")
    site.completed(told)
    assert len(site.gates.notes(f"ran:{told}")) == 1


@pytest.mark.parametrize("task", ["ignores", "rejects"])
def test_a_job_that_its_body_gave_up_tells_its_errbacks_once(site: Site, task: str) -> None:
    errback = site.task("counts_runs").si()
    told = errback.freeze().id
    given = {"kwargs": {"requeue": False}} if task == "rejects" else {}
    job = site.enqueue_with(task, link_error=errback, **given)
    site.failed(job, "rejected", "The task gave the job up.")
    site.completed(told)
    eventually(lambda: not site.read(job).followups_pending, "an end of the follow-ups")
    assert len(site.gates.notes(f"ran:{told}")) == 1


@on_pools("prefork", "threads")
def test_a_revoked_copy_says_nothing_about_the_job_that_runs(site: Site) -> None:
    job = site.enqueue("waits", "done")
    site.gates.reached(job.id)
    site.revoke(job)
    site.publish(job, "waits", ticket=0)
    site.logged("Discarding revoked task", str(job.id))
    site.gates.open(job.id)
    assert site.completed(job).result == "done"


@pytest.mark.parametrize("expires", [A_MOMENT_AGO.total_seconds(), datetime.now(UTC)])
def test_a_job_that_expired_before_its_start_has_expired(site: Site, expires: object) -> None:
    job = site.enqueue_with("counts_runs", expires=expires)
    site.failed(job, "expired", "The job waited too long to start, and expired.")
    assert site.gates.notes(f"ran:{job.id}") == []


def test_a_message_that_nobody_could_own_fails_clearly(open_site: OpenSite) -> None:
    with open_site("solo", jobstate_system_user_id=None) as site:
        site.publish(job_id := uuid4(), "returns")
        site.logged("OwnerRequired", "returns has no owner")
        with pytest.raises(JobNotFound):
            site.read(job_id)
