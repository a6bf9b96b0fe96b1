"""The end of commands that go on until they are told to end."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the block with exit status 0.

    Without a handler, the first process of a container would not hear it, and be killed after the
    whole grace period.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
