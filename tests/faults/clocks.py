"""A wrong clock for a process that is started: Debian's libfaketime, loaded before its program."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Not the one for programs with threads: it has a lock, which a pool process may inherit locked.
LIBRARY = Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1")


@contextmanager
def clock_off_by(seconds: int) -> Iterator[None]:
    """Start processes whose clock is wrong; how they measure time is right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(LIBRARY))
        patch.setenv("FAKETIME", f"{seconds:+d}s")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        yield
