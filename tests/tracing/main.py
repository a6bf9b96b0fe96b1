"""A worker whose spans go into a file: `celery -A tests.tracing.main worker`."""

import json
import os
from pathlib import Path

from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from tests.worker.apps import make_app

conf = json.loads(os.environ["TEST_WORKER"])
provider = TracerProvider()
spans = Path(conf["spans"]).open("a", buffering=1)  # noqa: SIM115 - as long as the process lives
exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(indent=None) + "\n")
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
if conf["instrumented"]:
    CeleryInstrumentor().instrument()

app = make_app(**conf)
app.set_default()
