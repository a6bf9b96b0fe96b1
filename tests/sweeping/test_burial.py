"""When a worker is given up: after its lease, and never because the database was away."""

from collections.abc import Callable
from uuid import uuid4

import psycopg

from jobstate import JobService, sweeping
from tests.factories import eventually, everything, new_worker, together, waits_for_a_lock
from tests.sweeping.scene import Scene

Connect = Callable[[], psycopg.Connection]

RENEW = """
    update jobstate.workers set lease_until = now() + interval '1 minute'
    where id = %s and dead_at is null
"""


def is_buried(scene: Scene, worker_id: object) -> bool:
    ((dead_at,),) = scene.sql("select dead_at from jobstate.workers where id = %s", worker_id)
    return dead_at is not None


def test_a_silent_worker_is_given_up(scene: Scene) -> None:
    silent, alive = new_worker(scene.store), new_worker(scene.store)
    scene.silence(silent)
    assert scene.sweep().buried == 1
    assert is_buried(scene, silent)
    assert not is_buried(scene, alive)


def test_nobody_is_given_up_before_the_database_was_seen_for_a_whole_lease(scene: Scene) -> None:
    hold = scene.held()
    scene.silence(hold.worker_id)
    report = scene.sweeper.sweep()
    assert (report.buried, report.unjudged, report.failed) == (0, 1, 0)
    scene.seen_up(up_for=scene.settings.lease - 5)
    report = scene.sweeper.sweep()
    assert (report.buried, report.unjudged, report.failed) == (0, 1, 0)
    scene.seen_up(up_for=scene.settings.lease)
    report = scene.sweeper.sweep()
    assert (report.buried, report.unjudged, report.failed) == (1, 0, 1)


def test_after_an_outage_the_wait_begins_anew(scene: Scene) -> None:
    """Whoever could not reach the database either must be able to renew first."""
    worker_id = new_worker(scene.store)
    scene.silence(worker_id)
    scene.seen_up(up_for=3600, last_seen=scene.settings.lease / 3 + 1)
    assert scene.sweeper.sweep().unjudged == 1
    assert scene.sweeper.sweep().buried == 0
    assert not is_buried(scene, worker_id)


def test_a_burial_touches_workers_alone(scene: Scene, connect: Connect) -> None:
    connection = connect()
    hold = scene.held()
    scene.silence(hold.worker_id)
    before = everything(connection, hold.job_id)
    assert scene.store.run(sweeping.bury()) == ["host"]
    assert everything(connection, hold.job_id) == before


def test_a_worker_that_is_renewing_is_not_given_up(scene: Scene, connect: Connect) -> None:
    """The burial passes over its row, however late the renewal commits."""
    hold = scene.held()
    scene.silence(hold.worker_id)
    renewing = connect()
    renewing.autocommit = False
    renewing.execute(RENEW, [hold.worker_id])
    assert scene.sweep().buried == 0
    renewing.commit()
    assert scene.sweep().buried == 0
    assert scene.read(hold).worker_id == hold.worker_id


def test_a_worker_whose_burial_came_first_is_told_so(scene: Scene, connect: Connect) -> None:
    worker_id = new_worker(scene.store)
    scene.silence(worker_id)
    burying, watching = connect(), connect()
    burying.autocommit = False
    burying.execute("update jobstate.workers set dead_at = now() where id = %s", [worker_id])

    def commit() -> None:
        eventually(waits_for_a_lock(watching))
        burying.commit()

    renewed, _ = together(lambda: scene.store.run(sweeping.renew_lease(worker_id, 30)), commit)
    assert renewed is False


def test_a_renewal_and_burials_that_meet_agree_on_who_was_first(
    scene: Scene, connect: Connect
) -> None:
    """Either the worker goes on and keeps its job, or it knows that it lost it."""
    sweeps = [Scene(scene.store, connect()) for _ in range(2)]
    for _ in range(20):
        hold = scene.held()
        scene.silence(hold.worker_id)
        scene.seen_up()
        renewed, *_ = together(
            lambda worker_id=hold.worker_id: scene.store.run(  # type: ignore[misc]
                sweeping.renew_lease(worker_id, 30)
            ),
            *(other.sweeper.sweep for other in sweeps),
        )
        assert renewed is not is_buried(scene, hold.worker_id)
        assert scene.read(hold).is_terminal is not renewed


def test_a_worker_that_a_live_job_names_is_not_forgotten(scene: Scene) -> None:
    """Its jobs could not be found any more."""
    hold = scene.held()
    long_gone, just_gone = new_worker(scene.store), new_worker(scene.store)
    scene.bury(just_gone)
    scene.sql(
        "update jobstate.workers set dead_at = now() - interval '2 days' where id = any(%s)",
        [hold.worker_id, long_gone],
    )
    scene.store.run(sweeping.forget_workers())
    left = {worker_id for (worker_id,) in scene.sql("select id from jobstate.workers")}
    assert left == {hold.worker_id, just_gone}
    assert scene.sweep().failed == 1
    left = {worker_id for (worker_id,) in scene.sql("select id from jobstate.workers")}
    assert left == {just_gone}


def test_workers_are_listed_with_what_they_hold(scene: Scene, service: JobService) -> None:
    idle, silent = new_worker(scene.store), new_worker(scene.store)
    hold, dead = scene.held(), new_worker(scene.store)
    scene.silence(silent)
    scene.bury(dead)
    listed = {worker.id: worker for worker in service.workers()}
    assert set(listed) == {idle, silent, hold.worker_id}
    assert listed[hold.worker_id].holds == [hold.job_id]
    assert listed[idle].holds == []
    assert {worker_id: worker.alive for worker_id, worker in listed.items()} == {
        idle: True,
        silent: False,
        hold.worker_id: True,
    }
    found = listed[idle]
    assert (found.hostname, found.pid, found.queues) == ("host", 1, ["q"])
    assert found.heartbeat_at < found.lease_until


def test_nobody_renews_a_lease_that_was_never_given(scene: Scene) -> None:
    assert scene.store.run(sweeping.renew_lease(uuid4(), 30)) is False


def test_a_clock_that_was_ahead_for_a_while_does_not_stop_burials(scene: Scene) -> None:
    worker_id = new_worker(scene.store)
    scene.sql(
        "update jobstate.workers set heartbeat_at = now() + interval '1 year', "
        "lease_until = now() + interval '1 year'"
    )
    scene.seen_up(up_for=-31_536_000, last_seen=-31_536_000)
    assert scene.store.run(sweeping.see(scene.settings)) < 1
    assert scene.sweep().buried == 1
    assert scene.sql("select dead_at is not null from jobstate.workers where id = %s", worker_id)
