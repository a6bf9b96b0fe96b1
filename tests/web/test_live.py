"""Whoever watches jobs hears of every landing."""

from collections.abc import Callable
from uuid import UUID

import httpx

from jobstate import Job, JobService, JobStatus
from tests.web.events import opened

JobIn = Callable[[JobStatus | str], Job]


def test_a_stream_of_a_job_tells_what_becomes_of_it_and_ends_with_its_landing(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    job = job_in("processing")
    path = f"/api/jobs/{job.id}"
    with opened(client, f"{path}/events") as events:
        read = iter(events)
        first = next(read)
        assert (first.name, first.data["status"]) == ("job", "processing")
        assert first.data == client.get(path).json()
        service.update_progress(job.id, 30, message="Writing")
        told = next(read).data
        assert (told["progress"], told["progress_message"]) == (30, "Writing")
        service.mark_completed(job.id, {"rows": 7})
        last = next(read)
        assert (last.data["status"], last.data["result"]) == ("completed", {"rows": 7})
        assert list(read) == []
    again = client.get(f"{path}/events", headers={"Last-Event-ID": last.position})
    assert again.status_code == 204


def test_a_stream_of_an_owner_tells_of_all_their_jobs(
    client: httpx.Client, job_in: JobIn, service: JobService, user_id: UUID
) -> None:
    old = job_in("processing")
    with opened(client, "/api/jobs/events") as events:
        read = iter(events)
        assert next(read).data["id"] == str(old.id)
        service.mark_failed(old.id, "No")
        assert next(read).data["status"] == "failed"
        new = service.create_job(user_id, "report")
        assert next(read).data["id"] == str(new.id)
