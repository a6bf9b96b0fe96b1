"""Whatever interrupts the library at its own work, the job lands."""

from jobstate import Job
from tests.edges.site import EdgeSite, locked, run_elsewhere
from tests.worker.process import eventually

REFUSING = """
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception 'a passing trouble' using errcode = 'XX000';
end $$;
create trigger refuse before update on jobstate.jobs for each row
    when (new.completed_at is not null) execute function refuse();
"""


def test_a_soft_limit_while_the_job_is_taken_does_not_leave_it_held(edge: EdgeSite) -> None:
    """The take waits for the row when the limit strikes; Postgres does it all the same."""
    edge.start()
    job = edge.store("has_a_soft_limit")
    with locked(edge, job):
        edge.publish(job, "has_a_soft_limit", ticket=0)
        edge.logged("is locked by somebody just now")
    # As the take was done after all, or was not.
    assert edge.landed(job).error_code in ("worker_lost", "time_limit")
    assert edge.runs(job) == []


def test_a_soft_limit_while_an_ignored_job_is_landed_does_not_leave_it_held(
    edge: EdgeSite,
) -> None:
    edge.start()
    job = edge.enqueue("ignores_at_the_gate")
    edge.running(job)
    with locked(edge, job):
        edge.let(job)
        edge.logged("could not handle", "_on_postrun")
    assert edge.landed(job).status == "failed"


def test_a_soft_limit_during_a_retry_is_a_time_limit(edge: EdgeSite) -> None:
    edge.start()
    job = edge.enqueue("retries_at_the_gate")
    edge.running(job)
    with locked(edge, job):
        edge.let(job)
        edge.logged("Soft time limit")
    landed = edge.landed(job)
    assert landed.error_code == "time_limit" or landed.attempt > 1, "unless the retry was released"


def test_a_landing_that_postgres_stumbles_over_is_repeated(edge: EdgeSite) -> None:
    edge.start()
    job = edge.enqueue("waits")
    edge.running(job)
    edge.sql(REFUSING)
    edge.let(job)
    edge.logged(f"Job {job.id} waits", "a passing trouble")
    edge.sql("drop trigger refuse on jobstate.jobs")
    assert edge.completed(job).attempt == 1


def test_a_revoked_job_never_runs_though_its_row_was_locked_just_then(edge: EdgeSite) -> None:
    edge.start()
    job = edge.store("runs")
    edge.revoke(job)
    with locked(edge, job):
        edge.publish(job, "runs", ticket=0)
        edge.logged("is locked by somebody just now")
    edge.failed(job, "cancelled", "The job was cancelled.")
    assert edge.runs(job) == []


def test_a_job_that_is_terminated_while_it_waits_to_be_taken_never_runs(edge: EdgeSite) -> None:
    edge.start()
    job = edge.store("runs")
    with locked(edge, job):
        edge.publish(job, "runs", ticket=0)
        edge.logged(f"Job {job.id} waits", "to start")
        edge.revoke(job, terminate=True)
    edge.failed(job, "cancelled", "The job was cancelled.")
    assert edge.runs(job) == []


def test_a_job_whose_process_dies_before_it_takes_the_job_comes_again(edge: EdgeSite) -> None:
    """Without a wait for a later job that would prove the loss of its message."""
    edge.start()
    job = edge.enqueue("dies_once_before_it_starts")
    assert edge.completed(job).attempt == 1
    assert edge.runs(job) == [1]


def test_a_hard_limit_is_final_though_the_row_was_locked_just_then(edge: EdgeSite) -> None:
    edge.start()
    job = edge.enqueue("hangs_late")
    edge.running(job)
    with locked(edge, job):
        edge.logged("is locked by somebody just now")
    edge.failed(job, "time_limit", "The job ran longer than its time limit.")
    assert edge.runs(job) == [1]


def test_an_eager_job_whose_process_dies_before_its_body_lands(edge: EdgeSite) -> None:
    job = run_elsewhere(edge, "dies_before_it_starts")
    edge.start()
    assert_orphaned(edge, job)


def test_an_eager_job_whose_process_dies_between_its_attempts_lands(edge: EdgeSite) -> None:
    job = run_elsewhere(edge, "dies_before_its_retry")
    assert job.attempt == 1
    edge.start()
    eventually(lambda: edge.read(job).worker_id is None, "the end of the hold")
    assert_orphaned(edge, job)


def assert_orphaned(edge: EdgeSite, job: Job) -> None:
    """Let five minutes pass: nobody can start it any more."""
    edge.sql(
        "update jobstate.jobs set created_at = created_at - interval '5 minutes', "
        "retry_at = retry_at - interval '5 minutes', next_check_at = now() "
        "where completed_at is null"
    )
    edge.failed(job, "worker_lost", "The worker that ran the job was lost.")
