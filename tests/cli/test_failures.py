"""What goes wrong ends with a status and one line, never with a traceback."""

import signal
import socket
from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from click.testing import Result

from jobstate import JobService
from tests.cli.programs import Program

Run = Callable[..., Result]
Start = Callable[..., Program]

JOBSTATE = ("-c", "from jobstate.cli import main; main()")
COMMANDS = [("list",), ("list", "--user-id", "7"), ("show", str(UUID(int=7))), ("stats",)]
UNUSABLE = [
    ("", "No database is named"),
    ("mysql://localhost/shop", "it must look like postgresql+psycopg://"),
    ("localhost", "it must look like postgresql+psycopg://"),
    ("postgresql://user:secret/shop", "The database URL is malformed: its port is no number"),
    ("postgresql://[::1/shop", "The database URL is malformed"),
    ("postgresql://localhost/shop?secret=1", 'invalid connection option "secret"'),
    ("postgresql://user:secret@127.0.0.1:1/shop", "Connection refused"),
    ("postgresql://no.such.host.invalid/shop", "failed to resolve host"),
    ("postgresql://127.0.0.1:99999999/shop", "invalid port number"),
]


UNCOUNTABLE = [
    ("watch", "--every", "nan"),
    ("watch", "--every", "inf"),
    ("sweep", "--every", "nan"),
    ("stats", "--landed-within", "1e300"),
    ("doctor", "--grace", "nan"),
    ("purge", "nan"),
    ("purge", "1e9"),
]


def assert_one_line(result: Result, told: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr


@pytest.mark.parametrize("command", [*COMMANDS, ("migrate",)], ids=" ".join)
@pytest.mark.parametrize(("url", "told"), UNUSABLE)
def test_a_database_that_cannot_be_used_is_told_in_one_line(
    url: str, told: str, command: tuple[str, ...], run: Run
) -> None:
    assert_one_line(run("--database-url", url, *command), told)


@pytest.mark.parametrize(("url", "told"), UNUSABLE)
def test_a_message_about_a_url_does_not_repeat_its_password(url: str, told: str, run: Run) -> None:
    message = run("--database-url", url, "stats").stderr
    assert "secret" not in message.replace(told, "")


@pytest.mark.parametrize("command", UNCOUNTABLE, ids=" ".join)
def test_a_time_that_no_clock_can_count_is_wrong_usage(command: tuple[str, ...], run: Run) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert f"{command[-1]} is not a number up to" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_missing_schema_is_told_with_its_remedy(
    command: tuple[str, ...], run: Run, database_url: str
) -> None:
    result = run(*command, url=database_url)
    assert_one_line(result, "The jobstate schema does not fit")
    assert result.stderr.endswith("Run: jobstate migrate\n")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_schema_that_is_too_old_is_told_with_its_remedy(
    command: tuple[str, ...], run: Run, connect: Callable[[], psycopg.Connection]
) -> None:
    connect().execute("delete from jobstate.schema_version")
    result = run(*command)
    assert_one_line(result, "this release needs")
    assert result.stderr.endswith("Run: jobstate migrate\n")


@pytest.mark.parametrize("command", [("list",), ("stats",)], ids=" ".join)
def test_a_newer_schema_is_read_all_the_same(
    command: tuple[str, ...], run: Run, connect: Callable[[], psycopg.Connection]
) -> None:
    """During a rolling upgrade the old code runs on the new schema."""
    connect().execute("update jobstate.schema_version set version_num = '9999'")
    assert run(*command).exit_code == 0


@pytest.mark.parametrize("command", [*COMMANDS, ("migrate",)], ids=" ".join)
def test_a_user_without_rights_is_told_in_one_line(
    command: tuple[str, ...], run: Run, jobs_url: str, connect: Callable[[], psycopg.Connection]
) -> None:
    role = jobs_url.rpartition("/")[2]
    connection = connect()
    connection.execute(f'create role "{role}" login'.encode())
    try:
        url = jobs_url.replace("//jobstate@", f"//{role}@")
        assert_one_line(run(*command, url=url), "permission denied")
    finally:
        connection.execute(f'drop role "{role}"'.encode())


@pytest.mark.parametrize("user_id", ["a\x00b", "\udcff", "", "no uuid"])
def test_an_owner_that_cannot_be_one_is_told_in_one_line(user_id: str, run: Run) -> None:
    assert_one_line(run("list", "--user-id", user_id), "")


@pytest.mark.parametrize("job_type", ["a\x00b", "\udcff"])
def test_a_type_that_cannot_be_stored_is_told_in_one_line(job_type: str, run: Run) -> None:
    assert_one_line(run("list", "--job-type", job_type), "in the job type")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("--nonsense",),
        ("show",),
        ("show", "a", "b"),
        ("list", "--status", "lost"),
        ("list", "--limit", "0"),
        ("list", "--limit", "1001"),
        ("list", "--limit", "many"),
        ("migrate", "--user-id-type", "int"),
        ("stats", "surplus"),
        ("--database-url", "postgresql://localhost/shop", "demo"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_status_2(arguments: tuple[str, ...], run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_an_unexpected_error_is_told_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object, **_how: object) -> None:
        raise RuntimeError("what\nnow")

    monkeypatch.setattr(JobService, "stats", fail)
    assert_one_line(run("stats"), r"RuntimeError: what\nnow")


def test_an_unexpected_error_has_a_traceback_for_those_who_ask(
    start: Start, database_url: str
) -> None:
    code = (
        "from jobstate import JobService; from jobstate.cli import main; "
        "JobService.stats = None; main()"
    )
    variables = {"JOBSTATE_DATABASE_URL": database_url}
    quiet = start("-c", code, "stats", **variables)
    assert quiet.end() == 1
    assert "Traceback" not in quiet.complaints
    loud = start("-c", code, "stats", **variables, JOBSTATE_TRACEBACK="1")
    assert loud.end() == 1
    assert "Traceback" in loud.complaints


def test_ctrl_c_exits_with_status_130_and_says_nothing(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/shop"
        command = start(*JOBSTATE, "stats", JOBSTATE_DATABASE_URL=url)
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            assert command.end(signal.SIGINT) == 130
    assert command.complaints == ""
    assert command.lines == []
