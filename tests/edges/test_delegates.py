"""Plain tasks that a job was delegated to, and that Celery throws away: the job hears of it."""

import pytest

from tests.edges.site import EdgeSite


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("leaves_it_to_one_that_nobody_knows", "unknown_task"),
        ("leaves_it_to_one_that_expires", "expired"),
    ],
)
def test_a_job_fails_with_a_plain_task_that_was_thrown_away(
    edge: EdgeSite, name: str, code: str
) -> None:
    """And the plain tasks before it are not run again."""
    edge.start()
    job = edge.enqueue(name)
    edge.failed(job, code, "")
    assert edge.runs(job) == [1]
    assert edge.gates.notes(f"called:{job.id}") == [1]
