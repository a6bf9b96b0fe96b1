"""A worker is shut down while it works: warm, soft, cold, or with its whole process group."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from jobstate import JobStatus
from tests.fates.conftest import OpenFates
from tests.fates.fate import PREFORK, fate
from tests.fates.site import FateSite, Lands
from tests.fates.test_workers import Struck, failed_once, ran_again
from tests.worker.process import WorkerProcess

SOFT = "On solo the thread of the body itself waits, so that a soft shutdown ends like a cold one."

STUMBLES = (
    "On gevent, Celery itself stumbles over them (BlockingSwitchOutError): bodies that it has not "
    "ended by then finish."
)


@pytest.fixture(scope="module")
def warm(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that were asked to finish what they run."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: worker.send(signal.SIGTERM))
        for worker in site.workers:
            worker.says("Warm shutdown")
        yield finished(Struck(site, late, early))


@pytest.fixture(scope="module")
def soft(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that have some time to finish what they run, and do."""
    with open_fates(column, worker_soft_shutdown_timeout=3) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: worker.send(signal.SIGQUIT))
        for worker in site.workers:
            worker.says("Initiating Soft Shutdown")
        yield finished(Struck(site, late, early))


@pytest.fixture(scope="module")
def too_short(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers whose time to finish is not enough."""
    with open_fates(column, worker_soft_shutdown_timeout=0.5) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: worker.send(signal.SIGQUIT))
        yield ended_at_once(Struck(site, late, early))


@pytest.fixture(scope="module")
def cold(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that were told to end at once."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: worker.send(signal.SIGQUIT))
        yield ended_at_once(Struck(site, late, early))


@pytest.fixture(scope="module")
def terminated(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers all of whose processes were asked to end, as containers and terminals do."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: os.killpg(worker.pid, signal.SIGTERM))
        struck = Struck(site, late, early)
        yield gone(struck) if site.has_children else finished_after(struck, "Warm shutdown")


@fate()
def test_warm_shutdown(warm: Struck, lands: Lands) -> None:
    assert lands(warm.site, warm.early, JobStatus.COMPLETED).attempt == 1


@fate()
def test_warm_shutdown_late(warm: Struck, lands: Lands) -> None:
    assert lands(warm.site, warm.late, JobStatus.COMPLETED).attempt == 1


@fate(*PREFORK, "threads", "gevent", why=SOFT)
def test_soft_shutdown(soft: Struck, lands: Lands) -> None:
    assert lands(soft.site, soft.early, JobStatus.COMPLETED).attempt == 1


@fate(*PREFORK, "threads", "gevent", why=SOFT)
def test_soft_shutdown_late(soft: Struck, lands: Lands) -> None:
    assert lands(soft.site, soft.late, JobStatus.COMPLETED).attempt == 1


@fate(*PREFORK, "threads", "solo", why=STUMBLES)
def test_soft_shutdown_too_short(too_short: Struck, lands: Lands) -> None:
    early(too_short, lands, ended=ends_bodies(too_short))


@fate(*PREFORK, "threads", "solo", why=STUMBLES)
def test_soft_shutdown_too_short_late(too_short: Struck, lands: Lands) -> None:
    late(too_short, lands, ended=ends_bodies(too_short))


@fate(*PREFORK, "threads", "solo", why=STUMBLES)
def test_cold_shutdown(cold: Struck, lands: Lands) -> None:
    early(cold, lands, ended=ends_bodies(cold))


@fate(*PREFORK, "threads", "solo", why=STUMBLES)
def test_cold_shutdown_late(cold: Struck, lands: Lands) -> None:
    late(cold, lands, ended=ends_bodies(cold))


@fate()
def test_terminated_with_its_group(terminated: Struck, lands: Lands) -> None:
    early(terminated, lands, ended=terminated.site.has_children)


@fate()
def test_terminated_with_its_group_late(terminated: Struck, lands: Lands) -> None:
    late(terminated, lands, ended=terminated.site.has_children)


def ends_bodies(struck: Struck) -> bool:
    """Tell whether a cold shutdown does: only the body of a thread has to end by itself."""
    return struck.site.pool != "threads"


def early(struck: Struck, lands: Lands, *, ended: bool) -> None:
    if ended:
        failed_once(struck, lands)
    else:
        assert lands(struck.site, struck.early, JobStatus.COMPLETED).attempt == 1


def late(struck: Struck, lands: Lands, *, ended: bool) -> None:
    if ended:
        ran_again(struck, lands)
    else:
        assert lands(struck.site, struck.late, JobStatus.COMPLETED).attempt == 1


def shut_down(site: FateSite, ask: Callable[[WorkerProcess], None]) -> None:
    site.strikes()
    for worker in site.workers:
        ask(worker)


def finished(struck: Struck) -> Struck:
    """Let the bodies end, and the workers with them."""
    site = struck.site
    site.let(struck.late)
    site.let(struck.early)
    for worker in site.workers:
        worker.ended()
    return struck


def ended_at_once(struck: Struck) -> Struck:
    if ends_bodies(struck):
        return gone(struck)
    return finished_after(struck, "does not implement kill_job")


def finished_after(struck: Struck, said: str) -> Struck:
    """Let the bodies end once their workers have said so."""
    for worker in struck.site.workers:
        worker.says(said)
    return finished(struck)


def gone(struck: Struck) -> Struck:
    """Wait for the end of the workers, and start another one."""
    site = struck.site
    site.let(struck.late, 2)
    for worker in site.workers:
        worker.ended()
    site.boot()
    site.landed(struck.early)
    site.completed(struck.late)
    return struck
