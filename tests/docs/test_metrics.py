"""The apps of docs/operations/metrics.md answer where they are mounted."""

from types import SimpleNamespace

import prometheus_client
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from prometheus_client import CollectorRegistry, generate_latest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from jobstate import JobService
from jobstate.metrics import ProcessMetrics
from tests.examples import Example


@pytest.fixture
def apps(examples: list[Example], service: JobService) -> tuple[FastAPI, Flask]:
    """A FastAPI and a Flask app, after the example."""
    (mount,) = examples
    app, flask_app = FastAPI(), Flask("shop")
    names = {"app": app, "flask_app": flask_app, "jobs": SimpleNamespace(service=service)}
    mount.run({**names, "DispatcherMiddleware": DispatcherMiddleware})
    return app, flask_app


@pytest.mark.examples("docs/operations/metrics.md", "asgi_app")
def test_the_example_mounts_the_metrics(apps: tuple[FastAPI, Flask]) -> None:
    app, flask_app = apps
    with TestClient(app) as client:
        answer = client.get("/metrics/")
    assert answer.status_code == 200
    assert "jobstate_up 1.0" in answer.text
    assert "jobstate_up 1.0" in Client(flask_app.wsgi_app).get("/metrics").text


@pytest.mark.examples("docs/operations/metrics.md", "REGISTRY.register")
def test_the_example_adds_a_process_to_the_registry_it_has(
    examples: list[Example],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    (register,) = examples
    register.run({})
    assert b"\njobstate_process_viewers " in generate_latest(registry)
    with pytest.raises(ValueError, match="jobstate_process_viewers"):
        registry.register(ProcessMetrics())
