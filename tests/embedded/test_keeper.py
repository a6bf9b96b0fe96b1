"""The keeper of a server: what its starter asks of it, and what it does when nobody can ask."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jobstate.embedded import keeper
from tests.embedded.conftest import PATIENCE

Eventually = Callable[[Callable[[], object]], None]

PATIENT = (signal.SIGINT, signal.SIGTERM)

# Notes each signal that it gets, and ends with SIGTERM alone.
SERVER = """
import signal, sys, time
from pathlib import Path
notes = Path(sys.argv[1])
def note(number, frame):
    notes.write_text(notes.read_text() + f"{number} ")
    if number == signal.SIGTERM or len(sys.argv) > 2:
        sys.exit()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, note)
notes.write_text("ready ")
while True:
    time.sleep(60)
"""

Keep = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """What the server writes down."""
    return tmp_path / "notes"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The temporary directory of the server."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def keep(tmp_path: Path, notes: Path, directory: Path, eventually: Eventually) -> Iterator[Keep]:
    """Have a keeper run the server, or another program; both are gone at the end."""
    keepers: list[subprocess.Popen[bytes]] = []

    def start(*more: str, command: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        order = {
            "command": command or [sys.executable, "-c", SERVER, str(notes), *more],
            "user": None,
            "group": None,
            "cwd": str(tmp_path),
            "ending": PATIENT,
            "temporary": str(directory),
        }
        process = subprocess.Popen(
            [sys.executable, keeper.__file__, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        keepers.append(process)
        if not command:
            eventually(lambda: notes.exists() and notes.read_text() == "ready ")
        return process

    yield start
    for process in keepers:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(PATIENCE)
        process.stdout.close()  # type: ignore[union-attr]


def server_of(process: "subprocess.Popen[bytes]") -> psutil.Process:
    """Read which process the keeper says that it runs."""
    assert process.stdout is not None
    return psutil.Process(int(process.stdout.readline()))


def ask(process: "subprocess.Popen[bytes]", how: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(how)


def test_a_server_ends_with_the_first_signal_that_it_heeds(
    keep: Keep, notes: Path, directory: Path
) -> None:
    process = keep("heeds both")
    server = server_of(process)
    assert server.parent() == psutil.Process(process.pid)
    ask(process, b"f")
    assert process.wait(PATIENCE) == 0
    assert not server.is_running()
    assert notes.read_text() == f"ready {signal.SIGINT:d} "
    assert directory.exists(), "who asked is there, and may want to look"


def test_a_server_that_must_end_at_once_is_spared_the_gentle_signal(
    keep: Keep, notes: Path
) -> None:
    process = keep()
    ask(process, b"i")
    assert process.wait(PATIENCE) == 0
    assert notes.read_text() == f"ready {signal.SIGTERM:d} "


def test_a_server_whose_starter_is_gone_ends_and_leaves_nothing(
    keep: Keep, directory: Path, eventually: Eventually
) -> None:
    process = keep("heeds both")
    server = server_of(process)
    assert process.stdin is not None
    process.stdin.close()
    eventually(lambda: not server.is_running())
    assert process.wait(PATIENCE) == 0
    assert not directory.exists()


def test_a_keeper_ends_with_its_server(keep: Keep, directory: Path) -> None:
    process = keep()
    server_of(process).kill()
    assert process.wait(PATIENCE) == 0
    assert directory.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_keeper_does_not_leave_its_server(
    keep: Keep, notes: Path, number: signal.Signals
) -> None:
    """A signal that is meant for a whole terminal or session ends it only with the server."""
    process = keep()
    server = server_of(process)
    process.send_signal(number)
    ask(process, b"i")
    assert process.wait(PATIENCE) == 0
    assert not server.is_running()
    assert notes.read_text() == f"ready {signal.SIGTERM:d} "


def test_a_program_that_cannot_be_run_is_announced_by_nothing(keep: Keep) -> None:
    process = keep(command=("/no/such/program",))
    assert process.stdout is not None
    assert process.stdout.readline() == b""
    assert process.wait(PATIENCE) != 0
