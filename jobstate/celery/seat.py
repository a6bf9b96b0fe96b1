"""Under which name this worker takes jobs: shared between its main process and its pool."""

import mmap
import os
from uuid import UUID

_NOBODY = bytes(16)


class Seat:
    """The worker's id, in memory that pool processes inherit when they are forked.

    A worker that was buried comes back with a new id, and its children must learn of it without
    a query. There are two places and a selector: a reader never sees half an id.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1 + 2 * len(_NOBODY))
        self.main_pid: int | None = None
        """The worker's main process; None while this process is no part of a worker."""

    @property
    def worker_id(self) -> UUID | None:
        """The id, or None while this process belongs to no registered worker."""
        start = 1 + len(_NOBODY) * self._memory[0]
        found = self._memory[start : start + len(_NOBODY)]
        return None if found == _NOBODY else UUID(bytes=found)

    @worker_id.setter
    def worker_id(self, worker_id: UUID | None) -> None:
        other = 1 - self._memory[0]
        start = 1 + len(_NOBODY) * other
        self._memory[start : start + len(_NOBODY)] = worker_id.bytes if worker_id else _NOBODY
        self._memory[0] = other

    @property
    def in_pool_process(self) -> bool:
        """Whether this is a child that the worker's main process forked."""
        return self.main_pid not in (None, os.getpid())
