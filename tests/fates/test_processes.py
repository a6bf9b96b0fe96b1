"""A body's process ends, and the worker's main process lives."""

from collections.abc import Callable

import pytest

from jobstate import Job, JobStatus
from tests.fates.fate import PREFORK, fate
from tests.fates.site import LOST, FateSite, Lands
from tests.worker.process import eventually

WHY = "Only on prefork has a body a process of its own; elsewhere the worker dies with it."
AWAY = "The job lost its worker again and again."

Dying = dict[tuple[str, str], Job]


@pytest.fixture(scope="module")
def dying(column: str, lasting_sites: Callable[[str], FateSite]) -> Dying:
    """A job for each way to die, all at work together, because Celery notices only in time."""
    tasks = ("ends_its_process", "ends_its_process_late")
    hows = ("kill", "segfault", "_exit")
    site = lasting_sites(column)
    return {(task, how): site.enqueue(task, how) for task in tasks for how in hows}


@fate(*PREFORK, why=WHY)
def test_child_killed(shared: FateSite, dying: Dying, lands: Lands) -> None:
    """By SIGKILL: so does the kernel when memory runs out."""
    early(shared, lands, dying, "kill")


@fate(*PREFORK, why=WHY)
def test_child_killed_late(shared: FateSite, dying: Dying, lands: Lands) -> None:
    late(shared, lands, dying, "kill")


@fate(*PREFORK, why=WHY)
def test_child_killed_keeping_what_was_done(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("keeps_and_dies")
    eventually(lambda: shared.read(job).items_succeeded == 1, "the first item")
    shared.strikes()
    shared.gates.open(job.id)
    lands(shared, job, JobStatus.PARTIAL, "worker_lost", LOST)


@fate(*PREFORK, why=WHY)
def test_segmentation_fault(shared: FateSite, dying: Dying, lands: Lands) -> None:
    early(shared, lands, dying, "segfault")


@fate(*PREFORK, why=WHY)
def test_segmentation_fault_late(shared: FateSite, dying: Dying, lands: Lands) -> None:
    late(shared, lands, dying, "segfault")


@fate(*PREFORK, why=WHY)
def test_child_exits(shared: FateSite, dying: Dying, lands: Lands) -> None:
    early(shared, lands, dying, "_exit")


@fate(*PREFORK, why=WHY)
def test_child_exits_late(shared: FateSite, dying: Dying, lands: Lands) -> None:
    late(shared, lands, dying, "_exit")


@fate(*PREFORK, why=WHY)
def test_child_lost_too_often(shared: FateSite, lands: Lands) -> None:
    job = shared.enqueue("dies_late", 99)
    job = lands(shared, job, JobStatus.FAILED, "rescues_exhausted", AWAY)
    assert (job.attempt, job.rescues) == (4, 3)
    assert shared.runs(job) == [1, 2, 3, 4]


@fate()
def test_raises_system_exit(own: FateSite, lands: Lands) -> None:
    """On prefork it ends the child; elsewhere the body's thread, or the worker."""
    own.boot()
    job = own.enqueue("ends_its_process", "exit")
    if own.has_children:
        lands(own, job, JobStatus.FAILED, "worker_lost", LOST)
    else:
        lands(own, job, JobStatus.FAILED, "exception", "3")


@fate()
def test_raises_system_exit_late(own: FateSite, lands: Lands) -> None:
    own.boot()
    job = own.enqueue("ends_its_process_late", "exit")
    if own.has_children:
        assert lands(own, job, JobStatus.COMPLETED).attempt == 2
    else:
        lands(own, job, JobStatus.FAILED, "exception", "3")


def early(site: FateSite, lands: Lands, dying: Dying, how: str) -> None:
    job = lands(site, dying["ends_its_process", how], JobStatus.FAILED, "worker_lost", LOST)
    assert job.attempt == 1


def late(site: FateSite, lands: Lands, dying: Dying, how: str) -> None:
    job = lands(site, dying["ends_its_process_late", how], JobStatus.COMPLETED)
    assert (job.result, job.rescues) == (2, 1)
