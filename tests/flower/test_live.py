"""What Flower shows of jobs while it watches their worker."""

from tests.flower.server import FlowerProcess
from tests.worker.site import Site


def test_progress_owner_and_landing_are_shown_live(site: Site, flower: FlowerProcess) -> None:
    job = site.enqueue("reports_and_blocks")
    site.gates.reached(job.id)
    task = flower.shows(job.id, lambda task: task["progress"] == 50)
    assert task["state"] == "STARTED"
    assert task["owner"] == str(site.user_id)
    assert task["job_type"] == "tests.worker.reporting.reports_and_blocks"
    assert (task["attempt"], task["job_status"]) == (1, "processing")
    assert task["progress_message"] == "Step 100"
    site.gates.open(job.id)
    task = flower.shows(job.id, lambda task: task["job_status"] == "completed")
    assert task["progress"] == 100
    flower.shows(job.id, lambda task: task["state"] == "SUCCESS")


def test_a_failure_is_shown_with_its_code(site: Site, flower: FlowerProcess) -> None:
    job = site.enqueue("fails", "No money is left.", "out_of_money")
    task = flower.shows(job.id, lambda task: task["error_code"])
    assert (task["job_status"], task["error_code"]) == ("failed", "out_of_money")
    task = flower.shows(job.id, lambda task: task["state"] == "FAILURE")
    assert "No money is left." in task["exception"]


def test_the_list_of_tasks_has_the_columns_of_jobs(site: Site, flower: FlowerProcess) -> None:
    job = site.enqueue("returns_partial", {"rows": 3}, "1 of 4 sheets is missing.")
    flower.shows(job.id, lambda task: task["state"] == "SUCCESS" and task["job_status"])
    listed = flower.get("/api/tasks")[str(job.id)]
    assert (listed["owner"], listed["job_status"]) == (str(site.user_id), "partial")


def test_a_plain_task_is_shown_as_ever(site: Site, flower: FlowerProcess) -> None:
    answer = site.app.send_task("tests.worker.workings.adds_plainly", (1, 2))
    task = flower.shows(answer.id, lambda task: task["state"] == "SUCCESS")
    assert (task["result"], task["owner"]) == ("3", None)
