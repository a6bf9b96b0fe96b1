"""A job of which there is everything, and text that a page or a stream might stumble over."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from celery import Celery

import jobstate
from jobstate import Job, JobService

NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> \"'& {{ 7*7 }}"
    "\r\n\r\nevent: job\ndata: {}\n\nid: 7\r: \u2028\u2029\x85 \N{GRINNING FACE} \x1b[31m \ufeff"
)

HIDDEN = "a host that nobody may know of"


@contextmanager
def celery_app(service: JobService) -> Iterator[Celery]:
    """Make an app whose jobs are those of a service."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.jobstate_database_url = service.settings.database_url
    app.conf.jobstate_storage_url = service.settings.storage_url
    yield app
    jobstate.install(app).service.close()
    app.close()


def rich_job(service: JobService, user_id: UUID, text: str = "plain") -> Job:
    """Run a job that says `text` wherever it can, and fails."""
    with celery_app(service) as app:

        @app.task(base=jobstate.JobTask, bind=True, name=f"rich-{uuid4()}", job_logs=True)
        def rich(self: jobstate.JobTask) -> Any:
            self.job.progress(40, message=text)
            logging.getLogger("rich").warning("%s", text)
            with self.job.item(text[:400], label=text):
                raise ValueError(text)
            self.job.skip("skipped", text)
            self.job.add_asset(
                text, url="/files/a", storage_path=text, file_size=5, content_type=text
            )
            raise jobstate.JobFailed(text, code="out_of_credit") from OSError(HIDDEN)

        jobs = jobstate.install(app)
        job = rich.enqueue_with(user_id=user_id)
        rich.apply(task_id=str(job.id))
        return jobs.service.get_job_internal(job.id)
