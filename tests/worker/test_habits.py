"""Bodies that were written for Celery and tqdm alone report on their job as they are."""

import pytest
from celery.result import AsyncResult

from jobstate import Job
from tests.worker.pools import on_pools
from tests.worker.process import eventually
from tests.worker.site import Site

pytestmark = on_pools("prefork")


Shown = tuple[int, float | None, float | None, str | None]


def reported(site: Site, meta: object, shown: Shown) -> Job:
    """Have a body update its state, wait until its job shows that, and return it as it landed."""
    job = site.enqueue("updates_its_state", meta)
    site.gates.reached(job.id)
    eventually(lambda: shown_of(site.read(job)) == shown, "what was reported")
    stored = AsyncResult(str(job.id), app=site.app)
    eventually(lambda: stored.state == "PROGRESS", "Celery's own state")
    assert stored.info == meta
    site.gates.open(job.id)
    return site.completed(job)


def shown_of(job: Job) -> Shown:
    return job.progress, job.progress_current, job.progress_total, job.progress_message


@pytest.mark.parametrize(
    ("meta", "shown"),
    [
        ({"current": 5, "total": 20}, (25, 5, 20, None)),
        ({"percent": 40, "description": "Reading"}, (40, None, None, "Reading")),
        ({"current": 1, "total": 4, "progress": 30, "message": "M"}, (30, 1, 4, "M")),
        ({"current": "5 of 20", "total": -1, "percent": 130, "message": 7}, (0, None, None, None)),
        ({"rows": 7}, (0, None, None, None)),
        ("five", (0, None, None, None)),
    ],
)
def test_a_state_with_progress_is_reported_and_stored(
    site: Site, meta: object, shown: Shown
) -> None:
    assert shown_of(reported(site, meta, shown)) == (100, *shown[1:])


def test_a_bar_reports_and_of_nested_ones_the_outer_counts(site: Site) -> None:
    job = site.completed(site.enqueue("shows_bars", 1000))
    assert (job.progress_current, job.progress_total) == (1000, 1000)
    assert job.result == 1000
    assert job.progress_message in ("Reading", "Page")


def test_a_cancellation_is_raised_in_the_loop_of_a_bar(site: Site) -> None:
    job = site.enqueue("shows_a_bar_until_it_hears")
    site.gates.reached(job.id)
    site.service.cancel(job.id, site.user_id)
    assert site.gates.read(f"learnt:{job.id}") == "JobCancelled"
    site.failed(job, "cancelled", "")
    assert site.completed(site.enqueue("shows_bars", 10)).result == 10, "no lock of tqdm is held"
