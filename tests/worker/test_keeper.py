"""The keeper's lease: renewed while the worker lives, given up when it ends, replaced when lost."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from uuid import UUID, uuid4

import psutil
import pytest

from jobstate import StoreUnavailable
from jobstate.celery.handover import Desk
from jobstate.celery.keeper import Keeper
from jobstate.celery.runtime import runtime_of
from jobstate.celery.setup import setup_of
from jobstate.doctor.questions import setups
from tests.worker.database import Execute
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site


@pytest.fixture(scope="module")
def lively(open_site: OpenSite) -> Iterator[Site]:
    """A worker that renews its lease often."""
    with open_site("prefork", jobstate_heartbeat=0.1, jobstate_lease=15) as site:
        yield site


@pytest.fixture
def site(lively: Site) -> Site:
    """The same; its `execute` speaks to its database."""
    return lively


def living(execute: Execute) -> UUID:
    """Return the id of the one worker that lives; it may have to be registered first."""
    statement = "select id from jobstate.workers where dead_at is null"
    ((worker_id,),) = eventually(lambda: execute(statement), "a living worker")
    assert isinstance(worker_id, UUID)
    return worker_id


def renewed(execute: Execute, worker_id: UUID) -> Callable[[], bool]:
    """Tell whether a worker's heartbeat has changed since now."""
    statement = "select heartbeat_at from jobstate.workers where id = %s"
    before = execute(statement, worker_id)
    return lambda: execute(statement, worker_id) != before


def test_a_worker_is_one_row_whose_heartbeat_is_renewed(site: Site, execute: Execute) -> None:
    assert site.worker is not None
    worker_id = living(execute)
    eventually(renewed(execute, worker_id), "a heartbeat")
    statement = "select pid, queues, lease_until > heartbeat_at from jobstate.workers where id = %s"
    assert execute(statement, worker_id) == [(site.worker.pid, ["celery"], True)]


def test_the_row_has_the_queues_that_the_worker_consumes_by_now(
    site: Site, execute: Execute
) -> None:
    statement = "select queues from jobstate.workers where id = %s"
    worker_id = living(execute)
    for tell, queues in (
        (site.app.control.add_consumer, {"celery", "late"}),
        (site.app.control.cancel_consumer, {"celery"}),
    ):
        tell("late")

        def are_noted(expected: set[str] = queues) -> bool:
            return set(execute(statement, worker_id)[0][0]) == expected

        eventually(are_noted, f"the queues {queues}")


def test_a_job_is_held_by_the_worker_and_a_process_of_its_pool(
    site: Site, execute: Execute
) -> None:
    assert site.worker is not None
    worker_id = living(execute)
    job = site.enqueue("waits")
    site.gates.reached(job.id)
    held = site.read(job)
    site.gates.open(job.id)
    site.completed(job)
    assert held.worker_id == worker_id
    assert held.pid not in (None, site.worker.pid)


def test_a_buried_worker_goes_on_under_a_new_id(site: Site, execute: Execute) -> None:
    """Its pool learns the new id without a query."""
    buried = living(execute)
    execute("update jobstate.workers set dead_at = clock_timestamp() where id = %s", buried)
    fresh = living(execute)
    assert fresh != buried
    jobs = [site.enqueue("counts_runs") for _ in range(4)]
    for job in jobs:
        site.completed(job)
        (taken,) = [event for event in site.history(job) if event.to_status == "processing"]
        assert taken.worker_id == fresh


def test_the_keeper_survives_an_error_that_it_does_not_know(site: Site, execute: Execute) -> None:
    """Somebody's trigger fails; the keeper says so and goes on."""
    worker_id = living(execute)
    execute(
        "create function fails() returns trigger language plpgsql as "
        "$$ begin raise exception 'not on a Sunday'; end $$"
    )
    execute(
        "create trigger fails before update on jobstate.workers "
        "for each row execute function fails()"
    )
    try:
        site.logged("could not renew its lease", "not on a Sunday")
    finally:
        execute("drop trigger fails on jobstate.workers")
    eventually(renewed(execute, worker_id), "a heartbeat")


def test_a_landing_that_cannot_be_done_now_holds_up_no_other(site: Site, execute: Execute) -> None:
    """Two processes die. The row of one job is locked by somebody, and waits its turn."""
    jobs = [site.enqueue("waits_and_dies") for _ in range(2)]
    for job in jobs:
        site.gates.reached(job.id)
    locked, free = jobs
    with execute.connection.transaction():
        execute("select from jobstate.jobs where id = %s for update", locked.id)
        site.gates.open(locked.id)
        pid = site.read(locked).pid
        eventually(lambda: not psutil.pid_exists(pid), "the end of the process")
        site.gates.open(free.id)
        site.failed(free, "worker_lost", "The worker")
    site.failed(locked, "worker_lost", "The worker")


@dataclass
class Stubborn:
    """What cannot be settled before so many tries."""

    job_id: UUID
    needed: float = math.inf
    tries: int = 0

    def settle(self, _: Desk) -> None:
        """Count the try."""
        self.tries += 1
        if self.tries < self.needed:
            raise StoreUnavailable("Not now.")


def test_a_worker_that_ends_tries_again_what_it_could_not_settle(open_site: OpenSite) -> None:
    with open_site() as site:
        runtime, left = runtime_of(site.app), Stubborn(uuid4())
        keeper = Keeper(runtime, SimpleNamespace(app=site.app, hostname="w", pool=None, hub=None))
        keeper.start()
        keeper.hand_over(left)
        eventually(lambda: left.tries, "a lease, and a try")
        left.needed = left.tries + 2
        keeper.end()
        assert left.tries == left.needed
        assert runtime.seat.worker_id is None


def test_a_worker_notes_what_it_runs_with(site: Site, execute: Execute) -> None:
    living(execute)
    (noted,) = site.service.store.run(setups())
    expected = setup_of(site.app, site.jobs.settings)
    assert replace(noted.setup, clock=0) == replace(expected, clock=0)
    assert abs(noted.ahead) < 60
