"""What follows a job: the fates of chains and chords, and of jobs inside of jobs."""

from celery import chord

from jobstate import JobStatus
from tests.fates.fate import fate
from tests.fates.site import FateSite, Lands


@fate()
def test_crash_between_landing_and_dispatch(own: FateSite, lands: Lands) -> None:
    crashes_before_the_dispatch(own, lands, "lands_and_dies")


@fate()
def test_crash_between_landing_and_dispatch_late(own: FateSite, lands: Lands) -> None:
    crashes_before_the_dispatch(own, lands, "lands_and_dies_late")


@fate()
def test_chain_step_fails(shared: FateSite, lands: Lands) -> None:
    """Later steps have no row."""
    later = shared.task("returns").si("too late")
    later_id = later.freeze().id
    first = shared.task("raises").s("no").set(user_id=shared.user_id)
    result = (first | later).apply_async()
    lands(shared, result.parent.id, JobStatus.FAILED, "exception", "no")
    assert shared.is_unknown(later_id)


@fate()
def test_chord_member_fails(shared: FateSite, lands: Lands) -> None:
    """The other members go on; the body has no row."""
    header = [shared.task("adds").s(1), shared.task("raises").si("no").set(ignore_result=False)]
    members = [member.set(user_id=shared.user_id) for member in header]
    result = chord(members)(shared.task("sums").s())
    good, bad = (member.id for member in result.parent.results)
    shared.completed(good)
    lands(shared, bad, JobStatus.FAILED, "exception", "no")
    assert shared.is_unknown(result.id)


@fate()
def test_runs_eagerly_in_a_body(shared: FateSite, lands: Lands) -> None:
    parent = shared.completed(shared.enqueue("enqueues", "apply"))
    child = lands(shared, parent.result, JobStatus.COMPLETED)
    assert (child.parent_id, child.attempt) == (parent.id, 1)


def crashes_before_the_dispatch(site: FateSite, lands: Lands, task: str) -> None:
    """The next step is dispatched later, once, and no body runs twice."""
    worker = site.boot()
    first, second = site.task(task).s(1), site.task("adds").s(2)
    chain = (first.set(user_id=site.user_id) | second).apply_async()
    if not site.has_children:
        worker.ended()
        site.boot()
    assert site.completed(chain.id).result == 4
    landed = lands(site, chain.parent.id, JobStatus.COMPLETED)
    assert (landed.result, landed.attempt, landed.rescues) == (2, 1, 0)
    assert site.runs(chain.parent.id) == [1]
