"""pytest-celery's nodes, on local processes.

Its clusters, nodes and `celery_setup` are its own. Where a Docker engine runs, broker and result
backend are its containers. The worker is a local process everywhere: it runs this checkout, and
reaches a Postgres that listens on the loopback interface alone.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import docker
import pytest
from celery import Celery
from pytest_celery import (
    CeleryBrokerCluster,
    CeleryTestBroker,
    CeleryWorkerContainer,
    RedisContainer,
)

import jobstate
from jobstate import JobState
from jobstate.embedded import Redis
from jobstate.embedded.ports import free_port
from tests.djangos import set_up
from tests.nodes.local import LocalRedis, LocalWorker
from tests.worker.apps import make_app
from tests.worker.process import WorkerProcess


class RedisProcess(RedisContainer):
    """The Redis of a node, on a port of this host."""

    @property
    def port(self) -> int:
        """The port on this host."""
        return int(self._container.server.port)


@pytest.fixture(autouse=True, scope="session")
def _django_can_be_looked_at() -> None:
    """When a node ends, pytest-celery looks at all there is in memory: Django's settings, too."""
    set_up()


@cache
def engine_runs() -> bool:
    """Whether there is a Docker engine to talk to."""
    try:
        return bool(docker.from_env(timeout=5).ping())
    except docker.errors.DockerException:
        return False


@pytest.fixture
def default_redis_broker_ports() -> dict[str, int]:
    """A port that the container keeps over a restart, so that the local worker finds it again."""
    return {"6379/tcp": free_port()}


@pytest.fixture
def default_redis_broker(request: pytest.FixtureRequest) -> Iterator[RedisContainer]:
    """The broker."""
    yield from redis_node(request, "broker")


@pytest.fixture
def default_redis_backend(request: pytest.FixtureRequest) -> Iterator[RedisContainer]:
    """The result backend."""
    yield from redis_node(request, "backend")


def redis_node(request: pytest.FixtureRequest, name: str) -> Iterator[RedisContainer]:
    """A container of pytest-celery's own where there is an engine, a process elsewhere."""
    if engine_runs():
        yield request.getfixturevalue(f"default_redis_{name}")
        return
    with Redis() as server:
        yield RedisProcess(LocalRedis(name, server))


@pytest.fixture
def celery_broker_cluster(celery_redis_broker: CeleryTestBroker) -> Iterator[CeleryBrokerCluster]:
    """Redis alone: the plugin's own choice is a set, whose order differs between processes."""
    cluster = CeleryBrokerCluster(celery_redis_broker)
    yield cluster
    cluster.teardown()


@pytest.fixture
def node_conf(celery_setup_config: dict[str, str], jobs_url: str) -> dict[str, Any]:
    """The configuration of both sides: the plugin's broker and backend, and a fresh database."""
    return {
        "database_url": jobs_url,
        "broker_url": celery_setup_config["broker_url"],
        "result_backend": celery_setup_config["result_backend"],
    }


@pytest.fixture
def default_worker_container(
    default_worker_container_cls: type[CeleryWorkerContainer],
    node_conf: dict[str, Any],
    tmp_path: Path,
) -> Iterator[CeleryWorkerContainer]:
    """A worker that takes messages."""

    def make(start: int) -> WorkerProcess:
        return WorkerProcess(tmp_path / f"worker-{start}.log", "prefork", node_conf)

    local = LocalWorker("worker", make)
    container = default_worker_container_cls(local)
    try:
        local.process.ready()
        yield container
    finally:
        local.process.kill()


@pytest.fixture
def celery_setup_app(node_conf: dict[str, Any]) -> Iterator[Celery]:
    """The app of the tests, which has jobstate and its tasks."""
    app = make_app(**node_conf)
    yield app
    app.close()


@pytest.fixture
def jobs(celery_setup_app: Celery) -> Iterator[JobState]:
    """The jobs of the nodes."""
    jobs = jobstate.install(celery_setup_app)
    yield jobs
    jobs.service.close()
