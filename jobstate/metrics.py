"""Metrics of jobs for Prometheus: a registry that reads them from the database, and apps for it.

Needs the extra ``metrics``. Each exporter counts what happens from its own start on, as any
process does that Prometheus scrapes. Run one for a database.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    make_asgi_app,
    make_wsgi_app,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from jobstate import counters, figures
from jobstate.celery.runtime import is_a_broker_down
from jobstate.errors import JobStateError
from jobstate.figures import Cursor, Happened, Labels
from jobstate.service import JobService
from jobstate.states import JobStatus, is_terminal_state

__all__ = ["JobMetrics", "ProcessMetrics", "asgi_app", "wsgi_app"]

logger = logging.getLogger("jobstate")

AsgiApp = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

PAGE = 10_000
"""How many events are read at once."""

PAGES = 20
"""How many pages one scrape reads, so that it ends however much has happened."""

FRESH = 1.0
"""How long what was read is good for, in seconds: two scrapers cost as much as one."""

_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_RUNS = (0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 21600)


_EVENTS = {
    "retry": ("jobstate_retries_total", "Attempts that asked for a further one."),
    "rescue": ("jobstate_rescues_total", "Jobs that run again because their worker was lost."),
    "republish": ("jobstate_republishes_total", "Messages that were published again."),
    "stale_write": (
        "jobstate_stale_writes_total",
        "Attempts that wrote when their job was no longer theirs; at most three for a job.",
    ),
    "duplicate_delivery": (
        "jobstate_duplicate_deliveries_total",
        "Messages that were dropped because their job had been taken; at most three for a job.",
    ),
}


class JobMetrics(Collector):
    """Reads the figures when it is scraped, into a registry of its own.

    A database that is away costs a log line: counters stay, and ``jobstate_up`` is 0.

    Args:
        service: Where the jobs are.
    """

    def __init__(self, service: JobService) -> None:
        self._store = service.store
        self.registry = CollectorRegistry()
        self.registry.register(self)  # First, so that the others show what it has read.
        self.registry.register(ProcessMetrics())
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._cursor: Cursor | None = None
        self._types, self._codes = Labels(), Labels()
        self._begun: set[str] = set()
        self._make_metrics()

    def collect(self) -> Iterable[Metric]:
        """Read what is new; the metrics themselves are in the registry."""
        self.refresh()
        return ()

    def refresh(self) -> None:
        """Read what is new, unless somebody has just done so."""
        with self._lock:
            if self._read_at is not None and time.monotonic() - self._read_at < FRESH:
                return
            try:
                self._read_events()
                self._read_live()
            except JobStateError as error:
                logger.warning("The metrics could not be read: %s", error)
                self._up.set(0)
                self._forget_live()
            else:
                self._up.set(1)
            self._read_at = time.monotonic()

    def _make_metrics(self) -> None:
        registry = self.registry
        by_type: dict[str, Any] = {"labelnames": ["type"], "registry": registry}
        self._up = Gauge("jobstate_up", "Whether the database could be read.", registry=registry)
        self._live = Gauge(
            "jobstate_jobs_live",
            f"Jobs that have not landed; counted up to {figures.MOST_LIVE:,}.",
            ["type", "status"],
            registry=registry,
        )
        self._oldest = Gauge(
            "jobstate_oldest_queued_seconds",
            "How long the oldest queued job has waited since it was due.",
            **by_type,
        )
        self._workers = Gauge(
            "jobstate_workers", "Workers whose lease is alive.", registry=registry
        )
        self._swept = Gauge(
            "jobstate_sweeper_lag_seconds", "How long ago somebody swept.", registry=registry
        )
        self._enqueued = Counter(
            "jobstate_jobs_enqueued_total", "Jobs that were created.", **by_type
        )
        self._landed = Counter(
            "jobstate_jobs_total",
            "Jobs that have landed.",
            ["type", "status", "code"],
            registry=registry,
        )
        self._waits = Histogram(
            "jobstate_time_to_start_seconds",
            "How long jobs waited for their first attempt, since they were due.",
            buckets=_WAITS,
            **by_type,
        )
        self._runs = Histogram(
            "jobstate_run_seconds",
            "How long jobs took from their first attempt to their landing.",
            ["type", "status"],
            buckets=_RUNS,
            registry=registry,
        )
        self._events = {
            event: Counter(name, text, **by_type) for event, (name, text) in _EVENTS.items()
        }
        self._forget_live()

    def _read_events(self) -> None:
        if self._cursor is None:
            self._cursor = Cursor(self._store.run(figures.last_event()))
            return
        for _ in range(PAGES):
            since = figures.events_after(self._cursor.last, self._cursor.missing(), PAGE)
            found = self._store.run(since)
            for happened in self._cursor.take(found):
                self._count(happened)
            if not found:
                self._cursor.go_back(self._store.run(figures.last_event()))
            if len(found) < PAGE:
                return

    def _count(self, happened: Happened) -> None:
        job_type, status = self._known(happened.job_type), happened.to_status
        if (counter := self._events.get(happened.event)) is not None:
            counter.labels(job_type).inc()
        if status is None:
            return
        if is_terminal_state(status):
            code = self._codes.of(happened.error_code or "")
            self._landed.labels(job_type, status.value, code).inc()
            if happened.seconds is not None:
                self._runs.labels(job_type, status.value).observe(happened.seconds)
        elif happened.seconds is not None:
            self._waits.labels(job_type).observe(max(0.0, happened.seconds))
        elif status is JobStatus.QUEUED:
            self._enqueued.labels(job_type).inc()

    def _read_live(self) -> None:
        found = self._store.run(figures.live_jobs())
        keepers = self._store.run(figures.keepers())
        self._forget_live()
        oldest: dict[str, float] = {}
        for live in found:
            job_type = self._known(live.job_type)
            self._live.labels(job_type, live.status.value).inc(live.count)
            if live.oldest is not None:
                oldest[job_type] = max(live.oldest, oldest.get(job_type, 0.0))
        for job_type, seconds in oldest.items():
            self._oldest.labels(job_type).set(seconds)
        self._workers.set(keepers.workers)
        self._swept.set(math.nan if keepers.swept is None else keepers.swept)

    def _forget_live(self) -> None:
        """Show nothing of what is there now, rather than what was there at an earlier look."""
        for by_type in (self._live, self._oldest):
            by_type.clear()
        for gauge in (self._workers, self._swept):
            gauge.set(math.nan)

    def _known(self, job_type: str) -> str:
        """Return the type's label, and have what is rare at 0 for it: an increase needs a start."""
        label = self._types.of(job_type)
        if label not in self._begun:
            self._begun.add(label)
            for counter in self._events.values():
                counter.labels(label)
        return label


class ProcessMetrics(Collector):
    """Shows what this process itself has counted since its start, and asks no database.

    To be registered where a process shows metrics of its own; `JobMetrics` has it already.
    """

    def collect(self) -> Iterable[Metric]:
        """Return all of it; no series is left out for being at 0."""
        for counter in counters.COUNTERS:
            labels = [] if counter.label is None else [counter.label]
            family = CounterMetricFamily(
                f"jobstate_process_{counter.name}", counter.text, labels=labels
            )
            for value, number in counter.read().items():
                family.add_metric([value][: len(labels)], number)
            yield family
        yield GaugeMetricFamily(
            "jobstate_process_broker_down",
            "Whether the broker took no message when this process last tried to publish one.",
            is_a_broker_down(),
        )
        left = counters.VIEWERS_LEFT.read()  # First: who has left has come before.
        viewers = max(0, counters.VIEWERS_CAME.read() - left)
        yield GaugeMetricFamily(
            "jobstate_process_viewers", "Streams that this process has open.", viewers
        )

    def describe(self) -> Iterable[Metric]:
        """Return the same, so that a registry refuses to show it twice."""
        return self.collect()


def wsgi_app(service: JobService) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI app that answers with the metrics, to be mounted where Prometheus scrapes."""
    app: Callable[..., Iterable[bytes]] = make_wsgi_app(JobMetrics(service).registry)
    return app


def asgi_app(service: JobService) -> AsgiApp:
    """Return an ASGI app that answers with the metrics, and never blocks its event loop."""
    metrics = JobMetrics(service)
    # A thread has it read; the event loop must show what that has found, and never wait for more.
    metrics.registry.unregister(metrics)
    answer = make_asgi_app(metrics.registry)

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await asyncio.to_thread(metrics.refresh)
        await answer(scope, receive, send)

    return app
