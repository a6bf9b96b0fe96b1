"""Which database a command works on, and the same commands below ``celery``."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from jobstate import Job, JobStatus
from tests.cli.programs import ROOT, Program

Run = Callable[..., Result]
Start = Callable[..., Program]
JobIn = Callable[[JobStatus | str], Job]

NOWHERE = "postgresql://127.0.0.1:1/nowhere"


@pytest.fixture
def write_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write the module of a Celery app into the current directory."""

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(f"from celery import Celery\n{text}\n")
        monkeypatch.chdir(tmp_path)

    return write


def test_an_app_names_the_database(
    run: Run, write_app: Callable[[str, str], None], jobs_url: str, job_in: JobIn
) -> None:
    job = job_in("queued")
    write_app("plain_app", f"app = Celery()\napp.conf.jobstate_database_url = {jobs_url!r}")
    for option in ("--app", "-A"):
        assert str(job.id) in run(option, "plain_app", "list", url=NOWHERE).stdout


def test_an_app_that_installed_jobstate_is_read_the_same_way(
    run: Run, write_app: Callable[[str, str], None], jobs_url: str
) -> None:
    write_app(
        "installed_app",
        "import jobstate\napp = Celery()\n"
        f"app.conf.jobstate_database_url = {jobs_url!r}\njobstate.install(app)",
    )
    assert run("--app", "installed_app:app", "stats", url=None).exit_code == 0


def test_an_app_names_the_schema_too(
    run: Run, write_app: Callable[[str, str], None], jobs_url: str
) -> None:
    write_app("other_schema", 'app = Celery()\napp.conf.jobstate_schema = "other"')
    assert "Schema other" in run("--app", "other_schema", "migrate", url=jobs_url).stdout
    assert run("--app", "other_schema", "stats", url=jobs_url).exit_code == 0


def test_the_option_wins_over_the_app_and_the_environment(
    run: Run, write_app: Callable[[str, str], None], jobs_url: str
) -> None:
    write_app("lost_app", f"app = Celery()\napp.conf.jobstate_database_url = {NOWHERE!r}")
    options = ("--app", "lost_app", "--database-url", jobs_url)
    assert run(*options, "stats", url=NOWHERE).exit_code == 0
    assert run("--app", "lost_app", "stats", url=jobs_url).exit_code == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_module", "No module named"),
        ("no.such.module", "No module named"),
        ("os.path", "has no attribute"),
        ("os:getcwd", "it is a builtin_function_or_method"),
        ("..", "relative import"),
        ("raises", "ZeroDivisionError"),
        ("exits", "SystemExit"),
        ("misconfigured", "no_such_settings"),
        ("wrong_setting", "jobstate_lease is 0, but it must be a duration above 0"),
        ("unknown_setting", "jobstate_leese is unknown"),
    ],
)
def test_an_app_that_cannot_be_used_is_told_in_one_line(
    name: str, told: str, run: Run, write_app: Callable[[str, str], None]
) -> None:
    write_app("raises", "1 / 0")
    write_app("exits", "raise SystemExit(0)")
    write_app("misconfigured", 'app = Celery()\napp.config_from_object("no_such_settings")')
    write_app("wrong_setting", "app = Celery()\napp.conf.jobstate_lease = 0")
    write_app("unknown_setting", "app = Celery()\napp.conf.jobstate_leese = 1")
    result = run("--app", name, "stats")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert told in result.stderr


def test_the_commands_are_there_below_celery(start: Start, jobs_url: str, job_in: JobIn) -> None:
    job = job_in("queued")
    command = start(
        *("-m", "celery", "-A", "workers.app", "jobstate", "list"),
        cwd=ROOT,
        JOBSTATE_DATABASE_URL=jobs_url,
    )
    assert command.end() == 0
    assert str(job.id) in "\n".join(command.lines)
    assert command.complaints == ""


def test_below_celery_errors_end_the_same_way(start: Start) -> None:
    arguments = ("-m", "celery", "-A", "workers.app", "jobstate")
    failing = start(*arguments, "stats", cwd=ROOT, JOBSTATE_DATABASE_URL=NOWHERE)
    assert failing.end() == 1
    assert len(failing.complaints.splitlines()) == 1
    wrong = start(*arguments, "nonsense", cwd=ROOT)
    assert wrong.end() == 2
    assert "No such command 'nonsense'" in wrong.complaints


def test_below_celery_an_app_is_not_needed(start: Start, jobs_url: str) -> None:
    command = start("-m", "celery", "jobstate", "stats", JOBSTATE_DATABASE_URL=jobs_url)
    assert command.end() == 0
    assert command.complaints == ""


@pytest.mark.parametrize(
    ("shell", "told"), [("bash", "complete -o"), ("zsh", "#compdef jobstate"), ("fish", "complete")]
)
def test_the_shell_is_told_how_to_complete(shell: str, told: str, start: Start) -> None:
    program = start(
        "-c", "from jobstate.cli import main; main()", _JOBSTATE_COMPLETE=f"{shell}_source"
    )
    assert program.end() == 0
    assert told in "\n".join(program.lines)


def test_the_shell_completes_commands(start: Start) -> None:
    program = start(
        *("-c", "from jobstate.cli import main; main()"),
        _JOBSTATE_COMPLETE="bash_complete",
        COMP_WORDS="jobstate wa",
        COMP_CWORD="1",
    )
    assert program.end() == 0
    assert program.lines == ["plain,watch"]
