"""What a body sees of its job, and what others see of the body while it runs."""

import pytest

from jobstate import JobStatus, current_job
from tests.worker.process import eventually
from tests.worker.site import Site


def test_progress_items_and_assets_are_seen_while_the_body_runs(site: Site) -> None:
    """By another process, on another connection. The last report is in the landed row."""
    job = site.enqueue("reports")
    site.gates.reached(job.id)
    eventually(lambda: site.read(job).progress == 25, "the first report")
    first = site.read(job)
    assert first.status is JobStatus.PROCESSING
    assert (first.progress, first.progress_current, first.progress_total) == (25, 10, 40)
    assert first.progress_message == "a quarter"
    (asset,) = site.service.get_job_assets(job.id, site.user_id)
    assert (asset.asset_type, asset.url, asset.file_size) == ("csv", "/1.csv", 7)
    assert (asset.user_id, asset.attempt) == (site.user_id, 1)
    site.gates.open(job.id)
    site.gates.reached(job.id)
    eventually(lambda: site.read(job).progress == 50, "the second report")
    eventually(lambda: site.read(job).items_succeeded == 1, "the item")
    (item,) = site.service.get_job_items(job.id, site.user_id)
    assert (item.key, item.label, item.status) == ("first", "The first", "succeeded")
    site.gates.open(job.id)
    landed = site.failed(job, "exception", "Ends at three quarters.")
    assert (landed.progress, landed.progress_current, landed.progress_total) == (75, 30, 40)
    assert landed.progress_message == "half way"


def test_the_last_report_is_written_while_the_body_blocks(site: Site) -> None:
    job = site.enqueue("reports_and_blocks")
    site.gates.reached(job.id)
    eventually(lambda: site.read(job).progress_current == 100, "the last report")
    blocked = site.read(job)
    assert (blocked.progress, blocked.progress_message) == (50, "Step 100")
    assert blocked.eta_seconds is not None
    site.gates.open(job.id)
    assert site.completed(job).progress_current == 200


def test_a_body_that_only_reports_learns_that_it_was_cancelled(site: Site) -> None:
    """Whichever thread wrote what it reported, and without a query more."""
    job = site.enqueue("reports_until_it_hears")
    site.gates.reached(job.id)
    site.service.cancel(job.id, site.user_id)
    assert site.gates.read(f"learnt:{job.id}") == "JobCancelled"
    site.failed(job, "cancelled", "")


def test_a_body_that_only_reports_learns_that_its_job_was_taken_away(site: Site) -> None:
    job = site.enqueue("reports_until_it_hears")
    site.gates.reached(job.id)
    site.service.mark_failed(job.id, "given up")
    assert site.gates.read(f"learnt:{job.id}") == "LeaseLost"
    assert site.landed(job).error_message == "given up"


def test_a_process_that_a_body_forks_can_report_too(site: Site) -> None:
    job = site.completed(site.enqueue("forks"))
    assert (job.result, job.progress_message) == (0, "from the child")


def test_tracking_counts_the_items_of_a_loop(site: Site) -> None:
    job = site.completed(site.enqueue("tracks", 1000))
    assert job.result == 1000
    assert (job.progress, job.progress_current, job.progress_total) == (100, 1000, 1000)
    assert job.progress_message == "counting"


def test_a_new_attempt_begins_with_nothing_done(site: Site) -> None:
    job = site.completed(site.enqueue("loses_its_first_attempt"))
    assert job.attempt == 2
    assert (job.items_succeeded, job.items_failed) == (1, 0)
    (item,) = site.service.get_job_items(job.id, site.user_id)
    assert (item.key, item.attempt) == ("second", 2)
    (asset,) = site.service.get_job_assets(job.id, site.user_id)
    assert (asset.storage_path, asset.attempt) == ("2.csv", 2)


def test_the_current_job_is_found_anywhere_below_the_body(site: Site) -> None:
    """Not in a thread that was started without the body's context."""
    job = site.completed(site.enqueue("finds_its_job"))
    places = dict.fromkeys(["nested", "async", "to_thread", "copied"], str(job.id))
    assert job.result == {**places, "plain": None}


def test_there_is_no_current_job_outside_of_a_body(site: Site) -> None:
    assert current_job() is None
    site.completed(site.enqueue("returns"))
    site.task("is_plain").apply_async(("after a job",))
    assert site.gates.read("plain:after a job") is True
    with pytest.raises(RuntimeError, match="has no job here"):
        _ = site.task("returns").job


def test_a_body_whose_job_was_taken_away_learns_of_it_and_writes_no_more(site: Site) -> None:
    job = site.enqueue("works_on")
    site.gates.reached(job.id)
    site.service.mark_failed(job.id, "given up")
    site.gates.open(job.id)
    assert site.gates.read(f"learnt:{job.id}") == "LeaseLost"
    site.logged(f"works_on[{job.id}] ignored")
    assert site.landed(job).error_message == "given up"
    assert site.service.get_job_assets(job.id, site.user_id) == []
    assert site.service.get_job_items(job.id, site.user_id) == []
