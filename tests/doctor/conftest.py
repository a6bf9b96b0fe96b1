"""An installation that is well, for tests to spoil."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

import jobstate
from jobstate import JobService, sweeping
from jobstate.celery.setup import setup_of
from jobstate.doctor import Finding, examine

GOOD: dict[str, Any] = {
    "broker_transport_options": {
        "visibility_timeout": 600,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
    },
    "task_time_limit": 300,
    "task_ignore_result": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


@dataclass
class Installation:
    """An app, its database, and workers as their rows tell of them."""

    url: str
    broker_url: str
    service: JobService
    apps: list[Celery] = field(default_factory=list)

    def app(self, *, install: bool = True, **conf: Any) -> Celery:
        """Make an app with one early and one late task."""
        app = Celery(f"shop{len(self.apps)}", broker=self.broker_url, set_as_current=False)
        app.conf.update({**GOOD, "jobstate_database_url": self.url, **conf})
        if install:
            jobstate.install(app)

        def work() -> None:
            """Do nothing."""

        for name, late in (("early", None), ("late", True)):
            declare = app.task(
                name=f"shop.{name}", base=jobstate.JobTask, acks_late=late, shared=False
            )
            declare(work)
        self.apps.append(app)
        return app

    def settings(self, app: Celery) -> jobstate.Settings:
        """Read the settings of an app."""
        return jobstate.Settings.load(app.conf)

    def start(self, app: Celery, hostname: str = "celery@here") -> None:
        """Note a worker of the app, and that it sweeps."""
        settings = self.settings(app)
        setup = setup_of(app, settings).encode()
        store = self.service.store
        store.run(sweeping.register_worker(uuid4(), hostname, 1, ["celery", "q"], 600, setup))
        store.run(sweeping.see(settings))

    def examine(
        self,
        app: Celery | None = None,
        grace: float | None = None,
        consumer_timeout: float | None = None,
    ) -> list[Finding]:
        """Have the doctor look, at an app or at the workers alone."""
        settings = self.settings(app or self.apps[0])
        return examine(settings, app, grace, consumer_timeout)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no app share the tasks of other tests' apps."""
    monkeypatch.setattr("celery._state._on_app_finalizers", set())


@pytest.fixture
def installation(service: JobService, jobs_url: str, broker_url: str) -> Iterator[Installation]:
    """A fresh one, without an app."""
    installation = Installation(jobs_url, broker_url, service)
    yield installation
    for app in installation.apps:
        app.close()


@pytest.fixture
def told(installation: Installation) -> Callable[..., list[tuple[str, str]]]:
    """Make a worker and an app with some configuration, and return what the doctor says."""

    def tell(grace: float | None = None, **conf: Any) -> list[tuple[str, str]]:
        app = installation.app(**conf)
        installation.start(app)
        return [(found.check.value, found.what) for found in installation.examine(app, grace)]

    return tell
