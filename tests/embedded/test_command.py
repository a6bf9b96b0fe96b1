"""``python -m jobstate.embedded`` runs both servers until it is asked to end."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from click.testing import CliRunner

from jobstate.embedded import Postgres
from jobstate.embedded.__main__ import main

Eventually = Callable[[Callable[[], object]], None]
Gone = Callable[[list[int]], bool]
Python = Callable[..., "subprocess.Popen[str]"]

COMMAND = ("-m", "jobstate.embedded")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that Postgres makes its data once."""
    return tmp_path_factory.mktemp("command")


def test_ctrl_c_leaves_nothing_behind(python: Python, temporary: Path, gone: Gone) -> None:
    command = python(*COMMAND)
    urls = announced(command)
    with psycopg.connect(urls["JOBSTATE_DATABASE_URL"].replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(urls["JOBSTATE_BROKER_URL"]) as client:
        assert client.ping()
    started = [child.pid for child in psutil.Process(command.pid).children(recursive=True)]
    assert len(started) >= 4  # two servers, two keepers
    command.send_signal(signal.SIGINT)
    _, complaints = command.communicate()
    assert command.returncode == 0
    assert "Traceback" not in complaints
    assert gone(started)
    assert not list(temporary.iterdir())


def test_a_request_to_end_during_the_start_is_heeded(
    python: Python, temporary: Path, eventually: Eventually
) -> None:
    command = python(*COMMAND)
    eventually(lambda: list(temporary.iterdir()))
    command.send_signal(signal.SIGINT)
    _, complaints = command.communicate()
    assert command.returncode == 0
    assert "Traceback" not in complaints
    assert not list(temporary.iterdir())


def test_a_given_directory_keeps_the_data(python: Python, directory: Path) -> None:
    for statement in (b"CREATE TABLE memory ()", b"SELECT FROM memory"):
        command = python(*COMMAND, "--directory", str(directory))
        url = announced(command)["JOBSTATE_DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute(statement)
        command.send_signal(signal.SIGTERM)
        assert command.wait() == 0


def test_a_start_that_fails_is_told_without_a_traceback(python: Python, directory: Path) -> None:
    with Postgres(directory) as first:
        command = python(*COMMAND, "--directory", str(directory))
        told, complaints = command.communicate()
        assert first.running
    assert command.returncode == 1
    assert told == ""
    assert complaints.startswith(f"Error: Postgres cannot use {directory}: another server")


def test_a_server_that_ends_by_itself_ends_the_command(
    python: Python, directory: Path, gone: Gone
) -> None:
    command = python(*COMMAND, "--directory", str(directory))
    announced(command)
    started = psutil.Process(command.pid).children(recursive=True)
    names = {"redis-server", "valkey-server"}
    next(child for child in started if child.name() in names).kill()
    _, complaints = command.communicate()
    assert command.returncode == 1
    assert "Error: Redis ended: nobody asked it to. Its log ends with:" in complaints
    assert "Traceback" not in complaints
    assert gone([child.pid for child in started])


def test_an_unknown_option_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["--nonsense"]).exit_code == 2


def announced(command: "subprocess.Popen[str]") -> dict[str, str]:
    assert command.stdout is not None
    lines = [command.stdout.readline() for _ in range(2)]
    assert all(lines), command.communicate()[1]
    return dict(line.strip().split("=", 1) for line in lines)
