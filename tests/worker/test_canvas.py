"""Callbacks, chains, groups and chords: what is dispatched, when, and who owns it."""

from uuid import uuid4

import pytest
from celery import chain, chord, group

from jobstate import Job, JobNotFound, JobStatus
from tests.worker.database import Execute
from tests.worker.process import eventually
from tests.worker.site import Site


def test_a_job_has_landed_before_the_next_step_of_its_chain_runs(site: Site) -> None:
    first, second = site.task("returns"), site.task("reads_the_step_before")
    result = (first.s("step 1").set(user_id=site.user_id) | second.s()).apply_async()
    seen = site.completed(result.id).result
    assert seen == {"given": "step 1", "status": "completed", "result": "step 1"}


def test_a_job_has_landed_before_its_callback_runs(site: Site) -> None:
    callback = site.task("reads_the_step_before").s()
    callback_id = callback.freeze().id
    job = site.enqueue_with("returns_partial", {"rows": 2}, link=callback)
    seen = site.completed(callback_id).result
    assert seen == {"given": {"rows": 2}, "status": "partial", "result": {"rows": 2}}
    assert site.read(callback_id).parent_id == job.id


def test_a_job_whose_callback_was_dispatched_has_nothing_pending(
    site: Site, execute: Execute
) -> None:
    """And its row has no message that could start anything again."""
    callback = site.task("returns").si()
    callback_id = callback.freeze().id
    job = site.enqueue_with("returns", link=callback)
    site.completed(callback_id)
    eventually(lambda: not site.completed(job).followups_pending, "an end of the follow-ups")
    assert execute("select message from jobstate.jobs where id = %s", job.id) == [(None,)]


def test_owner_and_parent_travel_down_a_chain(site: Site) -> None:
    adds = site.task("adds")
    steps = chain(adds.s(1), adds.s(2), adds.s(3)).apply_async(user_id=site.user_id)
    third = site.completed(steps.id)
    second = site.completed(steps.parent.id)
    first = site.completed(steps.parent.parent.id)
    assert [first.result, second.result, third.result] == [1, 3, 6]
    assert [step.parent_id for step in (first, second, third)] == [None, first.id, second.id]
    assert {step.user_id for step in (first, second, third)} == {site.user_id}


def test_every_member_of_a_group_belongs_to_the_owner(site: Site) -> None:
    adds = site.task("adds")
    members = group(adds.s(number) for number in range(3)).apply_async(user_id=site.user_id)
    landed = [site.completed(member.id) for member in members.results]
    assert [member.result for member in landed] == [0, 1, 2]
    assert {member.user_id for member in landed} == {site.user_id}


def test_the_body_of_a_chord_belongs_to_the_owner_of_its_header(site: Site) -> None:
    adds = [site.task("adds").s(number).set(user_id=site.user_id) for number in (1, 2, 3)]
    result = chord(adds)(site.task("sums").s())
    members = [site.completed(member.id) for member in result.parent.results]
    body = site.completed(result.id)
    assert body.result == 6
    assert body.user_id == site.user_id
    assert body.parent_id in {member.id for member in members}


@pytest.mark.parametrize("how", ["delay", "enqueue", "apply"])
def test_a_job_that_a_job_starts_has_its_owner_and_names_it_as_its_parent(
    site: Site, how: str
) -> None:
    parent = site.completed(site.enqueue("enqueues", how))
    child = site.completed(parent.result)
    assert (child.user_id, child.parent_id) == (site.user_id, parent.id)
    assert child.id != parent.id


def test_a_replacement_goes_on_with_the_chain(site: Site) -> None:
    first = site.task("is_replaced").s("replaced").set(user_id=site.user_id)
    result = (first | site.task("reads_the_step_before").s()).apply_async()
    assert site.completed(result.id).result["given"] == "replaced"
    assert site.completed(result.parent.id).attempt == 2


def test_a_landing_that_is_refused_dispatches_nothing(site: Site) -> None:
    callback = site.task("returns").si("called back")
    callback_id = callback.freeze().id
    job = site.enqueue_with("waits", "too late", link=callback)
    site.gates.reached(job.id)
    site.service.transition_status(job.id, JobStatus.FAILED, error_message="given up")
    site.gates.open(job.id)
    site.logged("came too late to land job", str(job.id), "completed")
    site.logged(f"waits[{job.id}] ignored")
    assert site.landed(job).error_message == "given up"
    with pytest.raises(JobNotFound):
        site.read(callback_id)


def test_a_failure_that_is_refused_dispatches_nothing(site: Site) -> None:
    errback = site.task("returns").si("told of the failure")
    errback_id = errback.freeze().id
    job = site.enqueue_with("waits", "too late", kwargs={"raises": True}, link_error=errback)
    site.gates.reached(job.id)
    site.service.mark_completed(job.id, "somebody else's")
    site.gates.open(job.id)
    site.logged("came too late to land job", str(job.id), "failed")
    site.logged(f"waits[{job.id}] ignored")
    assert site.completed(job).result == "somebody else's"
    with pytest.raises(JobNotFound):
        site.read(errback_id)


def test_a_failure_calls_its_errback_once_it_has_landed(site: Site) -> None:
    errback = site.task("reads_the_step_before").si(None)
    errback_id = errback.freeze().id
    job = site.enqueue_with("raises", f"no {uuid4()}", link_error=errback)
    site.failed(job, "exception", "no ")
    assert site.completed(errback_id).result["status"] == "failed"


def test_what_a_crash_kept_from_being_dispatched_is_dispatched_by_the_next_message(
    site: Site, execute: Execute
) -> None:
    """The body does not run again, and the callback has the owner and the result of the job."""
    callback = site.task("returns").s()
    callback_id = callback.freeze().id
    job = site.enqueue_with("waits", {"rows": 3}, link=callback)
    site.gates.open(job.id)
    site.completed(callback_id)
    as_if_it_had_crashed(execute, job, callback_id)
    site.publish(job, "waits", {"rows": 3}, ticket=1, link=callback)
    again = site.completed(callback_id)
    assert (again.result, again.user_id, again.parent_id) == ({"rows": 3}, site.user_id, job.id)
    eventually(lambda: not site.read(job).followups_pending, "an end of the follow-ups")
    assert site.gates.notes(f"ran:{job.id}") == [1]


def test_an_errback_that_a_crash_kept_back_is_dispatched_by_the_next_message(
    site: Site, execute: Execute
) -> None:
    errback = site.task("returns").si("told of the failure")
    errback_id = errback.freeze().id
    job = site.enqueue_with("raises", "no", link_error=errback)
    site.completed(errback_id)
    as_if_it_had_crashed(execute, job, errback_id)
    site.publish(job, "raises", "no", ticket=1, link_error=errback)
    assert site.completed(errback_id).user_id == site.user_id
    eventually(lambda: not site.read(job).followups_pending, "an end of the follow-ups")
    site.failed(job, "exception", "no")


def as_if_it_had_crashed(execute: Execute, job: Job, follower_id: str) -> None:
    """Undo the dispatch: a crash right after the landing leaves the rows like this."""
    execute("delete from jobstate.jobs where id = %s", follower_id)
    execute("update jobstate.jobs set followups_pending = true where id = %s", job.id)
