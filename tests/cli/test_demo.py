"""The demo from its start to its end, as it is without a terminal."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from jobstate.cli.demo.plan import PLAN
from tests.cli.programs import DEMO, Program, ended, eventually

pytestmark = pytest.mark.timeout(180)

LINE = re.compile(r" *[\d.]+ s  (\w+) +(\w+ [\w.-]+) +(\w+) +(\d+) %(?:  (.*))?")

Start = Callable[..., Program]


@dataclass(frozen=True)
class Performance:
    """A demo that has ended."""

    directory: Path
    status: int
    lines: list[str]
    complaints: str
    offspring: list[psutil.Process]
    ports: set[int]


@pytest.fixture(scope="module")
def performance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    """One demo, for all tests of this file."""
    directory = tmp_path_factory.mktemp("demo")
    # What the user has set for other programs; none of it may lead the demo to a server of theirs.
    foreign = "redis://127.0.0.1:1/0"
    program = Program(
        list(DEMO),
        directory,
        directory / "stderr",
        JOBSTATE_DATABASE_URL="postgresql://127.0.0.1:1/other",
        CELERY_BROKER_URL=foreign,
        BROKER_URL=foreign,
        PGSSLMODE="require",
    )
    try:
        program.read_until("processing")
        offspring = program.offspring()
        pids = {process.pid for process in offspring}
        ports = {
            connection.laddr.port
            for connection in psutil.net_connections("tcp")
            if connection.pid in pids and connection.status == psutil.CONN_LISTEN
        }
        status = program.end()
        yield Performance(directory, status, program.lines, program.complaints, offspring, ports)
    finally:
        program.process.kill()
        program.process.wait()
        program.stdout.close()


def test_the_demo_succeeds_and_complains_of_nothing(performance: Performance) -> None:
    assert performance.status == 0, performance.complaints
    assert performance.complaints == ""


def test_a_line_for_each_change_shows_each_job_from_queued_to_its_landing(
    performance: Performance,
) -> None:
    seen: dict[tuple[str, str], list[str]] = {}
    for line in performance.lines:
        if found := LINE.fullmatch(line):
            seen.setdefault((found[1], found[2]), []).append(found[3])
    assert seen.keys() == {(planned.owner, planned.title) for planned in PLAN}
    for planned in PLAN:
        statuses = seen[planned.owner, planned.title]
        assert statuses[0] == "queued"
        assert statuses[-1] == planned.lands
    assert len(PLAN) == 12


def test_long_jobs_show_their_progress(performance: Performance) -> None:
    found = [LINE.fullmatch(line) for line in performance.lines]
    percentages = {int(line[4]) for line in found if line and line[2] == "thumbnails photos"}
    assert len(percentages) > 3


def test_the_summary_tells_how_the_jobs_landed(performance: Performance) -> None:
    text = "\n".join(performance.lines)
    assert "All 12 jobs have landed: 9 completed, 2 partial, 1 failed." in text
    assert "  partial: thumbnails photos: 1 of 24 items failed." in text
    assert "  partial: import people.csv: 7 of 20000 items failed." in text
    assert "  failed: report 2026-12: No orders in 2026-12" in text
    assert "jobstate list" in text
    assert "jobstate show" in text


def test_the_files_of_the_jobs_stay(performance: Performance) -> None:
    line = next(line for line in performance.lines if line.startswith("Files"))
    found = re.search(r"\.demo/output/OWNER/JOB/ATTEMPT/  \((\d+) files", line)
    assert found
    files = list((performance.directory / ".demo" / "output").glob("*/*/1/*"))
    assert len(files) == int(found[1]) == 15
    assert {path.suffix for path in files} == {".csv", ".jpg", ".md", ".png", ".zip"}
    assert {path.parts[-4] for path in files} == {"ada", "grace"}
    assert "tasks.exports.export_orders" in (
        performance.directory / ".demo" / "worker.log"
    ).read_text(encoding="utf-8")


def test_nothing_goes_on_afterwards(performance: Performance) -> None:
    assert len(performance.offspring) > 6  # two servers, a worker of three processes, three keepers
    eventually(lambda: all(map(ended, performance.offspring)))
    assert len(performance.ports) == 2
    listening = {
        connection.laddr.port
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert not performance.ports & listening
