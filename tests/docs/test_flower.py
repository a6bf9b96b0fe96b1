"""The example of docs/how-to/flower.md configures Flower as the page says."""

import re
import subprocess
import sys
from pathlib import Path

from jobstate.celery.flower import COLUMNS

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


def test_the_one_line_adds_the_columns(tmp_path: Path) -> None:
    one_line, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    _, columns = configured(tmp_path / "flowerconfig.py", one_line)
    assert {"owner", "job_status", "progress", "attempt"} <= set(columns.split())


def test_settings_below_it_win(tmp_path: Path) -> None:
    _, code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    numbers, columns = configured(tmp_path / "flowerconfig.py", code)
    assert numbers == "50000 10"
    assert columns == "uuid job_type owner job_status progress progress_message runtime"


def test_every_field_is_documented() -> None:
    table = PAGE.read_text().partition("| --- | --- |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) - {"user_id"} == set(COLUMNS)
