"""The examples of docs/operations/tracing.md."""

import logging
import re
from pathlib import Path

import pytest
from celery import Celery
from celery.signals import worker_process_init
from opentelemetry import trace

PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "tracing.md").read_text()
SET_UP, FORKED, FORMAT, HANDLERS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_provider_is_set_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr(trace, "set_tracer_provider", given.append)
    names: dict[str, object] = {}
    exec(SET_UP + FORKED, names)  # noqa: S102 - the example itself
    assert len(given) == 1
    try:
        names["trace_this_process"]()  # type: ignore[operator]  # it is a function
    finally:
        worker_process_init.disconnect(names["trace_this_process"])
    assert len(given) == 2


def test_the_format_names_the_job() -> None:
    app = Celery("shop", set_as_current=False)
    exec(FORMAT, {"app": app})  # noqa: S102
    assert "%(job_id)s" in app.conf.worker_task_log_format
    assert app.conf.worker_log_format == app.conf.worker_task_log_format


def test_the_filter_can_be_configured(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        exec(HANDLERS, {})  # noqa: S102
        logging.getLogger("shop").info("Hello")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert capsys.readouterr().err == "Hello job=None\n"
