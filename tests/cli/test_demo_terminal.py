"""The demo as it is on a terminal: a live table, in colour."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobstate.cli.demo import screen
from tests.cli.programs import ended, eventually, quick_demo
from tests.cli.terminals import Terminal

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A demo on a terminal: its arguments and the columns are parameters."""
    arguments, columns = request.param
    opened = Terminal(arguments, tmp_path, columns)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "terminal", [(quick_demo("plan.PICTURES = 20"), 100)], indirect=True, ids=["wide"]
)
def test_a_live_table_shows_every_job_until_all_have_landed(terminal: Terminal) -> None:
    terminal.read_until(None)
    assert terminal.process.wait() == 0, terminal.screen
    assert "\x1b[?25h" in terminal.screen.partition("\x1b[?25l")[2]  # the cursor is back
    tables, _, summary = terminal.screen.partition("All 12 jobs have landed")
    assert summary
    *earlier, final = tables.split("OWNER")
    assert len(earlier) > 3  # it was drawn again and again
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", final)
    rows = [line for line in plain.splitlines() if line.strip().startswith(("ada ", "grace "))]
    assert len(rows) == 12
    assert any(
        re.search(r"thumbnails photos partial +━+ 1 of 20 items failed", row) for row in rows
    )
    assert all(re.search(r" (completed|partial|failed) .* 1 .* [\d.]+ s", row) for row in rows)


@pytest.mark.parametrize(
    "terminal", [(quick_demo("plan.PEOPLE = 200_000"), 80)], indirect=True, ids=["narrow"]
)
def test_ctrl_c_in_the_live_table_leaves_nothing_running(terminal: Terminal) -> None:
    terminal.read_until("processing")
    offspring = psutil.Process(terminal.process.pid).children(recursive=True)
    assert offspring
    terminal.press(b"\x03")
    terminal.read_until(None)
    assert terminal.process.wait() == 130
    assert "Traceback" not in terminal.screen
    eventually(lambda: all(map(ended, offspring)))


def test_without_rich_lines_are_printed_and_the_remedy_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screen, "on_terminal", lambda: True)
    monkeypatch.setitem(sys.modules, "rich", None)
    with screen.screen() as show:
        show([], 0.0)
    told = capsys.readouterr()
    assert told.out == ""
    assert 'pip install "jobstate[cli]"' in told.err
