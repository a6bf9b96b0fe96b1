"""A site with the tasks of this folder, and what its tests share."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg

from jobstate import Job, JobTask
from tests.faults.site import TASKS, FaultySite
from tests.worker.process import ROOT

MODULE = "tests.edges.tasks"


class EdgeSite(FaultySite):
    """A site with the tasks of this folder."""

    def __init__(self, *args: Any, **conf: Any) -> None:
        super().__init__(*args, **{"imports": (*TASKS, MODULE), **conf})

    def task(self, name: str) -> JobTask:
        """Return a task of this folder."""
        found: JobTask = self.app.tasks[f"{MODULE}.{name}"]
        return found

    def counts(self, job_id: UUID | str) -> int:
        """Count the jobs of this id."""
        return len(self.sql("select id from jobstate.jobs where id = %s", str(job_id)))


@contextmanager
def locked(site: EdgeSite, job: Job) -> Iterator[None]:
    """Hold the row of a job, as somebody's long transaction does."""
    url = site.conf["database_url"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("select from jobstate.jobs where id = %s for update", [job.id])
        yield


def run_elsewhere(site: EdgeSite, name: str) -> Job:
    """Run a task eagerly in a process that it kills; return the job."""
    code = f"from tests.worker.main import app; app.tasks['{MODULE}.{name}'].apply()"
    environment = {**os.environ, "TEST_WORKER": json.dumps(site.conf)}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False)
    ((job_id,),) = site.sql("select id from jobstate.jobs")
    return site.read(job_id)
