"""How things are printed: in pipes, in odd encodings, on narrow terminals."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jobstate import Job, JobService, JobStatus
from jobstate.cli import output
from tests.cli.programs import Program, environment

Start = Callable[..., Program]
JobIn = Callable[[JobStatus | str], Job]

PROGRAM = Path(sys.executable).with_name("jobstate")


def test_the_installed_program_prints_no_colour_into_a_pipe(jobs_url: str, job_in: JobIn) -> None:
    job_in("failed")
    done = subprocess.run(
        [PROGRAM, "list"],
        env=environment(JOBSTATE_DATABASE_URL=jobs_url),
        capture_output=True,
        check=True,
    )
    assert b"failed" in done.stdout
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("arguments", [("list",), ("stats", "--json"), ("migrate", "--sql")])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...], jobs_url: str) -> None:
    reader, stdout = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [PROGRAM, *arguments],
        env=environment(JOBSTATE_DATABASE_URL=jobs_url),
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(stdout)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_closed_stdout_is_no_error(jobs_url: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" stats >&-', PROGRAM],
        env=environment(JOBSTATE_DATABASE_URL=jobs_url),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("unbuffered", ["1", None], ids=["unbuffered", "buffered"])
@pytest.mark.parametrize("arguments", ["--help", "stats"])
def test_output_that_cannot_be_written_is_told_in_one_line(
    arguments: str, unbuffered: str | None, jobs_url: str
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [PROGRAM, arguments],
            env=environment(JOBSTATE_DATABASE_URL=jobs_url, PYTHONUNBUFFERED=unbuffered),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    (told,) = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert told.startswith("Error: ")
    assert "No space left on device" in told


def test_what_an_encoding_lacks_is_shown_as_its_code(jobs_url: str, service: JobService) -> None:
    service.create_job("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "größe→")
    done = subprocess.run(
        [PROGRAM, "list"],
        env=environment(JOBSTATE_DATABASE_URL=jobs_url, PYTHONIOENCODING="latin-1"),
        capture_output=True,
        check=True,
    )
    assert b"gr\xf6\xdfe\\u2192" in done.stdout


def test_commands_do_without_rich(start: Start, jobs_url: str, job_in: JobIn) -> None:
    job = job_in("partial")
    code = "import sys; sys.modules['rich'] = None; from jobstate.cli import main; main()"
    for arguments in (["list"], ["show", str(job.id)], ["stats"]):
        command = start("-c", code, *arguments, JOBSTATE_DATABASE_URL=jobs_url)
        assert command.end() == 0, command.complaints
        assert "partial" in "\n".join(command.lines).lower()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größe, 日本, 👩‍🚀", "plain, größe, 日本, 👩‍🚀"),
        ("a\nb\tc\x00", r"a\nb\tc\x00"),
        ("\x1b[2J\x9b1m\x7f", r"\x1b[2J\x9b1m\x7f"),
        ("\u202eabc\u2066\u2028\udcff", r"\u202eabc\u2066\u2028\udcff"),
    ],
)
def test_text_is_shown_as_it_is_but_does_nothing(text: str, shown: str) -> None:
    assert output.printable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (59.96, "60.0 s"),
        (119, "119.0 s"),
        (120, "2 min"),
        (7200, "2 h"),
        (1e6, "12 d"),
    ],
)
def test_a_span_has_the_unit_that_tells_most(seconds: float, shown: str) -> None:
    assert output.span(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB")]
)
def test_a_size_has_the_unit_that_tells_most(count: int, shown: str) -> None:
    assert output.size(count) == shown


ROWS = [["1", click.style("ok", fg="green"), "日本"], ["23", "failed", "a long message"]]


@click.command()
def table() -> None:
    """Print a table."""
    output.print_table(["ID", "STATUS", "SAYS"], ROWS)


def test_a_table_has_columns_whatever_the_width_of_its_characters() -> None:
    assert CliRunner().invoke(table).stdout.splitlines() == [
        "ID  STATUS  SAYS",
        "1   ok      日本",
        "23  failed  a long message",
    ]


def test_a_table_ends_at_the_edge_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "15")
    shown = CliRunner().invoke(table, color=True).stdout.splitlines()
    assert [click.unstyle(line) for line in shown] == [
        "ID  STATUS  SA…",
        "1   ok      日…",
        "23  failed  a …",
    ]
    assert "\x1b[0m" in shown[1]
