"""Follow-ups that the database or a backlog holds up."""

import psycopg

from tests.edges.site import EdgeSite
from tests.worker.process import eventually


def test_an_errback_is_told_however_long_the_backlog_is(edge: EdgeSite) -> None:
    edge.start()
    errback = edge.task("runs").si()
    told = errback.freeze().id
    job = edge.enqueue_with("runs", queue="slow", link_error=errback)
    edge.service.cancel(job.id, edge.user_id)
    edge.failed(job, "cancelled", "The job was cancelled.")
    edge.sql("update jobstate.jobs set publishes = 50, next_check_at = now()")
    eventually(lambda: edge.read(job).publishes == 51, "another publication")
    edge.start("prefork", "-Q", "slow,celery")
    edge.completed(told)
    assert edge.runs(told) == [1]


def test_errbacks_of_a_completed_job_are_not_told(edge: EdgeSite) -> None:
    """The callback cannot be enqueued between the landing and the dispatch."""
    edge.start()
    callback, errback = edge.task("runs").si(), edge.task("runs").si()
    called, told = callback.freeze().id, errback.freeze().id
    job = edge.enqueue_with("waits", link=callback, link_error=errback)
    edge.running(job)
    with psycopg.connect(edge.conf["database_url"].replace("+psycopg", "")) as connection:
        # The callback's own insert waits for this one, longer than the library does.
        connection.execute(
            "insert into jobstate.jobs (id, user_id, job_type) values (%s, %s, 'x')",
            [called, edge.user_id],
        )
        edge.let(job)
        edge.logged("raised unexpected", "StoreUnavailable")
        connection.rollback()
    edge.completed(called)
    edge.quiet(job)
    assert edge.runs(called) == [1]
    assert edge.counts(told) == 0
