"""Programs that a test starts, and what becomes of their processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import psycopg

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0


def environment(**variables: str | None) -> dict[str, str]:
    """Return this process's environment without its settings of jobstate, and with these."""
    merged = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JOBSTATE_")},
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        **variables,
    }
    return {name: value for name, value in merged.items() if value is not None}


class Program:
    """A Python program that was started; its lines are read as they come."""

    def __init__(
        self, arguments: list[str], cwd: Path, errors: Path, **variables: str | None
    ) -> None:
        self.lines: list[str] = []
        self._errors = errors
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=cwd,
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            )

    @property
    def stdout(self) -> IO[str]:
        """What it prints."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def complaints(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text(encoding="utf-8")

    def read_until(self, text: str) -> str:
        """Read lines up to one that holds a text, and return that one."""
        for line in self.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came: {self.lines}, {self.complaints}")

    def offspring(self) -> list[psutil.Process]:
        """List every process that it has started, and those they have started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given; read to the end and return the exit status."""
        if number is not None:
            self.process.send_signal(number)
        if not self.stdout.closed:
            self.lines += self.stdout.read().splitlines()
        return self.process.wait(PATIENCE)


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail when it does not within the deadline."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@contextmanager
def unreachable(url: str) -> Iterator[None]:
    """Have a database end its connections and take no more, for as long as the block."""
    name = url.rpartition("/")[2]
    server = url.replace("+psycopg", "").replace(name, "postgres")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'alter database "{name}" allow_connections false'.encode())
        end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        admin.execute(end, (name,))
        yield
        admin.execute(f'alter database "{name}" allow_connections true'.encode())


def ended(process: psutil.Process) -> bool:
    """Tell whether a process has ended; a zombie has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


DEMO = ("-c", "from jobstate.cli import main; main()", "demo")

QUICK_DEMO = """
from dataclasses import replace
from jobstate.cli import main
from jobstate.cli.demo import plan, run
plan.ORDERS, plan.PICTURES, plan.GARDEN, plan.PEOPLE, plan.FIRMS = 1000, 2, 1, 20, 20
{change}
main()
"""


def quick_demo(change: str) -> tuple[str, ...]:
    """Return arguments for a demo with little input, after some change to it."""
    return ("-c", QUICK_DEMO.format(change=change), "demo")
