"""What each pool process runs: told to the worker's main process in memory that they share.

A process that lives does not prove that it runs what it holds: its take may have been done after
it had given up waiting for the answer, or a signal may have interrupted its landing.
"""

import mmap
import os
import struct
from uuid import UUID

from billiard.process import current_process

_PLACE = struct.Struct("=i16s")
_PLACES = 4096
_NOTHING = bytes(16)


class Bench:
    """One place for each process of the pool, by its number in the pool."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _PLACE.size * _PLACES)

    def sit(self, job_id: UUID) -> None:
        """Tell, in a pool process, that it is about to take this job, and then runs it."""
        self._write(job_id.bytes)

    def rise(self) -> None:
        """Tell, in a pool process, that it runs nothing."""
        self._write(_NOTHING)

    def runs(self, pid: int, job_id: UUID) -> bool:
        """Tell, in the main process, whether a pool process says that it runs this job.

        One that never said anything is believed to.
        """
        for place in range(_PLACES):
            sitting, found = _PLACE.unpack_from(self._memory, place * _PLACE.size)
            if sitting == pid:
                return bool(found == job_id.bytes)
        return True

    def _write(self, job_id: bytes) -> None:
        number = getattr(current_process(), "index", None)
        if number is not None and number < _PLACES:
            _PLACE.pack_into(self._memory, number * _PLACE.size, os.getpid(), job_id)
