"""`show`."""

import json
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from click.testing import Result

from jobstate import Job, JobService, attempts, reporting, sweeping
from jobstate.attempts import Hold, Landing, Policy
from jobstate.cli.show import MOST_ITEMS
from jobstate.items import Outcome
from jobstate.logs import Line
from jobstate.states import ItemStatus, JobStatus
from tests.factories import processing_job

Run = Callable[..., Result]

POLICY = Policy(idempotent=False, max_rescues=0, keep_partial=False, no_progress=None)


@pytest.fixture
def partial_job(service: JobService, user_id: UUID) -> Job:
    """A job of a worker that landed partial, with items, an asset and an error's detail."""
    job = service.create_job(user_id, "report", {"year": 2026})
    worker_id = uuid4()
    service.store.run(sweeping.register_worker(worker_id, "here", 1, [], 60))
    service.store.run(attempts.take(job.id, 0, worker_id, 1, POLICY))
    hold = Hold(job.id, 1, worker_id)
    failed = {
        f"row {n:02}": Outcome(ItemStatus.FAILED, "Ada", "No country.") for n in range(MOST_ITEMS)
    }
    outcomes = {"row ok": Outcome(ItemStatus.SUCCEEDED), "the last": Outcome(ItemStatus.FAILED)}
    service.store.run(reporting.record_items(hold, failed | outcomes))
    service.create_asset(job.id, user_id, "csv", "file:///report.csv", "report.csv", 123_456)
    detail = json.dumps({"host": "here", "pid": 7, "traceback": "Traceback:\n  at home\x1b[2J"})
    landing = Landing(
        JobStatus.PARTIAL, result='{"rows": 1}', error_message="Some.", error_detail=detail
    )
    service.store.run(attempts.land(hold, landing, None, followups=False))
    return service.get_job_internal(job.id)


def test_show_tells_everything_about_a_job(run: Run, partial_job: Job) -> None:
    result = run("show", str(partial_job.id))
    assert result.exit_code == 0
    facts, history, items, assets, traceback = result.stdout.split("\n\n")
    assert facts.startswith(f"Job {partial_job.id}\n")
    for fact in (
        f"owner       {partial_job.user_id}",
        "type        report",
        "status      partial",
        "error       Some.",
        f"items       1 succeeded, {MOST_ITEMS + 1} failed, 0 skipped",
        'parameters  {"year": 2026}',
        'result      {"rows": 1}',
    ):
        assert f"  {fact}\n" in facts + "\n"
    assert [line.split()[1] for line in history.splitlines()[1:]] == [
        "queued",
        "processing",
        "partial",
    ]
    assert "  row 00  Ada  No country." in items
    assert items.splitlines()[-1] == "  and 1 more: see --json"
    assert assets == "Assets\n  csv  123.5 kB  file:///report.csv"
    assert traceback == "Traceback (host here, process 7)\n  Traceback:\n    at home\\x1b[2J\n"


def test_show_prints_the_same_as_json(run: Run, partial_job: Job, service: JobService) -> None:
    told = json.loads(run("show", str(partial_job.id), "--json").stdout)
    assert told["job"] == partial_job.to_dict(internal=True)
    assert [event["to_status"] for event in told["history"]] == ["queued", "processing", "partial"]
    assert told["items"] == {"succeeded": 1, "failed": MOST_ITEMS + 1, "skipped": 0}
    assert len(told["failed_items"]) == MOST_ITEMS + 1
    (asset,) = service.get_job_assets(partial_job.id, partial_job.user_id)
    assert told["assets"] == [asset.to_dict()]


def test_show_leaves_out_what_a_new_job_does_not_have(
    run: Run, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    facts, history = run("show", str(job.id)).stdout.split("\n\n")
    assert [line.split()[0] for line in facts.splitlines()] == [
        "Job",
        "owner",
        "type",
        "status",
        "progress",
        "attempt",
        "created",
    ]
    assert len(history.splitlines()) == 2


@pytest.mark.parametrize(("lease", "said"), [(60, "process 7"), (0, "process 7, silent")])
def test_show_says_who_holds_a_job(
    lease: float, said: str, run: Run, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    worker_id = uuid4()
    service.store.run(sweeping.register_worker(worker_id, "here", 1, [], 60))
    service.store.run(attempts.take(job.id, 0, worker_id, 7, POLICY))
    service.store.run(sweeping.renew_lease(worker_id, lease))
    assert f"  held by     here, {said}\n" in run("show", str(job.id)).stdout


def test_show_prints_what_was_logged_when_asked(
    run: Run, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store)
    lines = [Line(time.monotonic(), "ERROR", "shop", "It failed\n  at home\x1b[2J")]
    service.store.run(reporting.write_logs(hold, lines))
    logs = run("show", str(hold.job_id), "--logs").stdout.split("\n\n")[-1]
    assert logs.splitlines()[0] == "Logs"
    assert logs.splitlines()[1].endswith("Z  attempt 1  ERROR  shop  It failed")
    assert logs.splitlines()[2] == "      at home\\x1b[2J"
    (told,) = json.loads(run("show", str(hold.job_id), "--logs", "--json").stdout)["logs"]
    assert (told["level"], told["message"]) == ("ERROR", lines[0].message)
    assert "Logs" not in run("show", str(hold.job_id)).stdout
    job = service.create_job(user_id, "report")
    assert "None were kept" in run("show", str(job.id), "--logs").stdout


@pytest.mark.parametrize(
    "job_id", ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "7", "", "a\x00b", "a\x1b[2J\nb", "\udcff"]
)
def test_show_says_in_one_line_that_there_is_no_such_job(job_id: str, run: Run) -> None:
    result = run("show", job_id)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: Job ")
    assert " does not exist: " in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "\x1b" not in result.stderr
