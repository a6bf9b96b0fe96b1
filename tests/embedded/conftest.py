"""Tools for tests that start processes and watch them end."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import jobstate.embedded

PATIENCE = 60.0


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until a condition holds; fail when it does not within the deadline."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def gone() -> Callable[[list[int]], bool]:
    """Tell whether none of these processes runs any more; a zombie has ended."""

    def ended(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return lambda pids: all(ended(pid) for pid in pids)


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the processes of a test put their temporary directories."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    return directory


@pytest.fixture
def python(temporary: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start Python processes that the test may kill; none outlives it."""
    started: list[subprocess.Popen[str]] = []
    source = str(Path(jobstate.embedded.__file__).parents[2])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(temporary)}

    def start(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
