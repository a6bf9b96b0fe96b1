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

SOFT = "On solo, the end of a soft shutdown is an exception in the body like any other."
COLD = "On solo and gevent, a cold shutdown is an exception in the body like any other."


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
        yield ended(Struck(site, late, early), "does not implement kill_job")


@pytest.fixture(scope="module")
def cold(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers that were told to end at once."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: worker.send(signal.SIGQUIT))
        yield ended(Struck(site, late, early), "does not implement kill_job")


@pytest.fixture(scope="module")
def terminated(column: str, open_fates: OpenFates) -> Iterator[Struck]:
    """Workers all of whose processes were asked to end, as containers and terminals do."""
    with open_fates(column) as site:
        late, early = site.run("waits_late", "waits")
        shut_down(site, lambda worker: os.killpg(worker.pid, signal.SIGTERM))
        yield ended(Struck(site, late, early), "Warm shutdown")


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


@fate(*PREFORK, "threads", why=COLD)
def test_soft_shutdown_too_short(too_short: Struck, lands: Lands) -> None:
    early(too_short, lands)


@fate(*PREFORK, "threads", why=COLD)
def test_soft_shutdown_too_short_late(too_short: Struck, lands: Lands) -> None:
    late(too_short, lands)


@fate(*PREFORK, "threads", why=COLD)
def test_cold_shutdown(cold: Struck, lands: Lands) -> None:
    early(cold, lands)


@fate(*PREFORK, "threads", why=COLD)
def test_cold_shutdown_late(cold: Struck, lands: Lands) -> None:
    late(cold, lands)


@fate()
def test_terminated_with_its_group(terminated: Struck, lands: Lands) -> None:
    early(terminated, lands)


@fate()
def test_terminated_with_its_group_late(terminated: Struck, lands: Lands) -> None:
    late(terminated, lands)


def early(struck: Struck, lands: Lands) -> None:
    """Only a child can be ended; the body of a thread ends by itself."""
    if struck.site.has_children:
        failed_once(struck, lands)
    else:
        assert lands(struck.site, struck.early, JobStatus.COMPLETED).attempt == 1


def late(struck: Struck, lands: Lands) -> None:
    if struck.site.has_children:
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


def ended(struck: Struck, said: str) -> Struck:
    """A body in a child has ended with it; let another one end once its worker has said so."""
    if struck.site.has_children:
        return gone(struck)
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
