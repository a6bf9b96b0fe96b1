"""Has log records say which job they are about, also those of bodies."""

import logging
from typing import Any

from jobstate.answers import about
from jobstate.celery.attempt import current_attempt

_NAMES = ("job_id", "user_id", "attempt")


class JobLogFilter(logging.Filter):
    """Gives every record ``job_id``, ``user_id`` and ``attempt``; None where no job runs.

    Add it to a handler: filters of loggers do not see what their children log. `install` adds it
    to the handlers that Celery sets up in a worker.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        attempt = current_attempt()
        known = {} if attempt is None else about(attempt.job)
        for name in _NAMES:
            # What jobstate itself logs says it already, and may be about another job.
            if not hasattr(record, name):
                setattr(record, name, known.get(name))
        return True


def add_filter(logger: Any, **_: Any) -> None:
    """Add the filter to the handlers of a logger that Celery has set up; repeatable."""
    for handler in logger.handlers:
        handler.addFilter(_filter)


_filter = JobLogFilter()
