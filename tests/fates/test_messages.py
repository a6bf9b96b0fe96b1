"""What the broker and its messages may do: come late, twice, broken, or not at all."""

from datetime import timedelta

from jobstate import Job, JobStatus, publishing
from tests.fates.conftest import OpenFates
from tests.fates.fate import REDIS, fate
from tests.fates.site import FateSite, Lands
from tests.worker.process import eventually

HASTY = {"broker_transport_options": {"visibility_timeout": 1, "unacked_restore_interval": 1}}
NO_TIMEOUT = "RabbitMQ has no visibility timeout."
SELDOM = f"{NO_TIMEOUT} On gevent, Celery seldom looks for messages that nobody acknowledged."


@fate()
def test_expires_before_its_start(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue_with("waits", countdown=2, expires=1)
    shared.strikes(job.expires_at)
    message = "The job waited too long to start, and expired."
    lands(shared, job, JobStatus.FAILED, "expired", message)
    assert shared.runs(job) == []


@fate()
def test_unknown_task(shared: FateSite, lands: Lands) -> None:
    """A worker with the task may be started later; ten publications are its chance."""
    job = shared.jobs.enqueue("shop.exports", user_id=shared.user_id)
    eventually(lambda: shared.read(job).error_code == "unknown_task", "word of the unknown task")
    assert (shared.read(job).status, shared.read(job).attempt) == (JobStatus.QUEUED, 0)
    lost_nine_times(shared, job)
    shared.sql("update jobstate.jobs set published_at = null where id = %s", job.id)
    message = "No worker knows the task of this job."
    lands(shared, job, JobStatus.FAILED, "unknown_task", message)


@fate()
def test_undecodable_message(shared: FateSite, lands: Lands) -> None:
    job = shared.store("adds", 1)
    name = shared.task("adds").name
    with shared.app.producer_or_acquire() as producer:
        producer.publish(
            "no JSON",
            routing_key=shared.app.conf.task_default_queue,
            content_type="application/json",
            content_encoding="utf-8",
            headers={"id": str(job.id), "task": name, "jobstate-after": 0},
        )
    lands(shared, published_again(shared, job), JobStatus.COMPLETED)


@fate()
def test_lost_message(shared: FateSite, lands: Lands) -> None:
    """On evidence: a job that was published later runs."""
    job = shared.store("adds", 1)
    lands(shared, published_again(shared, job), JobStatus.COMPLETED)


@fate()
def test_message_lost_ten_times(shared: FateSite, lands: Lands) -> None:
    job = shared.store("adds", 1)
    shared.service.store.run(publishing.note_published(job.id, 0, 60))
    # Before the pause is over: a sweeper that finds no evidence waits for ten minutes.
    later = runs_later(shared)
    shared.strikes()
    lost_nine_times(shared, job)
    shared.failed(job, "never_delivered", "")
    shared.let(later)
    message = "The job could not be delivered to any worker."
    lands(shared, job, JobStatus.FAILED, "never_delivered", message)


@fate()
def test_same_message_twice(shared: FateSite, lands: Lands) -> None:
    job = shared.store("waits")
    for _ in range(2):
        shared.publish(job, "waits", ticket=0)
    shared.running(job)
    shared.let(job)
    assert lands(shared, job, JobStatus.COMPLETED).attempt == 1
    shared.logged("message of job", str(job.id), "was dropped")
    assert shared.runs(job) == [1]


@fate("prefork", "threads", "solo", why=SELDOM)
def test_outlasts_the_visibility_timeout(column: str, open_fates: OpenFates, lands: Lands) -> None:
    """The broker gives the message to another worker while the first one runs it."""
    with open_fates(column, **HASTY) as site:
        (job,) = site.run("waits_late")
        site.boot()
        eventually(lambda: "duplicate_delivery" in site.events(job), "a second delivery")
        site.let(job)
        assert lands(site, job, JobStatus.COMPLETED).attempt == 1
        assert site.runs(job) == [1]


@fate(*REDIS, why=NO_TIMEOUT)
def test_eta_beyond_the_visibility_timeout(
    column: str, open_fates: OpenFates, lands: Lands
) -> None:
    """The broker copies the message again and again until then."""
    with open_fates(column, **HASTY) as site:
        site.boot()
        job = site.enqueue_with("dies_late", 0, countdown=5)
        site.strikes(job.eta)
        assert lands(site, job, JobStatus.COMPLETED).attempt == 1
        assert site.runs(job) == [1]


@fate()
def test_far_eta(shared: FateSite, lands: Lands) -> None:
    """Nothing is published before it is nearly due: brokers copy messages that wait."""
    job = shared.enqueue_with("dies_late", 0, eta=timedelta(hours=1))
    assert shared.read(job).published_at is None
    shared.sql("update jobstate.jobs set eta = now(), next_check_at = now() where id = %s", job.id)
    shared.strikes()
    assert lands(shared, job, JobStatus.COMPLETED).attempt == 1


def published_again(site: FateSite, job: Job) -> Job:
    """Have a message taken for lost: nothing was published but what the test has."""
    site.service.store.run(publishing.note_published(job.id, 0, 0.5))
    site.strikes()
    later = runs_later(site)
    # On solo, the message has to wait; elsewhere it may start the job at once.
    eventually(lambda: site.read(job).attempt or "republish" in site.events(job), "a publication")
    site.let(later)
    return job


def runs_later(site: FateSite) -> Job:
    """Have a job at work that was published later, and noted as such before it was taken."""
    later = site.store("waits")
    site.service.store.run(publishing.note_published(later.id, 0, 60))
    site.publish(later, "waits", ticket=0)
    site.running(later)
    return later


def lost_nine_times(site: FateSite, job: Job) -> None:
    """Go on where the tenth publication has been lost; its pause is over."""
    site.sql(
        "update jobstate.jobs set publishes = 10, published_at = now() - interval '1 hour', "
        "next_check_at = now() where id = %s",
        job.id,
    )
