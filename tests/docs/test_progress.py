"""The examples of docs/how-to/progress.md, logs.md and existing-jobs.md do what the pages say."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

import jobstate
from jobstate import Job, JobService
from jobstate.celery.trial import empty_broker, taking_jobs, work
from tests.examples import Example


@pytest.fixture
def shop(jobs_url: str) -> Iterator[dict[str, Any]]:
    """What the examples find in their module."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = jobs_url
    jobs = jobstate.install(app)
    # Celery shares tasks between apps: each test has one of another name.
    name = f"shop_{uuid4().hex}"
    yield {"__name__": name, "app": app, "jobs": jobs, "jobstate": jobstate}
    jobs.service.close()
    app.close()
    empty_broker()


def export_of(examples: list[Example], shop: dict[str, Any]) -> Job:
    """Run the task of the example; return its job as it landed."""
    (example,) = examples
    example.run(shop)
    return landed(shop, shop["export"].enqueue(2026, user_id=uuid4()))


def landed(shop: dict[str, Any], job: Job) -> Job:
    """Do the app's work; return a job as it landed."""
    with taking_jobs(shop["app"]):
        while work(shop["app"], []):
            pass
    service: JobService = shop["jobs"].service
    return service.get_job(job.id, job.user_id)


@pytest.mark.examples("docs/how-to/progress.md", "self.job.track")
def test_the_loop_of_the_page_reports_what_it_has_written(
    examples: list[Example], shop: dict[str, Any]
) -> None:
    written: list[int] = []
    job = export_of(examples, shop | {"orders": lambda _: [1, 2, 3], "write": written.append})
    assert written == [1, 2, 3]
    assert (job.status, job.progress, job.progress_message) == ("completed", 100, "Writing orders")


@pytest.mark.examples("docs/how-to/progress.md", "self.job.tqdm")
def test_the_bars_of_the_page_report(examples: list[Example], shop: dict[str, Any]) -> None:
    (bars,) = examples
    read: list[int] = []

    def snapshot_download(repo: str, tqdm_class: Callable[..., Iterable[str]]) -> None:
        assert list(tqdm_class([repo], desc="Fetching")) == ["shop"]

    names = {"pages": [1, 2], "read": read.append, "repo": "shop"}

    @shop["app"].task(base=jobstate.JobTask, bind=True, name=f"{shop['__name__']}.reads")
    def reads(self: jobstate.JobTask) -> None:
        bars.run({**names, "self": self, "snapshot_download": snapshot_download})

    job = landed(shop, reads.enqueue(user_id=uuid4()))
    assert read == [1, 2]
    assert (job.status, job.progress, job.progress_message) == ("completed", 100, "Fetching")


@pytest.mark.examples("docs/how-to/logs.md")
def test_a_log_is_kept_with_its_job(
    examples: list[Example], shop: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        job = export_of(examples, shop | {"logger": logging.getLogger("shop")})
    logs = shop["jobs"].service.get_job_logs(job.id, job.user_id)
    assert "Exporting 2026" in [log.message for log in logs]


@pytest.mark.examples("docs/how-to/existing-jobs.md", "@app.task")
def test_a_task_that_kept_a_table_of_its_own_needs_no_table(
    examples: list[Example], shop: dict[str, Any]
) -> None:
    names = shop | {"rows_of": lambda year: [year], "write": lambda _: None}
    job = export_of(examples, names)
    assert (job.job_type, job.status, job.result) == ("export", "completed", {"rows": 1})
