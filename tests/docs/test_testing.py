"""The example of docs/how-to/testing.md is a test suite that passes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.programs import environment

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "testing.md"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The files of the page."""
    text = PAGE.read_text(encoding="utf-8")
    files = re.findall(r'^```python title="(.*?)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    for name, code in files:
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def test_the_tests_of_the_page_pass(suite: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    run = subprocess.run(
        command, cwd=suite, env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout
