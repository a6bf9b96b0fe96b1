"""What cannot be judged just now must not keep the sweeper from everything else."""

from collections.abc import Callable

import psycopg
import pytest

from jobstate import JobStatus
from jobstate.attempts import Hold
from jobstate.sweeper import SweepReport
from tests.factories import POLICY, new_worker, queued_job, released, take
from tests.sweeping.scene import Scene

Connect = Callable[[], psycopg.Connection]

MANY = 200

CURSE = """
    create function jobstate.curse() returns trigger language plpgsql
    as $$ begin raise 'cursed'; end $$;
    create trigger curse before update on jobstate.jobs for each row
    when (old.job_type = 'cursed' and old.worker_id is distinct from new.worker_id)
    execute function jobstate.curse();
"""
BLESS = "drop function jobstate.curse cascade"


def lost_crowd(scene: Scene, job_type: str) -> None:
    """Create many jobs of a worker that was given up."""
    worker_id = new_worker(scene.store)
    for _ in range(MANY):
        scene.held(POLICY, worker_id, job_type=job_type)
    scene.bury(worker_id)


def test_locked_jobs_of_dead_workers_do_not_starve_the_rest(scene: Scene, connect: Connect) -> None:
    lost_crowd(scene, "locked")
    locking = connect()
    with locking.transaction():
        locking.execute("select from jobstate.jobs for no key update")
        hold = scene.lost()
        assert scene.sweep().rescued == 1
        assert scene.read(hold).rescues == 1
    assert scene.sweep().rescued == MANY


def test_jobs_that_cannot_be_rescued_do_not_starve_the_rest(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    lost_crowd(scene, "cursed")
    hold = scene.lost()
    scene.sql(CURSE)
    try:
        assert scene.sweep().rescued == 1
    finally:
        scene.sql(BLESS)
    assert scene.read(hold).rescues == 1
    assert caplog.text.count("could not be swept") == MANY
    assert scene.sweep().rescued == MANY


def test_locked_jobs_that_are_due_do_not_starve_the_rest(scene: Scene, connect: Connect) -> None:
    for _ in range(MANY):
        scene.queued(expires=60)
    scene.time_passes(61)
    locking = connect()
    with locking.transaction():
        locking.execute("select from jobstate.jobs for no key update")
        job = scene.queued(expires=0.001)
        scene.time_passes(20, job)
        assert scene.sweep().failed == 1
        assert scene.read(job).error_code == "expired"
    assert scene.sweep().failed == MANY


def test_jobs_that_cannot_be_judged_move_to_the_back(scene: Scene) -> None:
    """A sweeper that is stopped after its first batch has looked at others the next time."""
    for _ in range(MANY):
        job = scene.queued(deadline=60, job_type="cursed")
        take(scene.store, job.id)
    scene.time_passes(61)
    fine = scene.queued(deadline=0.001)
    scene.sql(CURSE)
    try:
        scene.time_passes(20, fine)
        assert scene.sweep().failed == 1
    finally:
        scene.sql(BLESS)
    assert scene.read(fine).error_code == "deadline"
    scene.time_passes(scene.settings.sweep_interval)
    assert scene.sweep().failed == MANY


def test_a_job_that_waits_for_its_retry_is_not_due_all_the_time(scene: Scene) -> None:
    """However long ago it left its queue: it would be looked at before all others, each time."""
    scene = scene.with_settings(queue_timeout=600)
    hold = scene.held()
    released(scene.store, hold, when={"eta": None, "countdown": 3600})
    scene.time_passes(700)
    assert scene.sweep() == SweepReport()
    assert not is_due(scene, hold)


def test_a_job_that_others_have_is_not_due_all_the_time(scene: Scene) -> None:
    """It does not expire, as it has begun."""
    hold = scene.held(expires=60)
    released(scene.store, hold, canvas='{"task": "shop.exports"}')
    scene.publish(hold.job_id)
    scene.time_passes(61)
    assert scene.sweep() == SweepReport()
    assert not is_due(scene, hold)


def is_due(scene: Scene, hold: Hold) -> bool:
    """Tell whether the next look at a job is overdue already."""
    overdue = "select next_check_at <= clock_timestamp() from jobstate.jobs where id = %s"
    ((found,),) = scene.sql(overdue, hold.job_id)
    return bool(found)


def test_a_publication_that_raises_does_not_keep_others_from_theirs(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [queued_job(scene.store) for _ in range(3)]
    scene.unpublishable.add(jobs[1].id)
    scene.time_passes(scene.settings.publish_grace)
    assert scene.sweep().published == 2
    assert set(scene.published) == {jobs[0].id, jobs[2].id}
    assert caplog.text.count("could not be swept") == 1


def test_one_call_ends_however_much_there_is(scene: Scene) -> None:
    """It looks at a thousand jobs at most; the rest is for the next."""
    scene.sql(
        """
        insert into jobstate.jobs (id, user_id, job_type, next_check_at, expires_at)
        select gen_random_uuid(), gen_random_uuid(), 'many', now(), now()
        from generate_series(1, 1050)
        """
    )
    assert scene.sweep().failed == 1000
    assert scene.sweep().failed == 50
    ((left,),) = scene.sql(
        "select count(*) from jobstate.jobs where job_type = 'many' and status <> %s",
        JobStatus.FAILED,
    )
    assert left == 0
