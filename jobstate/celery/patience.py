"""Waiting for the database where there is nothing else to be done: at the end of a job."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from jobstate.errors import ConfigurationError, SchemaMismatch, StoreUnavailable
from jobstate.waiting import backoff

T = TypeVar("T")

logger = logging.getLogger("jobstate")


def insist(call: Callable[[], T], job_id: UUID, doubted: Callable[[], object] = lambda: None) -> T:
    """Call until the database does it: only Celery's limits and a shutdown end the wait.

    One that refuses is mended by somebody, like one that is away: its tables are migrated, or its
    rights granted.

    Args:
        call: What is to be done.
        job_id: The job, for the log.
        doubted: Called when nobody knows whether it was done.
    """
    pauses = backoff()
    while True:
        try:
            return call()
        except (ConfigurationError, SchemaMismatch, StoreUnavailable) as error:
            doubted()
            pause = next(pauses)
            logger.warning(
                "Job %s waits %.1f s to be written: %s",
                job_id,
                pause,
                error,
                extra={"job_id": str(job_id)},
            )
            time.sleep(pause)
