"""A process that dies around the commit: all is there, or nothing; what follows goes out once."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from celery import chord, group

from jobstate import Job, JobTask, TransactionOpen
from tests.faults.site import FaultySite
from tests.worker.database import new_database
from tests.worker.process import eventually

MODULE = "tests.completing.tasks"


class CrashSite(FaultySite):
    """A site with a table of the application's own."""

    def task(self, name: str) -> JobTask:
        """Return a task of these tests."""
        found: JobTask = self.app.tasks[f"{MODULE}.{name}"]
        return found

    def run(self, name: str, moment: str) -> Job:
        """Run a task that another one follows."""
        self.sql("delete from orders")
        then = self.task("hears").s()
        return self.enqueue_with(name, moment, link=then)

    def orders(self) -> int:
        """Count what bodies have committed."""
        return int(self.sql("select count(*) from orders")[0][0])

    def heard(self, job: Job) -> list[object]:
        """Wait until nothing is left to do; return what followed the job."""
        self.quiet(job)
        # Whatever follows a job has a row of its own before it runs.
        for (found,) in self.sql("select id from jobstate.jobs where parent_id = %s", job.id):
            self.completed(found)
        return self.gates.notes(f"heard:{job.id}")


@pytest.fixture
def crashing(
    postgres_url: str, _template: str, redis_url: str, tmp_path: Path
) -> Iterator[CrashSite]:
    """A site with one worker, whose processes may die."""
    broker_url = f"{redis_url.rpartition('/')[0]}/14"
    with (
        new_database(postgres_url, _template) as database_url,
        psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection,
        CrashSite(tmp_path, database_url, broker_url, imports=(MODULE,)) as site,
    ):
        connection.execute("create table orders (number integer)")
        site.redis.flushdb()
        site.start()
        yield site


def test_a_child_that_dies_before_the_commit_leaves_nothing(crashing: CrashSite) -> None:
    for moment in ("before the landing", "before the commit"):
        job = crashing.run("dies_once", moment)
        crashing.failed(job, "worker_lost", "")
        assert crashing.orders() == 0
        job = crashing.run("dies_late", moment)
        assert crashing.completed(job).result == 2
        assert crashing.runs(job) == [1, 2]
        assert crashing.orders() == 1
        assert crashing.heard(job) == [2]


def test_a_child_that_dies_after_the_commit_has_completed_its_job(crashing: CrashSite) -> None:
    """Its body never runs again, and what follows it is dispatched all the same, once."""
    for name in ("dies_once", "dies_late"):
        job = crashing.run(name, "after the commit")
        assert crashing.completed(job).result == 1
        assert crashing.heard(job) == [1]
        assert crashing.runs(job) == [1]
        assert crashing.orders() == 1


def test_a_retry_inside_of_a_transaction_fails_at_once_and_undoes_it(crashing: CrashSite) -> None:
    job = crashing.enqueue("retries_inside")
    failed = crashing.failed(job, "exception", "Job ")
    assert failed.error_message == str(TransactionOpen(job.id))
    assert (failed.attempt, crashing.orders()) == (1, 0)


def test_what_was_dispatched_while_the_body_went_on_is_not_dispatched_at_its_end(
    crashing: CrashSite,
) -> None:
    """The sweeper does not wait for a body that goes on for long after its commit."""
    then = crashing.app.tasks[f"{MODULE}.hears_plainly"].s()
    job = crashing.enqueue_with("dies_once", "at the gate", link=then)
    assert crashing.completed(job).result == 1
    eventually(lambda: crashing.gates.notes(f"heard:{job.id}") == [1], "the dispatch")
    eventually(lambda: not crashing.read(job).followups_pending, "the note of it")
    crashing.gates.open(job.id)
    assert crashing.worker is not None
    assert crashing.worker.shut_down() == 0, crashing.worker.log
    assert crashing.gates.notes(f"heard:{job.id}") == [1]


def test_a_worker_that_dies_after_the_commit_leaves_what_follows_to_the_next(
    crashing: CrashSite,
) -> None:
    job = crashing.run("dies_once", "with its worker")
    assert crashing.completed(job).result == 1
    crashing.supervised(lambda: not crashing.read(job).followups_pending, "the dispatch")
    assert crashing.heard(job) == [1]
    assert crashing.runs(job) == [1]


def test_a_chain_and_a_chord_go_on_with_what_was_completed(crashing: CrashSite) -> None:
    task, hears = crashing.task("dies_once"), crashing.task("hears")
    owned = {"user_id": crashing.user_id}
    head = task.s("never").set(**owned)
    step = hears.s().set(**owned)
    last = (head | step).apply_async()
    crashing.completed(last.id)
    assert crashing.gates.notes(f"heard:{last.parent.id}") == [1]
    members = group(task.s(moment).set(**owned) for moment in ("never", "after the commit"))
    body = chord(members, hears.s().set(**owned)).apply_async()
    crashing.completed(body.id)
    (heard,) = crashing.sql("select parent_id from jobstate.jobs where id = %s", body.id)
    assert crashing.gates.notes(f"heard:{heard[0]}") == [[1, 1]]
