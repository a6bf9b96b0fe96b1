"""Traces of OpenTelemetry, where a process records them; elsewhere nothing happens here.

A trace goes from whoever enqueues over the message to every attempt: its headers are among those
of the message, and so in the row, from where the message is published again.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

from jobstate.records import Job
from jobstate.states import JobStatus

_CELERYS = "opentelemetry.instrumentation.celery"


class JobSpan:
    """A span about a job, of jobstate's or of Celery's instrumentation; or none at all."""

    def __init__(self, span: Any = None, token: Any = None) -> None:
        self._span = span
        self._token = token
        self._ends = token is not None

    def describe(self, job: Job) -> None:
        """Say which job it is about."""
        if self._span is not None:
            about = {"id": str(job.id), "type": job.job_type, "user_id": str(job.user_id)}
            self._span.set_attributes({f"job.{name}": value for name, value in about.items()})

    def taken(self, job: Job) -> None:
        """Say which attempt it is, and from when on the body runs."""
        if self._span is not None:
            self.describe(job)
            self._span.set_attribute("job.attempt", job.attempt)
            self._span.add_event("taken")

    def landed(self, job: Job) -> None:
        """Say how the job has landed. The span ends; what follows the job still belongs to it."""
        if self._span is None or (otel := _otel()) is None:
            return
        self._span.set_attribute("job.status", job.status.value)
        if job.error_code is not None:
            self._span.set_attribute("job.error_code", job.error_code)
        if job.status is JobStatus.FAILED:
            self._span.set_status(otel.trace.StatusCode.ERROR, job.error_code)
        self._end()

    def leave(self) -> None:
        """End it, and go back to what was before."""
        self._end()
        if self._token is not None and (otel := _otel()) is not None:
            token, self._token = self._token, None
            otel.context.detach(token)

    def _end(self) -> None:
        if self._ends:
            self._ends = False
            self._span.end()


@contextmanager
def enqueueing(job_type: str) -> Iterator[JobSpan]:
    """Have a span while a job is created and published."""
    if (otel := _otel()) is None:
        yield JobSpan()
        return
    # The instrumentation of Celery has a span of its own for the message.
    kinds = otel.trace.SpanKind
    kind = kinds.INTERNAL if _is_instrumented() else kinds.PRODUCER
    with otel.tracer().start_as_current_span(f"enqueue {job_type}", kind=kind) as span:
        yield JobSpan(span)


def start_run(task_name: str, request: Any) -> JobSpan:
    """Start the span of an attempt, in the trace of its message, until it has landed or `leave`.

    Where the instrumentation of Celery has one already, it is that.
    """
    if (otel := _otel()) is None:
        return JobSpan()
    current = otel.trace.get_current_span()
    if getattr(getattr(current, "instrumentation_scope", None), "name", None) == _CELERYS:
        return JobSpan(current)
    parent = None
    if not current.get_span_context().is_valid:
        names = otel.propagate.get_global_textmap().fields
        sent = {name: getattr(request, name, None) for name in names} | (request.headers or {})
        parent = otel.propagate.extract(_texts_of(sent))
    kind = otel.trace.SpanKind.CONSUMER
    span = otel.tracer().start_span(f"run {task_name}", context=parent, kind=kind)
    return JobSpan(span, otel.context.attach(otel.trace.set_span_in_context(span, parent)))


def headers() -> dict[str, str]:
    """Return what a message carries, so that its attempts belong to the current trace."""
    carried: dict[str, str] = {}
    if (otel := _otel()) is not None:
        otel.propagate.inject(carried)
    return carried


def within(carried: Mapping[str, Any], call: Callable[..., object]) -> Callable[..., object]:
    """Have a call made in the trace of a message, whoever makes it."""
    if (otel := _otel()) is None:
        return call

    def traced(**options: Any) -> object:
        token = otel.context.attach(otel.propagate.extract(_texts_of(carried)))
        try:
            return call(**options)
        finally:
            otel.context.detach(token)

    return traced


def _texts_of(carried: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in carried.items() if isinstance(value, str)}


def _is_instrumented() -> bool:
    """Tell whether Celery's own instrumentation is at work in this process."""
    module: Any = sys.modules.get(_CELERYS)
    return module is not None and module.CeleryInstrumentor().is_instrumented_by_opentelemetry


def _otel() -> SimpleNamespace | None:
    """Return the parts of the API; None while nobody in this process records traces."""
    if (api := _api()) is None:
        return None
    provider = api.trace.get_tracer_provider()
    return None if isinstance(provider, api.trace.ProxyTracerProvider) else api


@cache
def _api() -> SimpleNamespace | None:
    """Return the parts of the API; None without it."""
    try:
        from opentelemetry import context, propagate, trace  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return SimpleNamespace(
        context=context,
        propagate=propagate,
        trace=trace,
        tracer=lambda: trace.get_tracer("jobstate"),
    )
