"""What the row knows of its message: what waits to be published, when, and what went out."""

from datetime import UTC, datetime, timedelta

import pytest

from jobstate import JobService, publishing
from jobstate.store import Store
from tests.factories import MESSAGE, hold_of, landed, processing_job, queued_job, released, take


def test_what_waits_to_be_published_is_read_with_its_ticket_and_times(store: Store) -> None:
    eta, expires = datetime(2126, 1, 1, tzinfo=UTC), datetime(2126, 1, 2, tzinfo=UTC)
    job = queued_job(store, eta=eta, expires=expires)
    name, message, ticket, after, until = (
        store.run(publishing.message_of(job.id, again=False)) or ()
    )
    assert (name, ticket) == ("tasks.report", 0)
    assert message["body"] == "[[], {}, {}]"
    assert until - after == pytest.approx(24 * 3600, abs=5)
    hold = hold_of(take(store, job.id).job)
    assert store.run(publishing.message_of(job.id, again=False)) is None
    retry_at = datetime(2126, 1, 3, tzinfo=UTC)
    released(store, hold, message=MESSAGE, when={"eta": retry_at, "countdown": None})
    _, _, ticket, later, _ = store.run(publishing.message_of(job.id, again=False)) or ()
    assert ticket == 1
    assert later - after == pytest.approx(2 * 24 * 3600, abs=60)


def test_what_is_published_again_is_to_start_at_once_and_does_not_expire(store: Store) -> None:
    """A worker with a wrong clock would wait for its time, or find it expired, once more."""
    job = queued_job(store, eta=-1, expires=3600)
    assert (store.run(publishing.message_of(job.id, again=False)) or ())[3:] == (
        0,
        pytest.approx(3600, abs=5),
    )
    store.run(publishing.note_published(job.id, 0, 3600))
    assert (store.run(publishing.message_of(job.id, again=True)) or ())[3:] == (0, None)


def test_what_went_out_does_not_wait_to_be_published(store: Store, service: JobService) -> None:
    job = queued_job(store)
    store.run(publishing.note_published(job.id, 0, 3600))
    assert store.run(publishing.message_of(job.id, again=False)) is None
    noted = service.get_job_internal(job.id)
    assert noted.publishes == 1
    assert noted.published_at is not None
    assert noted.next_check_at is not None
    assert noted.next_check_at - noted.published_at < timedelta(seconds=3601)


@pytest.mark.parametrize("ticket", [1, -1])
def test_a_publication_of_another_ticket_is_not_noted(
    store: Store, service: JobService, ticket: int
) -> None:
    job = queued_job(store)
    store.run(publishing.note_published(job.id, ticket, 3600))
    assert service.get_job_internal(job.id) == job


def test_a_publication_is_not_noted_once_the_job_is_held_or_has_landed(
    store: Store, service: JobService
) -> None:
    hold = processing_job(store)
    store.run(publishing.note_published(hold.job_id, 1, 3600))
    assert service.get_job_internal(hold.job_id).publishes == 0
    landed(store, hold)
    store.run(publishing.note_published(hold.job_id, 1, 3600))
    assert service.get_job_internal(hold.job_id).publishes == 0
    assert store.run(publishing.message_of(hold.job_id, again=False)) is None
