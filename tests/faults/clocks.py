"""A worker's wrong clock.

It is Python's alone that is wrong. Debian's libfaketime, which has every program's be wrong, also
has `time.sleep` fail, and now and then crashes a process with threads.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.worker.process import CLOCK_OFF_BY


@contextmanager
def clock_off_by(seconds: int) -> Iterator[None]:
    """Start workers whose clock is wrong; how they measure time is right."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLOCK_OFF_BY, str(seconds))
        yield
