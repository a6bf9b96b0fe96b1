"""Tells monitors, such as Flower, what Celery's own events do not say of a job."""

import logging
from collections.abc import Mapping
from typing import Any

from celery import Celery

from jobstate.celery.broker import bounded_producer
from jobstate.celery.circuit import Circuit
from jobstate.celery.flusher import flusher
from jobstate.progress import Report
from jobstate.records import Job

logger = logging.getLogger("jobstate")

PROGRESS = "progress"
"""What becomes of ``task-progress``: a job was taken, or its progress was written."""

LANDED = "landed"
"""What becomes of ``task-landed``: an attempt has landed its job."""


def facts_of(job: Job) -> dict[str, Any]:
    """Return what an event says about a job."""
    return {
        "job_type": job.job_type,
        "owner": str(job.user_id),
        "attempt": job.attempt,
        "job_status": job.status.value,
        "progress": job.progress,
        "progress_message": job.progress_message,
        "error_code": job.error_code,
    }


class Announcer:
    """Sends Celery task events about jobs, while somebody watches the worker.

    An event is a courtesy: it is sent from a thread of its own, is given up when the broker does
    not take it at once, and nothing waits for it. Monitors find what they missed in the table.
    """

    def __init__(self, app: Celery, timeout: float) -> None:
        self._app = app
        self._timeout = timeout
        self._circuit = Circuit()

    def announce(self, subject: str, job: Job, hostname: str, report: Report | None = None) -> None:
        """Send an event with the facts of a job, and a later report; returns at once."""
        fields = facts_of(job)
        if report is not None:
            newer = {"progress": report.percent, "progress_message": report.message}
            fields |= {name: value for name, value in newer.items() if value is not None}
        try:
            flusher.wake(0.0, lambda: self._send(subject, str(job.id), hostname, fields))
        except RuntimeError:
            logger.debug("The interpreter ends: event %s of job %s is not sent", subject, job.id)

    def _send(self, subject: str, job_id: str, hostname: str, fields: Mapping[str, Any]) -> None:
        if not self._circuit.admits():
            return
        try:
            with bounded_producer(self._app, self._timeout) as producer:
                dispatcher = self._app.events.Dispatcher(
                    producer.connection,
                    hostname=hostname,
                    channel=producer.channel,
                    buffer_while_offline=False,
                )
                dispatcher.send(f"task-{subject}", uuid=job_id, **fields)
            self._circuit.worked()
        except Exception as error:  # noqa: BLE001 - every transport has its own
            self._circuit.failed()
            logger.debug("Event %s of job %s was not sent: %s", subject, job_id, error)
