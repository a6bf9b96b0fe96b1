"""`jobstate doctor`: what it prints, and its exit status."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobstate.doctor import Check
from tests.cli.conftest import run, start
from tests.cli.programs import Program
from tests.doctor.conftest import GOOD, Installation

__all__ = ["run", "start"]

Run = Callable[..., object]
Start = Callable[..., Program]

APP = """
from celery import Celery
import jobstate
app = Celery("shop", broker={broker!r})
app.conf.update({conf!r})
app.conf.jobstate_database_url = {url!r}
jobstate.install(app)
"""


@pytest.fixture
def write_app(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Write the module of an app into the current directory."""

    def write(name: str, **conf: object) -> None:
        text = APP.format(
            broker=installation.broker_url, conf={**GOOD, **conf}, url=installation.url
        )
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path)

    return write


def test_all_is_well_is_exit_status_0(
    run: Run, installation: Installation, write_app: Callable[..., None]
) -> None:
    write_app("healthy_shop")
    installation.start(installation.app())
    result = run("--app", "healthy_shop", "doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Nothing is wrong, as far as {len(Check)} checks can tell.\n"
    result = run("--app", "healthy_shop", "doctor", "--json")
    assert json.loads(result.stdout) == {"healthy": True, "findings": []}
    assert "its broker were not looked at" in run("doctor").stderr


def test_a_finding_says_why_and_what_helps_and_is_exit_status_1(
    run: Run, installation: Installation, write_app: Callable[..., None]
) -> None:
    write_app("late_shop", task_acks_late=True)
    installation.start(installation.app())
    result = run("--app", "late_shop", "doctor")
    assert (result.exit_code, result.stderr) == (1, "")
    check = Check.ACKS_LATE_EVERYWHERE
    assert result.stdout == (
        "acks_late_everywhere: The app shop has task_acks_late on.\n"
        f"  Why:     {check.why}\n"
        f"  Remedy:  {check.remedy}\n"
        "  See:     docs/reference/doctor.md#acks_late_everywhere\n\n"
    )
    (found,) = json.loads(run("--app", "late_shop", "doctor", "--json").stdout)["findings"]
    assert found == {
        "check": "acks_late_everywhere",
        "what": "The app shop has task_acks_late on.",
        "why": check.why,
        "remedy": check.remedy,
        "page": check.page,
    }


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"task_retry_on_worker_lost": True}, "task_retry_on_worker_lost is on"),
        ({"jobstate_lease": 0}, "jobstate is not configured: jobstate_lease is 0"),
    ],
    ids=["refused", "wrong"],
)
def test_an_app_that_cannot_be_loaded_is_a_finding(
    conf: dict[str, object],
    said: str,
    run: Run,
    write_app: Callable[..., None],
    request: pytest.FixtureRequest,
) -> None:
    name = f"shop_that_is_{request.node.callspec.id}"
    write_app(name, **conf)
    result = run("--app", name, "doctor")
    assert result.exit_code == 1
    assert result.stdout.startswith("configuration: ")
    assert said in result.stdout


def test_a_database_that_is_away_is_told_without_a_traceback(start: Start) -> None:
    doctor = start(
        *("-c", "from jobstate.cli import main; main()", "doctor", "--json"),
        JOBSTATE_DATABASE_URL="postgresql://127.0.0.1:1/nowhere",
    )
    assert doctor.end() == 1
    (found,) = json.loads("".join(doctor.lines))["findings"]
    assert found["check"] == "database"
    assert "Traceback" not in doctor.complaints
