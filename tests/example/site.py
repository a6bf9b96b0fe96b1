"""The example as it is deployed: its web app and a worker, with a database and a broker."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobstate import JobService, Settings
from jobstate.cli.demo.web import Web
from jobstate.cli.demo.worker import start_worker
from jobstate.embedded import Redis
from jobstate.store.migrations import apply
from tasks.samples import create_orders
from tests.worker.database import new_database

ORDERS = 3000


@dataclass(frozen=True)
class Site:
    """Where the web app is, its jobs, and the folder of what was uploaded."""

    url: str
    jobs: JobService
    uploads: Path


@contextmanager
def open_site(postgres_url: str, folder: Path) -> Iterator[Site]:
    """Start all of it; it ends with the block."""
    inputs, outputs = folder / "inputs", folder / "outputs"
    inputs.mkdir()
    with ExitStack() as stack:
        database_url = stack.enter_context(new_database(postgres_url, "template1"))
        settings = Settings(database_url=database_url, storage_url=outputs.as_uri())
        apply(settings, user_id_type="text")
        create_orders(database_url, ORDERS)
        broker = stack.enter_context(Redis())
        lock = stack.enter_context((folder / "lock").open("wb")).fileno()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JOBSTATE_DATABASE_URL", database_url)
            patch.setenv("JOBSTATE_BROKER_URL", broker.url)
            patch.setenv("JOBSTATE_DEMO_INPUT", str(inputs))
            patch.setenv("JOBSTATE_DEMO_OUTPUT", str(outputs))
            worker = start_worker(folder / "worker.log", lock, inputs)
            stack.callback(worker.stop)
            web = Web(folder / "web.log", lock, inputs)
            stack.callback(web.stop)
            web.wait(lambda: None)
        service = JobService.from_settings(settings)
        stack.callback(service.close)
        yield Site(web.url, service, inputs / "uploads")
