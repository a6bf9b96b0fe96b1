"""Gives what a body logs to its attempt, wherever below the body it is logged."""

import logging

from celery.exceptions import SoftTimeLimitExceeded

from jobstate.celery.attempt import current_attempt


class JobHandler(logging.Handler):
    """Keeps the records of bodies whose task has `job_logs`; leaves all others alone."""

    def emit(self, record: logging.LogRecord) -> None:
        """Add the record to the job's logs. Waits for nobody; raises a soft time limit alone."""
        attempt = current_attempt()
        if attempt is None or attempt.reports.logs is None or _is_own(record):
            return
        try:
            attempt.reports.logs.add(record.levelname, record.name, self.format(record))
        except SoftTimeLimitExceeded:
            raise  # It is meant for the body, which comes by here often.
        except Exception:  # noqa: BLE001 - as every handler: a record that is broken is reported
            self.handleError(record)


def listen() -> None:
    """See that records reach the handler; repeatable."""
    listeners = [logging.getLogger()]
    # Celery keeps the logger of tasks apart from the root.
    if not (tasks := logging.getLogger("celery.task")).propagate:
        listeners.append(tasks)
    for logger in listeners:
        if _handler not in logger.handlers:
            logger.addHandler(_handler)


def _is_own(record: logging.LogRecord) -> bool:
    # What writing the logs logs must not be written in turn.
    return record.name == "jobstate" or record.name.startswith(("psycopg", "sqlalchemy"))


_handler = JobHandler()
