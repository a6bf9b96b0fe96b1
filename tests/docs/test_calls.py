"""A call that is named within a sentence can be made: the function is there, and takes that."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import tqdm

import jobstate
from jobstate import AsyncJobService, CurrentJob, JobService, JobState, JobTask
from jobstate.django import DjangoJobTask
from tests.examples import PAGES, prose

OBJECTS: dict[str, Any] = {
    "JobService": JobService,
    "export": JobTask,
    "job": CurrentJob,
    "jobs": JobState,
    "jobs.aio": AsyncJobService,
    "jobs.service": JobService,
    "jobstate": jobstate,
    "print_order": JobTask,
    "self": JobTask,
    "self.job": CurrentJob,
    "tqdm": tqdm.tqdm,
}
"""What the pages call by these names."""

MODULES = [
    *("jobstate", "jobstate.metrics", "jobstate.testing", "jobstate.store.migrations"),
    *("jobstate.web.django", "jobstate.web.fastapi", "jobstate.web.flask"),
]
"""Where a name without an object before it comes from, if it is no method."""

THEIRS = {
    *("Celery", "Queue", "csrf.exempt", "sync_to_async", "timedelta"),
    *("increase", "rate"),  # of Prometheus
    *("len", "tqdm"),
    "jobstate.jobs",  # a table
    "request.auser",  # of Django
    "session.flush",  # of SQLAlchemy
}
"""What is not ours."""


def calls(page: str) -> Iterator[ast.Call]:
    for code in re.findall(r"`([^`\n]*\([^`\n]*)`", prose(page)):
        # f(x=) speaks of an argument without a value, f(*, x=1) of one that has to be named.
        whole = re.sub(r"=(?=[,)])", "=...", code).replace("*, ", "")
        with suppress(SyntaxError):
            yield from (node for node in ast.walk(ast.parse(whole)) if isinstance(node, ast.Call))


def found(name: str) -> Any:
    """Return what a page means by a name, or None."""
    *before, last = name.split(".")
    where = ".".join(before)
    if where in OBJECTS:
        return getattr(OBJECTS[where], last, None)
    if where.startswith("jobstate."):
        return getattr(importlib.import_module(where), last, None)
    places = [*map(importlib.import_module, MODULES), CurrentJob, DjangoJobTask, JobService]
    places += [JobState, JobTask] if not where else []
    named = (getattr(place, last, None) for place in places)
    return next(filter(callable, named), None)


@pytest.mark.parametrize("page", PAGES)
def test_a_call_within_a_sentence_can_be_made(page: str) -> None:
    for call in calls(page):
        name = ast.unparse(call.func)
        if name in THEIRS or not re.fullmatch(r"[\w.]+", name):
            continue
        function = found(name)
        assert function is not None, f"there is no {name}"
        parameters = inspect.signature(function).parameters
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        given = {keyword.arg for keyword in call.keywords if keyword.arg}
        assert takes_any or given <= parameters.keys(), ast.unparse(call)
