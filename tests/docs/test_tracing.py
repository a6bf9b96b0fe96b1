"""The examples of docs/operations/tracing.md."""

import logging

import pytest
from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import trace

from tests.examples import Example


@pytest.mark.examples("docs/operations/tracing.md", "from opentelemetry", "def trace_this_process")
def test_the_provider_is_set_in_every_process(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr(trace, "set_tracer_provider", given.append)
    names: dict[str, object] = {}
    for example in examples:
        example.run(names)
    assert len(given) == 1
    try:
        names["trace_this_process"]()  # type: ignore[operator]  # it is a function
    finally:
        worker_process_init.disconnect(names["trace_this_process"])
    assert len(given) == 2


@pytest.mark.examples("docs/operations/tracing.md", "worker_log_format")
def test_the_format_names_the_job(examples: list[Example]) -> None:
    app = Celery("shop", set_as_current=False)
    (example,) = examples
    example.run({"app": app})
    assert "%(job_id)s" in app.conf.worker_task_log_format
    assert app.conf.worker_log_format == app.conf.worker_task_log_format


@pytest.mark.examples("docs/operations/tracing.md", "dictConfig")
def test_the_filter_can_be_configured(
    examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        (example,) = examples
        example.run({})
        logging.getLogger("shop").info("Hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert capsys.readouterr().err == "Hello job=None\n"
