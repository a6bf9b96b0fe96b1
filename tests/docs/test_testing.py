"""The example of docs/how-to/testing.md is a test suite that passes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.programs import environment
from tests.examples import Example


@pytest.fixture
def suite(examples: list[Example], tmp_path: Path) -> Path:
    """The files of the page."""
    for example in examples:
        (tmp_path / example.title).write_text(example.take(), encoding="utf-8")
    return tmp_path


@pytest.mark.examples("docs/how-to/testing.md")
def test_the_tests_of_the_page_pass(suite: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)]
    run = subprocess.run(
        command, cwd=suite, env=environment(), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "4 passed" in run.stdout
