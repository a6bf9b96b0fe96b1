"""A local server ends with the process that started it, and not with anything less."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from jobstate.embedded import EmbeddedError, Postgres, Redis, keeper
from tests.embedded.conftest import PATIENCE

Eventually = Callable[[Callable[[], object]], None]
Gone = Callable[[list[int]], bool]
Python = Callable[..., "subprocess.Popen[str]"]

BOTH = """
import json, os, sys
from jobstate.embedded import Postgres, Redis
def tell(*answers):
    print(json.dumps([[server.pid for server in servers], *answers]), flush=True)
servers = [Postgres(*sys.argv[1:], settings={"fsync": "off"}), Redis(*sys.argv[1:])]
for server in servers:
    server.start()
"""
REDIS = BOTH.replace('Postgres(*sys.argv[1:], settings={"fsync": "off"}), ', "")
WAIT = "tell(); sys.stdin.read()"
FORK = """
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
tell(child)
sys.stdin.read()
"""
STOP_IN_A_FORK = """
child = os.fork()
if child == 0:
    for server in servers:
        server.stop()
    os._exit(0)
os.waitpid(child, 0)
tell([server.running and server.log.exists() for server in servers])
"""


def test_a_kill_of_the_starter_ends_both_and_removes_their_directories(
    python: Python, temporary: Path, eventually: Eventually, gone: Gone
) -> None:
    starter = python("-c", BOTH + WAIT)
    (pids,) = told_by(starter)
    assert len(list(temporary.iterdir())) == 2
    starter.kill()
    eventually(lambda: gone(pids))
    eventually(lambda: not list(temporary.iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a kill -9")
def test_a_kill_of_the_starter_and_of_the_keepers_ends_both_too(
    python: Python, eventually: Eventually, gone: Gone
) -> None:
    starter = python("-c", BOTH + WAIT)
    (pids,) = told_by(starter)
    keepers = psutil.Process(starter.pid).children()
    # Stopped first, so that no keeper acts between the kills.
    for process in keepers:
        process.suspend()
    for process in [*keepers, psutil.Process(starter.pid)]:
        process.kill()
    eventually(lambda: gone(pids))


def test_a_directory_is_free_again_as_soon_as_its_starter_was_killed(
    python: Python, tmp_path: Path
) -> None:
    starter = python("-c", BOTH + WAIT, str(tmp_path))
    told_by(starter)
    starter.kill()
    with Postgres(tmp_path) as postgres, Redis(tmp_path) as redis:
        assert postgres.running
        assert redis.running


def test_a_starter_that_just_ends_ends_its_server(
    python: Python, eventually: Eventually, gone: Gone
) -> None:
    starter = python("-c", REDIS + "tell()")
    (pids,) = told_by(starter)
    assert starter.wait() == 0
    eventually(lambda: gone(pids))


def test_a_fork_of_the_starter_does_not_keep_the_server(
    python: Python, eventually: Eventually, gone: Gone
) -> None:
    starter = python("-c", REDIS + FORK)
    pids, child = told_by(starter)
    starter.kill()
    eventually(lambda: gone(pids))
    assert not gone([child])


def test_a_fork_while_the_server_starts_does_not_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may fork; and where nothing starts, no pipe stays open."""
    seen = []

    def ends_of(pipe: os.stat_result) -> int:
        found = 0
        for number in range(256):
            with suppress(OSError):
                found += os.path.samestat(os.fstat(number), pipe)
        return found

    def fork(*_: object, stdin: int, **__: object) -> None:
        pipe = os.fstat(stdin)
        if (child := os.fork()) == 0:
            os._exit(ends_of(pipe))
        seen.append((pipe, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
        raise OSError("no more processes")

    pieces = SimpleNamespace(Popen=fork)
    monkeypatch.setattr("jobstate.embedded.process.subprocess", pieces)
    with pytest.raises(EmbeddedError, match="no more processes"):
        Redis().start()
    ((pipe, ends_in_child),) = seen
    assert ends_in_child == 1, "that of the keeper alone"
    assert ends_of(pipe) == 0


def test_a_fork_of_the_starter_cannot_stop_the_server(python: Python) -> None:
    starter = python("-c", REDIS + STOP_IN_A_FORK)
    assert told_by(starter)[1] == [True]


def test_the_end_of_the_thread_that_started_it_does_not_end_a_server() -> None:
    with Redis() as local:
        thread = threading.Thread(target=local.restart)
        thread.start()
        thread.join()
        pid = local.pid
        # The time that another server takes to start would be enough for it to end.
        with Redis():
            assert local.pid == pid


def test_a_server_that_heeds_no_request_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gone: Gone
) -> None:
    """A suspended process acts on no signal but SIGKILL."""
    impatient = tmp_path / "keeper.py"
    source = Path(keeper.__file__).read_text().replace("PATIENCE = 10.0", "PATIENCE = 0.1")
    impatient.write_text(source)
    monkeypatch.setattr("jobstate.embedded.process._KEEPER", impatient)
    with Redis() as local:
        pid = local.pid
        os.kill(pid, signal.SIGSTOP)
        local.stop()
        assert gone([pid])


def test_a_server_that_does_not_end_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here it is its keeper that does nothing; in life, a disk that hangs."""
    monkeypatch.setattr("jobstate.embedded.process.PATIENCE", 0.1)
    with Redis() as local:
        lazy = psutil.Process(local.pid).parent()
        assert lazy is not None
        lazy.suspend()
        try:
            with pytest.raises(EmbeddedError, match=f"Process {local.pid} did not end: SIGKILL"):
                local.stop()
        finally:
            lazy.resume()
        lazy.wait(PATIENCE)
        assert not local.running


def told_by(starter: "subprocess.Popen[str]") -> list[Any]:
    assert starter.stdout is not None
    line = starter.stdout.readline()
    assert line, starter.communicate()[1]
    told: list[Any] = json.loads(line)
    return told
