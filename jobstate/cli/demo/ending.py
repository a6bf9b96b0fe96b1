"""Requests to end: Ctrl-C, SIGTERM, a terminal that is closed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Requests:
    """Notes requests to end, to be heeded where that leaves nothing half done.

    An exception out of a signal could come in the middle of a start or a stop, or where Python
    has to ignore it.
    """

    def __init__(self) -> None:
        self._noted = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note what comes while the block runs."""
        before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def heed(self) -> None:
        """End here if that was asked for.

        Raises:
            KeyboardInterrupt: It was.
        """
        if self._noted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        del number, frame
        self._noted = True
