"""The app of the tests: one for each database and broker, on both sides of a worker."""

from typing import Any

from celery import Celery

import jobstate

TASKS = ("tests.worker.endings", "tests.worker.reporting", "tests.worker.workings")
"""The modules of the tasks."""

SYSTEM_USER = "00000000-0000-0000-0000-000000000001"


def make_app(
    database_url: str, broker_url: str, gates_url: str | None = None, **conf: Any
) -> Celery:
    """Make an app with jobstate and every task of the tests.

    The gates and the results are in the broker's Redis, unless they are given another one.
    """
    redis_url = gates_url or broker_url
    app = Celery("tests", broker=broker_url, include=TASKS, set_as_current=False)
    defaults = {
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {"visibility_timeout": 600, "socket_connect_timeout": 5},
        "gates_url": redis_url,
        "result_backend": redis_url,
        "task_ignore_result": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "jobstate_database_url": database_url,
        "jobstate_progress_interval": 0.05,
        "jobstate_system_user_id": SYSTEM_USER,
    }
    app.conf.update(defaults | conf)
    jobstate.install(app)
    app.loader.import_default_modules()
    return app
