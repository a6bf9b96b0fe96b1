"""Runs that somebody else ends: a limit, a deadline, a cancellation."""

from jobstate import Job, JobStatus
from tests.fates.fate import PREFORK, fate
from tests.fates.site import FateSite, Lands
from tests.worker.process import eventually

TOO_LONG = "The job ran longer than its time limit."
CANCELLED = "The job was cancelled."
SOFT = "Celery enforces soft limits on prefork alone; elsewhere a deadline ends the job."
HARD = "On threads and solo, Celery enforces no limits; a deadline ends the job everywhere."
TERMINATES = "On threads and solo, Celery terminates nothing; `cancel` ends the job everywhere."


@fate(*PREFORK, why=SOFT)
def test_soft_time_limit(shared: FateSite, lands: Lands) -> None:
    lands(shared, shared.enqueue("is_too_slow"), JobStatus.FAILED, "time_limit", TOO_LONG)


@fate(*PREFORK, why=SOFT)
def test_soft_time_limit_keeping_what_was_done(shared: FateSite, lands: Lands) -> None:
    """Its callbacks are told, and not its errbacks."""
    callback, errback = shared.task("adds").si(1), shared.task("is_told").si()
    called, told = callback.freeze().id, errback.freeze().id
    job = shared.enqueue_with("keeps_what_it_has_done", link=callback, link_error=errback)
    lands(shared, job, JobStatus.PARTIAL, "time_limit", TOO_LONG)
    shared.completed(called)
    assert shared.is_unknown(told)


@fate(*PREFORK, "gevent", why=HARD)
def test_hard_time_limit(shared: FateSite, lands: Lands) -> None:
    lands(shared, shared.enqueue("is_far_too_slow"), JobStatus.FAILED, "time_limit", TOO_LONG)


@fate(*PREFORK, "gevent", why=HARD)
def test_hard_time_limit_keeping_what_was_done(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("keeps_and_is_far_too_slow")
    lands(shared, job, JobStatus.PARTIAL, "time_limit", TOO_LONG)


@fate()
def test_passes_its_deadline(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue_with("waits", deadline=600)
    shared.running(job)
    reaches_its_deadline(shared, job)
    message = "The job did not end before its deadline."
    landed = lands(shared, job, JobStatus.FAILED, "deadline", message)
    assert_the_late_body_is_fenced_out(shared, landed)


@fate()
def test_passes_its_deadline_keeping_what_was_done(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue_with("keeps_and_waits", deadline=600)
    has_done_something(shared, job)
    reaches_its_deadline(shared, job)
    message = "The job did not end before its deadline."
    landed = lands(shared, job, JobStatus.PARTIAL, "deadline", message)
    assert landed.items_succeeded == 1
    shared.gates.open(job.id)


@fate()
def test_reports_no_progress(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("falls_silent")
    shared.gates.read(f"pid:{job.id}")
    message = "The job made no progress for too long."
    landed = lands(shared, job, JobStatus.FAILED, "no_progress", message)
    shared.gates.open(job.id)
    assert shared.landed(job).completed_at == landed.completed_at


@fate()
def test_reports_no_progress_keeping_what_was_done(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("keeps_and_falls_silent")
    has_done_something(shared, job)
    message = "The job made no progress for too long."
    lands(shared, job, JobStatus.PARTIAL, "no_progress", message)
    shared.gates.open(job.id)


@fate()
def test_cancelled_before_its_start(shared: FateSite, lands: Lands) -> None:
    job = shared.store("adds")
    shared.strikes()
    shared.service.cancel(job.id, job.user_id)
    lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)


@fate()
def test_cancelled_while_it_reports(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("reports")
    shared.gates.read(f"pid:{job.id}")
    shared.strikes()
    shared.service.cancel(job.id, job.user_id)
    lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)
    assert shared.gates.read(f"heard:{job.id}") == "JobCancelled"


@fate()
def test_cancelled_while_it_says_nothing(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("waits")
    shared.running(job)
    shared.strikes()
    shared.service.cancel(job.id, job.user_id)
    landed = lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)
    assert_the_late_body_is_fenced_out(shared, landed)


@fate()
def test_revoked_before_its_start(shared: FateSite, lands: Lands) -> None:
    job = shared.store("waits")
    shared.revoke(job)
    shared.strikes()
    shared.jobs.publish(job)
    lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)
    assert shared.runs(job) == []


@fate()
def test_cancelled_after_it_has_done_something(shared: FateSite, lands: Lands) -> None:
    """Its owner has ended it: that is no interruption, whatever the task wants kept."""
    job = shared.enqueue("keeps_and_waits")
    has_done_something(shared, job)
    shared.strikes()
    shared.service.cancel(job.id, job.user_id)
    landed = lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)
    assert landed.items_succeeded == 1
    shared.gates.open(job.id)


@fate(*PREFORK, "gevent", why=TERMINATES)
def test_revoked_while_it_runs(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("waits")
    shared.running(job)
    shared.strikes()
    shared.app.control.revoke(str(job.id), terminate=True)
    lands(shared, job, JobStatus.FAILED, "cancelled", CANCELLED)


def has_done_something(site: FateSite, job: Job) -> None:
    """Wait until an item of the body was written."""
    eventually(lambda: site.read(job).items_succeeded == 1, "the first item")


def reaches_its_deadline(site: FateSite, job: Job) -> None:
    """Let ten minutes pass for a body that has started, however long its start took."""
    site.strikes()
    site.sql(
        "update jobstate.jobs set deadline_at = clock_timestamp(), "
        "next_check_at = clock_timestamp() where id = %s",
        job.id,
    )


def assert_the_late_body_is_fenced_out(site: FateSite, landed: Job) -> None:
    """On prefork it was terminated; elsewhere it goes on, and what it returns is refused."""
    site.let(landed)
    if not site.has_children:
        eventually(lambda: "stale_write" in site.events(landed), "a refused landing")
    again = site.landed(landed)
    assert (again.completed_at, again.result) == (landed.completed_at, None)
