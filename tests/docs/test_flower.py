"""The example of docs/how-to/flower.md configures Flower as the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobstate.celery.flower import COLUMNS
from tests.examples import Example

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "flower.md"

READ_BACK = """
import sys
from flower.options import options
from tornado.options import parse_config_file

parse_config_file(sys.argv[1])
from flower.views.tasks import visible_task_columns
print(options.jobstate_history, options.jobstate_refresh)
print(*(name for name, _ in visible_task_columns(options.tasks_columns)))
"""


def configured(path: Path, code: str) -> list[str]:
    """Return what Flower makes of a configuration, in a process of its own."""
    path.write_text(code)
    command = [sys.executable, "-c", READ_BACK, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.examples("docs/how-to/flower.md", "# flowerconfig.py")
def test_the_one_line_adds_the_columns(examples: list[Example], tmp_path: Path) -> None:
    (one_line,) = examples
    _, columns = configured(tmp_path / "flowerconfig.py", one_line.take())
    assert {"owner", "job_status", "progress", "attempt"} <= set(columns.split())


@pytest.mark.examples("docs/how-to/flower.md", "tasks_columns")
def test_settings_below_it_win(examples: list[Example], tmp_path: Path) -> None:
    (settings,) = examples
    numbers, columns = configured(tmp_path / "flowerconfig.py", settings.take())
    assert numbers == "50000 10"
    assert columns == "uuid job_type owner job_status progress progress_message runtime"


def test_every_field_is_documented() -> None:
    table = PAGE.read_text().partition("| --- | --- |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) - {"user_id"} == set(COLUMNS)
