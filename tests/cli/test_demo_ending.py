"""Whenever and however the demo is asked to end, nothing that it started goes on."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.programs import Program, ended, eventually, quick_demo

pytestmark = pytest.mark.timeout(180)

Start = Callable[..., Program]

# One job, which is still running when the demo is asked to end.
DEMO = quick_demo("plan.PEOPLE = 200_000; plan.PLAN = plan.PLAN[2:3]")


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo's servers put their data."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    directory.chmod(0o755)
    return directory


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("Starting Postgres", signal.SIGINT),
        ("Starting a Celery worker", signal.SIGTERM),
        ("Making input", signal.SIGINT),
        ("queued", signal.SIGINT),
        ("processing", signal.SIGINT),
        ("processing", signal.SIGTERM),
        ("processing", signal.SIGHUP),
    ],
)
def test_a_request_to_end_is_heeded_at_any_moment(
    moment: str, number: signal.Signals, start: Start, temporary: Path
) -> None:
    demo = start(*DEMO, TMPDIR=str(temporary))
    demo.read_until(moment)
    offspring = demo.offspring()
    assert demo.end(number) == 130
    assert demo.complaints == ""
    eventually(lambda: all(map(ended, offspring)))
    assert not list(temporary.iterdir())


def test_further_requests_do_not_break_the_end_off(start: Start, temporary: Path) -> None:
    demo = start(*DEMO, TMPDIR=str(temporary))
    demo.read_until("processing")
    offspring = demo.offspring()
    demo.process.send_signal(signal.SIGINT)
    demo.read_until("Stopping")
    demo.process.send_signal(signal.SIGINT)
    assert demo.end(signal.SIGTERM) == 130
    assert demo.complaints == ""
    eventually(lambda: all(map(ended, offspring)))
    assert not list(temporary.iterdir())


def test_a_reader_that_goes_away_ends_the_demo(start: Start, temporary: Path) -> None:
    demo = start(*DEMO, TMPDIR=str(temporary))
    demo.read_until("Making input")
    offspring = demo.offspring()
    demo.stdout.close()
    assert demo.end() == 1
    assert demo.complaints == ""
    eventually(lambda: all(map(ended, offspring)))


def test_a_kill_of_the_demo_ends_the_rest_too(start: Start, temporary: Path) -> None:
    demo = start(*DEMO, TMPDIR=str(temporary))
    demo.read_until("processing")
    offspring = demo.offspring()
    demo.end(signal.SIGKILL)
    eventually(lambda: all(map(ended, offspring)))


def test_keep_leaves_everything_running_until_ctrl_c(start: Start, temporary: Path) -> None:
    demo = start(*quick_demo("plan.PLAN = plan.PLAN[1:2]"), "--keep", TMPDIR=str(temporary))
    url = demo.read_until("JOBSTATE_DATABASE_URL=").strip().partition("=")[2]
    job_id = demo.read_until(" show ").split()[-1]
    offspring = demo.offspring()
    for arguments in (("list",), ("show", job_id), ("stats",)):
        command = start(
            *("-c", "from jobstate.cli import main; main()"),
            *arguments,
            JOBSTATE_DATABASE_URL=url,
        )
        assert command.end() == 0, command.complaints
        assert "thumbnails" in "\n".join(command.lines)
    assert demo.process.poll() is None
    assert not any(map(ended, offspring))
    assert demo.end(signal.SIGINT) == 130
    assert demo.complaints == ""
    eventually(lambda: all(map(ended, offspring)))
    assert not list(temporary.iterdir())
