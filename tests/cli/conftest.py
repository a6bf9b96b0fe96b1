"""Tools for tests of the command line: run a command here, or start a program of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jobstate.cli import jobstate
from tests.cli.programs import Program

Run = Callable[..., Result]
Start = Callable[..., Program]


@pytest.fixture
def run(jobs_url: str) -> Run:
    """Run a command of the group in this process; on the test's database, unless told otherwise."""

    def invoke(*arguments: str, url: str | None = jobs_url) -> Result:
        variables = {"JOBSTATE_DATABASE_URL": url, "JOBSTATE_TRACEBACK": None}
        return CliRunner().invoke(jobstate, arguments, env=variables, catch_exceptions=False)

    return invoke


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Python with arguments, in a directory of its own; none outlives the test."""
    started: list[Program] = []

    def begin(*arguments: str, cwd: Path = tmp_path, **variables: str | None) -> Program:
        errors = tmp_path / f"stderr-{len(started)}"
        started.append(Program(list(arguments), cwd, errors, **variables))
        return started[-1]

    yield begin
    for program in started:
        program.process.kill()
        program.process.wait()
        program.stdout.close()
