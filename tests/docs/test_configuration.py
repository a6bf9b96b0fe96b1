"""The settings that the pages show are taken, and do what the pages say."""

from typing import Any

import pytest
from celery import Celery
from sqlalchemy import create_engine, text

from jobstate import JobService, Settings
from jobstate.celery.setup import setup_of
from jobstate.doctor import configured
from tests.examples import Example

DATABASE = {"jobstate_database_url": "postgresql+psycopg://localhost/shop"}


@pytest.fixture
def conf(examples: list[Example]) -> dict[str, Any]:
    """What the example sets."""
    (example,) = examples
    names: dict[str, Any] = {}
    example.run(names)
    del names["__builtins__"]
    return names


@pytest.mark.examples("docs/how-to/rabbitmq.md")
def test_what_the_page_about_rabbitmq_sets_leaves_the_doctor_nothing_to_find(
    conf: dict[str, Any],
) -> None:
    app = Celery("shop", set_as_current=False)
    app.conf.update(conf)
    setup = setup_of(app, Settings.load(DATABASE))
    found = [*configured.connections([("shop", setup)]), *configured.celery([("shop", setup)], [])]
    assert found == []
    assert setup.transport.endswith("amqp")
    # The consumer timeout of the server is what the page warns of, next.
    assert setup.consumer_timeout == 1800
    app.close()


@pytest.mark.examples("docs/how-to/pgbouncer.md")
def test_what_the_page_about_pgbouncer_sets_prepares_no_statement(
    conf: dict[str, Any],
) -> None:
    """That a worker runs with it behind a PgBouncer is shown in tests/faults/test_pgbouncer.py."""
    assert Settings.load({**DATABASE, **conf}).prepare_threshold is None


@pytest.mark.examples("docs/operations/retention.md")
def test_what_the_page_about_retention_sets_is_taken(conf: dict[str, Any]) -> None:
    retention = Settings.load({**DATABASE, **conf}).retention
    assert retention is not None
    days = {status: seconds / 86_400 for status, seconds in retention.items()}
    assert days == {"completed": 30, "partial": 90, "failed": 90}


@pytest.mark.examples("docs/operations/stuck.md")
def test_the_statement_of_the_page_about_stuck_jobs_counts_the_live_ones(
    examples: list[Example], service: JobService, user_id: object, jobs_url: str
) -> None:
    (example,) = examples
    live = service.create_job(user_id, "export")
    landed = service.create_job(user_id, "export")
    service.cancel(landed.id, user_id)
    engine = create_engine(jobs_url)
    with engine.connect() as connection:
        rows = connection.execute(text(example.take())).all()
    engine.dispose()
    assert [tuple(row) for row in rows] == [("queued", 1, live.created_at)]
