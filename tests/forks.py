"""Forks of processes that are measured.

Coverage holds a lock while it meets a file for the first time. A process that another thread forks
just then would inherit it locked, and stand still at the next file.
"""

import os
import sys
import threading


def let_children_run() -> None:
    """Have every process that is forked from this one begin with a lock of its own."""
    os.register_at_fork(after_in_child=_renew_lock)


def _renew_lock() -> None:
    if (coverage := sys.modules.get("coverage")) and (measured := coverage.Coverage.current()):
        measured._collector.data_lock = threading.Lock()
