"""A job that has landed is run again as a new job."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from jobstate import (
    AsyncJobService,
    InvalidStateTransitionError,
    InvalidValueError,
    Job,
    JobNotFound,
    JobService,
    JobStatus,
    NotOwner,
    NotRetryable,
    StoreUnavailable,
    publishing,
    reporting,
)
from jobstate.items import ItemKeys
from jobstate.operations import transition
from jobstate.retrying import retry
from tests.factories import (
    CALL,
    FAILED,
    PATIENCE,
    eventually,
    failed_job,
    landed,
    processing_job,
    take,
    together,
    waits_for_a_lock,
)

JobIn = Callable[[JobStatus | str], Job]


def only_items(service: JobService, job: Job) -> ItemKeys | None:
    return service.store.run(reporting.only_items(job.id))


def test_a_retry_is_a_new_job_that_makes_the_same_call(service: JobService) -> None:
    columns = {"parameters": {"year": 7}, "deadline": timedelta(hours=1)}
    job = failed_job(service.store, idempotency_key="once", parent_id=uuid4(), **columns)
    again = service.retry(job.id, job.user_id)
    assert (again.status, again.retry_of, again.attempt) == (JobStatus.QUEUED, job.id, 0)
    for name in ("user_id", "job_type", "task_name", "queue", "parameters", "parent_id"):
        assert getattr(again, name) == getattr(job, name)
    assert again.deadline_at is not None
    assert again.deadline_at - again.created_at == pytest.approx(
        timedelta(hours=1), abs=timedelta(seconds=1)
    )
    assert service.get_job_internal(job.id) == job, "the job that is retried stays as it is"
    row = service.store.run(publishing.message_of(again.id, again=False))
    assert row is not None
    assert row[:3] == (
        "tasks.report",
        {"body": "[[7], {}, {}]", "followups": False, "errbacks": False},
        0,
    )
    assert only_items(service, again) is None


async def test_the_asyncio_service_retries_too(service: JobService, aio: AsyncJobService) -> None:
    job = failed_job(service.store)
    again = await aio.retry(job.id, job.user_id, "failed")
    assert again.retry_of == job.id


def test_a_retry_of_the_failed_items_names_them(service: JobService) -> None:
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id, "failed")
    assert only_items(service, again) == {"bad", "7"}


def test_a_retry_of_such_a_retry_has_the_same_items(service: JobService) -> None:
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id, "failed")
    service.cancel(again.id, job.user_id)
    third = service.retry(again.id, job.user_id)
    assert third.retry_of == again.id
    assert only_items(service, third) == {"bad", "7"}


def test_a_retry_can_be_retried(service: JobService) -> None:
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id)
    service.cancel(again.id, job.user_id)
    assert service.retry(again.id, job.user_id).retry_of == again.id


def test_a_retry_is_published_at_once_where_there_is_an_app(jobs_url: str) -> None:
    published: list[UUID] = []
    service = JobService(jobs_url, publish=lambda job_id: not published.append(job_id))
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id)
    assert published == [again.id]
    service.close()


def test_two_clicks_are_one_retry(jobs_url: str) -> None:
    """Until it has landed; then there may be another."""
    published: list[UUID] = []
    service = JobService(jobs_url, publish=lambda job_id: not published.append(job_id))
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id, "failed")
    service.store.run(publishing.note_published(again.id, 0, 60))
    for only in ("failed", "all"):
        assert service.retry(job.id, job.user_id, only).id == again.id
    take(service.store, again.id)
    assert service.retry(job.id, job.user_id).status is JobStatus.PROCESSING
    assert published == [again.id], "it is not published again"
    service.mark_failed(again.id, "No")
    assert service.retry(job.id, job.user_id).id != again.id
    service.close()


def test_two_who_click_at_once_get_the_same_retry(service: JobService) -> None:
    job = failed_job(service.store)
    answers = together(*[lambda: service.retry(job.id, job.user_id)] * 4)
    assert len({again.id for again in answers}) == 1
    assert [found.retry_of for found in service.list_jobs(job.user_id).items] == [job.id, None]


def test_a_retry_that_lands_while_another_is_asked_for_is_followed_by_it(
    service: JobService, connect: Callable[[], psycopg.Connection]
) -> None:
    """Whoever waits for the first one's commit finds it landed, and does not return it."""
    job, observer = failed_job(service.store), connect()
    with ThreadPoolExecutor(1) as pool:
        with service.store.transaction() as first:
            script = retry(job.id, job.user_id, "all", service.settings)
            new = first.run(script.send(first.run(next(script))))
            waiting = pool.submit(service.retry, job.id, job.user_id)
            eventually(waits_for_a_lock(observer))
            for status in ("processing", "failed"):
                first.run(transition(new.id, status, max_result_bytes=1))
        assert waiting.result(PATIENCE).id != new.id


def test_a_retry_that_could_not_be_published_is_the_sweepers(jobs_url: str) -> None:
    def publish(_: UUID) -> bool:
        raise StoreUnavailable("gone")

    service = JobService(jobs_url, publish=publish)
    job = failed_job(service.store)
    again = service.retry(job.id, job.user_id)
    assert again.next_check_at is not None
    service.close()


@pytest.mark.parametrize("status", ["queued", "processing"])
def test_a_job_that_has_not_landed_cannot_be_retried(
    status: str, service: JobService, job_in: JobIn
) -> None:
    job = job_in(status)
    with pytest.raises(InvalidStateTransitionError, match="cannot become queued") as refused:
        service.retry(job.id, job.user_id)
    assert refused.value.current == status


def test_a_job_that_no_task_runs_cannot_be_retried(service: JobService, job_in: JobIn) -> None:
    job = job_in("failed")
    with pytest.raises(NotRetryable, match="no Celery task runs it"):
        service.retry(job.id, job.user_id)
    assert len(service.list_jobs(job.user_id).items) == 1


def test_a_job_whose_arguments_were_forgotten_cannot_be_retried(service: JobService) -> None:
    job = failed_job(service.store, call=None)
    with pytest.raises(NotRetryable, match="job_redact"):
        service.retry(job.id, job.user_id)


def test_a_job_without_failed_items_has_none_to_retry(service: JobService) -> None:
    _, job = landed(service.store, processing_job(service.store, call=CALL), FAILED)
    with pytest.raises(NotRetryable, match="it has none"):
        service.retry(job.id, job.user_id, "failed")


def test_only_its_owner_may_retry_a_job(service: JobService) -> None:
    job = failed_job(service.store)
    with pytest.raises(NotOwner):
        service.retry(job.id, uuid4())
    with pytest.raises(JobNotFound):
        service.retry(uuid4(), job.user_id)
    with pytest.raises(InvalidValueError, match="cannot be retried"):
        service.retry(job.id, job.user_id, "some")  # type: ignore[arg-type]
