"""`complete_in`: what a body writes and the landing of its job commit together, or not at all."""

from contextlib import suppress

import psycopg
import pytest

from jobstate import (
    CurrentJob,
    ItemStatus,
    JobFailed,
    LeaseLost,
    Partial,
)
from tests.completing.bodies import FILE, Undone, raises, seen, undo
from tests.completing.conftest import Begin, BodySite, order


def test_everything_is_there_with_the_commit_and_nothing_before(
    site: BodySite, begin: Begin
) -> None:
    """With a connection of each kind; files are linked before the landing and after it."""

    def body(job: CurrentJob) -> str:
        with begin() as connection:
            order(connection)
            with job.item("first"):
                job.add_asset("csv", **FILE, connection=connection)
            job.complete_in(connection, {"rows": 1})
            job.add_asset("pdf", **FILE, connection=connection)
            assert seen(site, job) == ("processing", 0, 0, 0)
        assert seen(site, job) == ("completed", 1, 2, 1)
        return "ignored"

    job = site.completed(site.run(body))
    assert job.result == {"rows": 1}
    assert (job.items_succeeded, job.attempt) == (1, 1)


def test_nothing_is_there_after_a_rollback_and_the_job_lands_by_its_body(
    site: BodySite, begin: Begin
) -> None:
    def body(job: CurrentJob) -> str:
        with suppress(Undone), begin() as connection:
            order(connection)
            with job.item("first"):
                job.add_asset("csv", **FILE, connection=connection)
            job.complete_in(connection, {"rows": 1})
            undo()
        assert seen(site, job) == ("processing", 0, 0, 0)
        return "of the body"

    job = site.completed(site.run(body))
    assert job.result == "of the body"
    assert job.items_succeeded == 1, "what the body has recorded stays recorded"
    assert site.service.get_job_assets(job.id, job.user_id) == []
    assert site.orders() == 0


def test_an_exception_that_rolls_back_fails_the_job(site: BodySite, begin: Begin) -> None:
    def body(job: CurrentJob) -> None:
        with begin() as connection:
            order(connection)
            job.complete_in(connection)
            raise ValueError("No")

    site.failed(site.run(body), "exception", "No")
    assert site.orders() == 0


def test_a_body_may_try_again_after_a_rollback(site: BodySite, begin_session: Begin) -> None:
    def body(job: CurrentJob) -> None:
        for number in (1, 2):
            try:
                with begin_session() as session:
                    order(session)
                    job.complete_in(session, number)
                    if number == 1:
                        undo()
            except Undone:
                job.progress(50, message="Once more")
                job.skip("first", "it was undone")

    job = site.completed(site.run(body))
    assert (job.result, job.progress_message, job.items_skipped) == (2, "Once more", 1)
    assert site.orders() == 1


def test_a_savepoint_that_is_rolled_back_takes_the_landing_with_it(
    site: BodySite, begin_session: Begin
) -> None:
    def body(job: CurrentJob) -> str:
        with begin_session() as session:
            savepoint = session.begin_nested()
            job.complete_in(session, "undone")
            savepoint.rollback()
            order(session)
        return "of the body"

    assert site.completed(site.run(body)).result == "of the body"
    assert site.orders() == 1


def test_what_a_body_raises_after_the_commit_changes_nothing(
    site: BodySite, begin_session: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            job.complete_in(session, "kept")
        raise ValueError("too late")

    job = site.completed(site.run(body))
    assert job.result == "kept"
    assert f"Job {job.id} was completed before its body raised" in caplog.text
    assert "too late" in caplog.text


def test_progress_is_a_no_op_afterwards_and_never_waits(
    site: BodySite, begin_session: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit on how long statements wait for a lock, one that waited would hang."""
    monkeypatch.setattr("jobstate.store.sync.PATIENCE", "0")

    def body(job: CurrentJob) -> None:
        job.progress(10, message="Reading")
        with begin_session() as session:
            job.complete_in(session)
            for done in job.track(range(1000)):
                job.progress(current=done)
            job.check()
        for _ in job.track(range(1000), message="Too late"):
            job.progress(20)
        job.check()

    job = site.completed(site.run(body))
    assert (job.progress, job.progress_message) == (100, "Reading")


def test_reports_do_not_wait_for_a_transaction_that_has_linked_a_file(
    site: BodySite, begin_session: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written once it has ended."""
    monkeypatch.setattr("jobstate.store.sync.PATIENCE", "0")

    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            job.add_asset("csv", **FILE, connection=session)
            job.progress(50, message="Half")
            job.record_items(range(2000))
            assert seen(site, job) == ("processing", 0, 0, 0)
        raise JobFailed("at half")

    job = site.failed(site.run(body), "exception", "at half")
    assert (job.progress, job.progress_message, job.items_succeeded) == (50, "Half", 2000)
    assert len(site.service.get_job_assets(job.id, job.user_id)) == 1


def test_items_of_the_transaction_are_as_many_as_there_are(
    site: BodySite, begin_session: Begin
) -> None:
    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            job.add_asset("csv", **FILE, connection=session)
            job.record_items(range(2500), failed=["bad"])
            job.complete_in(session, "most of it")

    job = site.landed(site.run(body))
    assert (job.status, job.result) == ("partial", "most of it")
    assert job.error_message == "1 of 2501 items failed."
    assert (job.items_succeeded, job.items_failed) == (2500, 1)
    failed = site.service.get_job_items(job.id, job.user_id, ItemStatus.FAILED)
    assert [item.key for item in failed] == ["bad"]


def test_it_lands_like_a_body_that_returns_the_result(site: BodySite, begin_session: Begin) -> None:
    def partial(job: CurrentJob) -> None:
        with begin_session() as session:
            job.complete_in(session, Partial([1], error_message="One of two"))

    def nothing_worked(job: CurrentJob) -> None:
        job.record_items(failed=["a", "b"])
        with begin_session() as session:
            order(session)
            job.complete_in(session)

    def no_json(job: CurrentJob) -> None:
        with begin_session() as session:
            order(session)
            job.complete_in(session, object())

    job = site.landed(site.run(partial))
    assert (job.status, job.result, job.error_message) == ("partial", [1], "One of two")
    site.failed(site.run(nothing_worked), "exception", "All 2 items failed.")
    site.failed(site.run(no_json), "exception", "The result")
    assert site.orders() == 0


def test_a_superseded_attempt_commits_nothing(site: BodySite, begin: Begin) -> None:
    """The error leaves the block, and rolls back what the body has written."""

    def body(job: CurrentJob) -> None:
        with begin() as connection:
            order(connection)
            with psycopg.connect(site.plain_url, autocommit=True) as other:
                other.execute("update jobstate.jobs set attempt = 2 where id = %s", [job.id])
            job.complete_in(connection)

    job = site.run(body)
    assert (job.status, job.attempt) == ("processing", 2)
    assert site.orders() == 0


def test_a_lost_job_is_told_to_every_write_of_the_transaction(
    site: BodySite, begin_session: Begin
) -> None:
    def body(job: CurrentJob) -> None:
        with psycopg.connect(site.plain_url, autocommit=True) as other:
            other.execute("update jobstate.jobs set attempt = 2 where id = %s", [job.id])
        with begin_session() as session:
            raises(LeaseLost, job.add_asset, "csv", **FILE, connection=session)
            raises(LeaseLost, job.complete_in, session)

    assert site.run(body).attempt == 2
