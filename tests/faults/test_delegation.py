"""A job that is replaced by several tasks lands with the last of them, or with one that fails."""

import pytest

from tests.faults.site import FaultySite

NO_LUCK = "No luck."


def test_a_job_replaced_by_a_chain_lands_with_its_last_member(lasting: FaultySite) -> None:
    job = lasting.completed(lasting.enqueue("becomes_a_chain"))
    assert (job.result, job.attempt) == (112, 2)
    assert lasting.events(job) == ["queued", "processing", "delegate", "completed"]


def test_a_job_replaced_by_a_chain_fails_with_its_failing_member(lasting: FaultySite) -> None:
    lasting.failed(lasting.enqueue("becomes_a_chain", failing=True), "exception", NO_LUCK)


def test_a_job_replaced_by_a_group_lands_with_its_results(lasting: FaultySite) -> None:
    job = lasting.completed(lasting.enqueue("becomes_a_group"))
    assert job.result == [2, 4]


def test_a_job_replaced_by_a_chord_lands_with_its_body(lasting: FaultySite) -> None:
    assert lasting.completed(lasting.enqueue("becomes_a_chord")).result == 6


def test_a_job_replaced_by_a_chord_fails_with_its_header(lasting: FaultySite) -> None:
    lasting.failed(lasting.enqueue("becomes_a_chord", failing=True), "exception", NO_LUCK)


def test_a_job_replaced_by_plain_tasks_lands_with_the_last(lasting: FaultySite) -> None:
    job = lasting.completed(lasting.enqueue("becomes_a_chain_of_plain_tasks"))
    assert job.result == 2


@pytest.mark.parametrize(
    ("last", "message"),
    [("fails_plainly", "No luck, plainly."), ("returns_no_json", "There is a lone surrogate")],
)
def test_a_job_replaced_by_plain_tasks_fails_with_the_last(
    lasting: FaultySite, last: str, message: str
) -> None:
    job = lasting.enqueue("becomes_a_chain_of_plain_tasks", last=last)
    lasting.failed(job, "exception", message)


def test_a_job_replaced_by_tasks_fails_with_a_plain_one_that_is_not_the_last(
    lasting: FaultySite,
) -> None:
    job = lasting.enqueue("becomes_a_chain_whose_plain_start_fails")
    lasting.failed(job, "exception", "No luck, plainly.")


def test_a_job_whose_process_dies_before_its_replacement_is_published_goes_on(
    lasting: FaultySite,
) -> None:
    job = lasting.completed(lasting.enqueue("dies_becoming_a_chain"))
    assert (job.result, job.rescues) == (102, 0)
    assert "rescue" not in lasting.events(job)


def test_a_replaced_job_keeps_its_callbacks_and_the_rest_of_its_chain(lasting: FaultySite) -> None:
    callback = lasting.task("adds").s(1000)
    called = callback.freeze().id
    first = lasting.task("becomes_a_chain").s().set(user_id=lasting.user_id)
    chain = (first.set(link=callback) | lasting.task("adds").s(7)).apply_async()
    assert lasting.completed(chain.id).result == 119
    assert lasting.completed(called).result == 1112
    assert lasting.runs(called) == lasting.runs(chain.id) == [1]
    assert lasting.quiet(chain.parent.id).result == 112


def test_a_job_whose_replacement_cannot_be_stored_has_failed(lasting: FaultySite) -> None:
    job = lasting.enqueue("becomes_what_cannot_be_stored")
    lasting.failed(job, "exception", f"What replaces job {job.id} cannot be stored")
