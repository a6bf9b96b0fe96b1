"""Follow-ups that the database or a backlog holds up."""

from celery import chord

from tests.edges.site import EdgeSite
from tests.worker.process import eventually

REFUSING = """
create function refuse() returns trigger language plpgsql as $$
begin
    raise exception 'a passing trouble' using errcode = 'XX000';
end $$;
create trigger refuse before insert on jobstate.jobs for each row execute function refuse();
"""


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


def test_callbacks_of_a_job_that_keeps_what_was_done_are_called_at_once(edge: EdgeSite) -> None:
    """To Celery it failed: a message of its own brings them, for which no sweeper has to wait."""
    edge.start(jobstate_publish_grace=1_000)
    callback = edge.task("runs").si()
    called = callback.freeze().id
    job = edge.enqueue_with("keeps_what_it_has_done", link=callback)
    edge.completed(called)
    assert (edge.read(job).status, edge.runs(job)) == ("partial", [1])


def test_errbacks_of_a_completed_job_are_not_told(edge: EdgeSite) -> None:
    """Its callback can be published by nobody."""
    edge.start()
    callback, errback = edge.task("runs").si().set(serializer="bogus"), edge.task("runs").si()
    called, told = callback.freeze().id, errback.freeze().id
    job = edge.enqueue_with("runs", link=callback, link_error=errback)
    edge.failed(called, "never_delivered", f"Job {called} cannot be published")
    edge.quiet(job)
    assert edge.completed(job).attempt == 1
    assert edge.counts(told) == 0


def test_the_body_of_a_chord_waits_for_the_database_like_a_landing(edge: EdgeSite) -> None:
    """Celery would have the chord fail, and never ask for its body again."""
    edge.start()
    body, names = edge.task("runs").s(), ("runs", "waits")
    header = [edge.task(name).s().set(ignore_result=False) for name in names]
    result = chord([member.set(user_id=edge.user_id) for member in header])(body)
    first, last = (edge.read(member.id) for member in result.parent.results)
    edge.completed(first)
    edge.running(last)
    edge.sql(REFUSING)
    edge.let(last)
    edge.logged(f"Job {last.id} waits", "a passing trouble")
    edge.sql("drop trigger refuse on jobstate.jobs")
    assert edge.completed(result.id).parent_id == last.id
    assert edge.runs(result.id) == [1]
