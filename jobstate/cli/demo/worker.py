"""The demo's Celery worker."""

import sys
from pathlib import Path

from jobstate.cli.demo.example import APP
from jobstate.cli.demo.program import DemoProgram

PROCESSES = 2


def start_worker(log: Path, lock: int, scratch: Path) -> DemoProgram:
    """Start a prefork worker of the example's app."""
    command = [
        *(sys.executable, "-m", "celery", "--app", APP, "worker"),
        *("--concurrency", str(PROCESSES), "--loglevel", "INFO"),
        # No other worker is there to greet, and greeting takes a second.
        *("--without-mingle", "--without-gossip"),
    ]
    return DemoProgram("The worker", command, log, lock, scratch)
