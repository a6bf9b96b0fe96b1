"""What a body that has completed its job may still do; and transactions that do not end."""

import logging
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from jobstate import (
    ConfigurationError,
    CurrentJob,
    InvalidStateTransitionError,
    InvalidValueError,
    JobCancelled,
    JobCompleted,
    TransactionOpen,
)
from tests.completing.bodies import FILE, Undone, raises, undo
from tests.completing.conftest import Begin, BodySite, order


def test_nothing_more_is_recorded_of_a_completed_job(site: BodySite, begin_session: Begin) -> None:
    learnt: list[str] = []

    def refuse_all(job: CurrentJob) -> None:
        learnt.append(raises(JobCompleted, job.skip, "late", "no"))
        learnt.append(raises(JobCompleted, job.record_items, ["late"]))
        learnt.append(raises(JobCompleted, job.item("late").__enter__))

    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            job.complete_in(session)
            refuse_all(job)
            raises(InvalidStateTransitionError, job.complete_in, session)
            raises(TransactionOpen, job.add_asset, "csv", **FILE)
            raises(TransactionOpen, job.save_asset, "csv", b"1")
        refuse_all(job)
        with begin_session() as session:
            raises(InvalidStateTransitionError, job.complete_in, session)
            raises(JobCompleted, job.add_asset, "csv", **FILE, connection=session)
        raises(JobCompleted, job.add_asset, "csv", **FILE)
        raises(JobCompleted, job.save_asset, "csv", b"1")

    job = site.completed(site.run(body))
    assert set(learnt) == {str(JobCompleted(job.id))}
    assert site.service.get_job_items(job.id, job.user_id) == []


def test_the_logs_go_on_after_the_commit(site: BodySite, begin_session: Begin) -> None:
    shop = logging.getLogger("shop")

    def body(job: CurrentJob) -> None:
        shop.warning("Before")
        with begin_session() as session:
            job.add_asset("csv", **FILE, connection=session)
            job.complete_in(session)
            shop.warning("Inside")
        shop.warning("After")

    job = site.completed(site.run(body, job_logs=True))
    lines = site.service.get_job_logs(job.id, job.user_id)
    assert [line.message for line in lines] == ["Before", "Inside", "After"]


@pytest.mark.parametrize("completes", [True, False], ids=["completed", "with a file"])
def test_a_transaction_that_the_body_leaves_open_is_an_error_and_is_rolled_back(
    site: BodySite, *, completes: bool
) -> None:
    engine = create_engine(str(site.conf["database_url"]))
    session = Session(engine)

    def body(job: CurrentJob) -> None:
        order(session)
        job.add_asset("csv", **FILE, connection=session)
        if completes:
            job.complete_in(session)

    job = site.failed(site.run(body), "exception", "Job ")
    assert "is still open" in str(job.error_message)
    session.commit()
    assert site.orders() == 0, "nothing that is committed later brings it back"
    assert site.service.get_job_assets(job.id, job.user_id) == []
    session.close()
    engine.dispose()


def test_what_the_body_raises_counts_for_more_than_the_open_transaction(site: BodySite) -> None:
    with psycopg.connect(site.plain_url) as connection:

        def body(job: CurrentJob) -> None:
            job.complete_in(connection)
            connection.execute("select broken")

        site.failed(site.run(body), "exception", 'column "broken" does not exist')


def test_a_later_transaction_of_the_same_connection_may_stay_open(site: BodySite) -> None:
    """A Session begins one as soon as it is asked anything."""
    engine = create_engine(str(site.conf["database_url"]))
    with Session(engine) as session:

        def body(job: CurrentJob) -> None:
            job.add_asset("csv", **FILE, connection=session)
            session.commit()
            job.complete_in(session, "done")
            session.commit()
            session.execute(text("select 1"))

        assert site.completed(site.run(body)).result == "done"
    engine.dispose()


def test_a_connection_that_is_lost_has_committed_nothing(site: BodySite) -> None:
    def body(job: CurrentJob) -> str:
        with psycopg.connect(site.plain_url) as connection:
            job.complete_in(connection)
            pid = connection.info.backend_pid
            with psycopg.connect(site.plain_url, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", [pid])
            with pytest.raises(psycopg.OperationalError):
                connection.commit()
        return "of the body"

    assert site.completed(site.run(body)).result == "of the body"


def test_a_retry_inside_of_the_transaction_is_refused(site: BodySite, begin_session: Begin) -> None:
    """It would wait for the very transaction that it is in."""
    learnt: list[str] = []

    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            job.add_asset("csv", **FILE, connection=session)
            learnt.append(raises(TransactionOpen, job._attempt.release))
            job.complete_in(session)
        raises(JobCompleted, job._attempt.release)

    job = site.completed(site.run(body))
    assert learnt == [str(TransactionOpen(job.id))]


def test_a_connection_without_a_transaction_is_refused(site: BodySite) -> None:
    def body(job: CurrentJob) -> None:
        with psycopg.connect(site.plain_url, autocommit=True) as connection:
            message = raises(ConfigurationError, job.complete_in, connection)
            assert "it is in no transaction" in message
        raises(ConfigurationError, job.complete_in, object())

    site.completed(site.run(body))


def link_in(connection: psycopg.Connection, job: CurrentJob) -> None:
    job.add_asset("csv", url="/a", storage_path="a", file_size=1, connection=connection)


@pytest.mark.parametrize(
    "write", [lambda connection, job: job.complete_in(connection), link_in], ids=["land", "link"]
)
def test_the_server_ends_a_transaction_whose_worker_falls_silent(
    site: BodySite, write: Callable[[psycopg.Connection, CurrentJob], None]
) -> None:
    """Otherwise a frozen process would keep its job locked for ever; a shorter limit stays."""
    limits: list[object] = []

    def body(job: CurrentJob) -> None:
        with psycopg.connect(site.plain_url) as connection:
            for own in ("0", "2s", "1h"):
                connection.execute(f"set local idle_in_transaction_session_timeout = '{own}'")
                write(connection, job)
                shown = connection.execute("show idle_in_transaction_session_timeout")
                limits.append(shown.fetchone())
                connection.rollback()

    site.completed(site.run(body))
    assert limits == [("30s",), ("2s",), ("30s",)]


def test_a_cancellation_that_comes_too_late_is_not_raised(
    site: BodySite, begin_session: Begin
) -> None:
    def heard(job: CurrentJob) -> None:
        site.service.cancel(job.id, job.user_id)
        with pytest.raises(JobCancelled):
            job.check()
        with begin_session() as session:
            job.complete_in(session)
        job.check()
        job.progress(50)

    site.completed(site.run(heard))


def test_a_value_that_cannot_be_stored_leaves_the_job_as_it_was(
    site: BodySite, begin_session: Begin
) -> None:
    def body(job: CurrentJob) -> None:
        with begin_session() as session:
            raises(InvalidValueError, job.complete_in, session, object())
            job.complete_in(session, "stored")

    assert site.completed(site.run(body)).result == "stored"


@pytest.mark.parametrize("how", ["saved", "linked", "undone", "nothing"])
def test_only_files_that_are_there_are_kept_at_a_soft_limit(
    site: BodySite, begin_session: Begin, how: str
) -> None:
    def body(job: CurrentJob) -> None:
        if how == "saved":
            job.save_asset("csv", b"1")
        with suppress(Undone), begin_session() as session:
            if how in ("linked", "undone"):
                job.add_asset("csv", **FILE, connection=session)
            if how == "undone":
                undo()
        raise SoftTimeLimitExceeded

    job = site.run(body, job_keep_partial=True)
    kept = how in ("saved", "linked")
    assert (job.status, job.error_code) == ("partial" if kept else "failed", "time_limit")
