"""Forks beside the keeper's threads: they wait for each other, and a child inherits no lock."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobstate.celery import forking
from jobstate.celery.forking import Work
from tests.worker.process import PATIENCE, ROOT


def fork_and_work(work: Work) -> int:
    """Fork; the child works too, and ends; return its exit status."""
    if (pid := os.fork()) == 0:
        with work:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


SHARED = """
import gc, os
import psutil
from jobstate.celery.forking import share_memory

kept = [[number] for number in range(200_000)]
share_memory()
if (pid := os.fork()) == 0:
    process = psutil.Process()
    before = process.memory_full_info().uss
    gc.collect()
    os._exit(process.memory_full_info().uss - before > 4_000_000)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_a_child_shares_what_was_there_before_it() -> None:
    """Its collector leaves that alone; 200,000 lists are 14 MB."""
    subprocess.run([sys.executable, "-c", SHARED], cwd=ROOT, check=True, timeout=PATIENCE)


def test_a_fork_waits_for_the_end_of_what_a_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    # However late the thread comes to its end.
    monkeypatch.setattr(forking, "_PATIENCE", PATIENCE)
    work, entered, leave, left = Work(), threading.Event(), threading.Event(), threading.Event()

    def keep_working() -> None:
        with work:
            entered.set()
            leave.wait(PATIENCE)
            left.set()

    thread = threading.Thread(target=keep_working)
    thread.start()
    entered.wait(PATIENCE)
    threading.Timer(0.05, leave.set).start()
    assert fork_and_work(work) == 0
    assert left.is_set()
    thread.join(PATIENCE)


def test_a_fork_does_not_wait_for_ever_and_its_child_can_work() -> None:
    """As when a statement waits for a server."""
    work, entered, leave = Work(), threading.Event(), threading.Event()

    def keep_working() -> None:
        with work:
            entered.set()
            leave.wait(PATIENCE)

    thread = threading.Thread(target=keep_working)
    thread.start()
    entered.wait(PATIENCE)
    assert fork_and_work(work) == 0
    leave.set()
    thread.join(PATIENCE)
    assert work.pause(), "the parent goes on as before"


class LimitReached(Exception):  # noqa: N818 - as Celery's soft time limit
    """What a signal handler raises."""


def test_what_a_signal_raises_while_a_fork_waits_leaves_the_thread_free(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    def raise_it(*_: object) -> None:
        raise LimitReached

    monkeypatch.setattr(forking, "_PATIENCE", PATIENCE)
    before = signal.signal(signal.SIGUSR2, raise_it)
    request.addfinalizer(lambda: signal.signal(signal.SIGUSR2, before))
    work, main = Work(), threading.main_thread().ident
    assert main is not None

    def pause_and_be_interrupted() -> None:
        threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR2)).start()
        work.pause()

    with work, pytest.raises(LimitReached):
        pause_and_be_interrupted()
    monkeypatch.setattr(forking, "_PATIENCE", 0.2)
    assert work.pause(), "nobody holds anything of it any more"


def test_threads_that_fork_at_once_let_go_of_their_own_locks_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler, logger = logging.Handler(), logging.getLogger("jobstate")
    lock = handler.lock
    assert lock is not None
    forks, goes_on = threading.Event(), threading.Event()
    monkeypatch.setattr(forking, "_WRITING", 0.01)

    def fork_slowly() -> None:
        forking._before_fork()
        forks.set()
        goes_on.wait(PATIENCE)
        forking._after_fork_in_parent()

    logger.addHandler(handler)
    try:
        thread = threading.Thread(target=fork_slowly, daemon=True)
        thread.start()
        forks.wait(PATIENCE)
        forking._before_fork()
        forking._after_fork_in_parent()
        assert not lock.acquire(blocking=False)
        goes_on.set()
        thread.join(PATIENCE)
        assert lock.acquire(blocking=False)
    finally:
        logger.removeHandler(handler)


def test_a_fork_waits_for_the_end_of_a_record_that_a_thread_writes() -> None:
    """Also on a machine that stands still for a moment: a child could never write one."""
    stream, writes, goes_on = threading.Lock(), threading.Event(), threading.Event()

    class Slow(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            with stream:
                writes.set()
                goes_on.wait(PATIENCE)

    handler, logger = Slow(), logging.getLogger("jobstate")
    logger.addHandler(handler)
    try:
        thread = threading.Thread(target=logger.error, args=("It is slow",), daemon=True)
        thread.start()
        assert writes.wait(PATIENCE)
        threading.Timer(0.5, goes_on.set).start()
        if (child := os.fork()) == 0:
            os._exit(0 if stream.acquire(blocking=False) else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        thread.join(PATIENCE)
    finally:
        logger.removeHandler(handler)


BUSY = """
import os, threading
from jobstate.celery.forking import Work

work, ended = Work(), threading.Event()

def keep_working():
    while not ended.is_set():
        with work:
            pass

threading.Thread(target=keep_working, daemon=True).start()
for _ in range(20):
    if (pid := os.fork()) == 0:
        with work:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
ended.set()
"""


def test_a_thread_that_never_pauses_lets_a_fork_through() -> None:
    """In a process of its own, which nothing measures: coverage has a lock, which a child keeps."""
    environment = {name: it for name, it in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", BUSY]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=PATIENCE)


LOGGING = """
import logging, os, signal, sys, threading
from jobstate.celery import forking

logging.basicConfig(filename=sys.argv[1])
logger, ended = logging.getLogger("jobstate"), threading.Event()

def keep_logging():
    while not ended.is_set():
        logger.warning("Job %s was rescued.", 1)

threading.Thread(target=keep_logging).start()
for _ in range(300):
    if (pid := os.fork()) == 0:
        signal.alarm(60)
        logger.warning("Job %s is processing.", 2)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
ended.set()
"""


def test_a_child_that_is_forked_while_a_thread_logs_can_log(tmp_path: Path) -> None:
    """As when a process is replaced that has died, while its job is rescued."""
    environment = {name: it for name, it in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", LOGGING, str(tmp_path / "log")]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=PATIENCE)
