"""A real worker that traces, and a web process that does."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobstate.embedded import Redis
from tests.worker.database import new_database
from tests.worker.process import WorkerProcess, eventually
from tests.worker.site import Site

Span = dict[str, Any]
OpenTraced = Callable[..., Any]

LOG_FORMAT = "[%(processName)s] %(message)s job=%(job_id)s user=%(user_id)s attempt=%(attempt)s"


class TracedSite(Site):
    """A site whose worker writes its spans into a file."""

    def spans_of(self, job_id: object, runs: int = 1) -> list[Span]:
        """Return the worker's spans about runs of a job by attempt, once there are so many.

        A run's span ends after its landing, and after what follows it was dispatched.
        """

        def found() -> list[Span]:
            lines = Path(self.conf["spans"]).read_text().splitlines()
            spans = [json.loads(line) for line in lines if line.endswith("}")]
            of_job = [
                span
                for span in spans
                if span["attributes"].get("job.id") == str(job_id)
                and span["name"].startswith("run")
            ]
            in_order = sorted(of_job, key=lambda span: span["attributes"].get("job.attempt", 0))
            return in_order if len(in_order) >= runs else []

        spans: list[Span] = eventually(found, "the spans of the worker")
        return spans


class Provider(TracerProvider):
    """A provider that can be turned off: a process has one for good, and other tests have none."""

    on = False

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """Return a tracer, which does nothing while this is off."""
        return super().get_tracer(*args, **kwargs) if self.on else trace.NoOpTracer()


@pytest.fixture(scope="session")
def provider() -> Provider:
    """The provider of this process."""
    provider = Provider()
    trace.set_tracer_provider(provider)
    return provider


@pytest.fixture(scope="module", autouse=True)
def exporter(provider: Provider) -> Iterator[InMemorySpanExporter]:
    """What this process has traced: it plays the web app."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.on = True
    yield exporter
    provider.on = False


@pytest.fixture
def sent(exporter: InMemorySpanExporter) -> Callable[[], dict[str, ReadableSpan]]:
    """Return this test's spans by their names."""
    exporter.clear()
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture(scope="session")
def open_traced(
    postgres_url: str, _template: str, tmp_path_factory: pytest.TempPathFactory
) -> OpenTraced:
    """Open a site with a worker that traces; with Celery's own instrumentation or without."""

    @contextmanager
    def open_one(*, instrumented: bool) -> Iterator[TracedSite]:
        folder = tmp_path_factory.mktemp("traced")
        (folder / "spans").touch()
        conf = {"spans": str(folder / "spans"), "instrumented": instrumented}
        conf |= dict.fromkeys(("worker_log_format", "worker_task_log_format"), LOG_FORMAT)
        with (
            Redis() as broker,
            new_database(postgres_url, _template) as database_url,
            TracedSite(database_url, broker.url, **conf) as site,
            WorkerProcess(folder / "log", "prefork", site.conf, app="tests.tracing.main") as worker,
        ):
            site.worker = worker.ready()
            yield site

    return open_one


@pytest.fixture(scope="module")
def traced(open_traced: OpenTraced) -> Iterator[TracedSite]:
    """A worker without any other instrumentation."""
    with open_traced(instrumented=False) as site:
        yield site


@pytest.fixture(scope="module")
def instrumented(open_traced: OpenTraced) -> Iterator[TracedSite]:
    """A worker, and this process, with Celery's own instrumentation too."""
    with open_traced(instrumented=True) as site:
        CeleryInstrumentor().instrument()
        yield site
        CeleryInstrumentor().uninstrument()
