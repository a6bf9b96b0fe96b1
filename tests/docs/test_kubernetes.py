"""The pod of docs/how-to/kubernetes.md: its commands run, and its times fit."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from ruamel.yaml import YAML

from jobstate import JobTask
from jobstate.celery.setup import tasks_of
from jobstate.doctor import configured
from tests.cli.programs import environment
from tests.docs.commands import check
from tests.examples import Example, blocks
from tests.worker.process import PATIENCE, eventually

POD = "terminationGracePeriodSeconds"


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """An app with a task of each kind."""
    # No app shares the tasks of other tests' apps.
    monkeypatch.setattr("celery._state._on_app_finalizers", set())
    app = Celery("shop", set_as_current=False)

    def work() -> None:
        """Do nothing."""

    for name, late in (("early", False), ("late", True)):
        app.task(name=name, base=JobTask, acks_late=late, shared=False)(work)
    yield app
    app.close()


@pytest.mark.examples("docs/how-to/kubernetes.md", "task_time_limit", "spec:")
def test_every_task_that_may_not_run_again_ends_before_the_grace_period_does(
    examples: list[Example], app: Celery
) -> None:
    limits, pod = examples
    limits.run({"app": app})
    grace = YAML(typ="safe").load(pod.take())["spec"][POD]
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < grace
    assert list(configured.grace(tasks_of(app), {}, grace)) == []
    # Without the page's grace period it is Kubernetes's own, and the doctor says so.
    (found,) = configured.grace(tasks_of(app), {}, 30)
    assert found.what.startswith("early may take 90 s")


@pytest.mark.examples("docs/how-to/kubernetes.md", "spec:")
def test_the_worker_of_the_pod_answers_its_probe_and_ends_by_sigterm(
    examples: list[Example], tmp_path: Path, jobs_url: str, broker_url: str
) -> None:
    (pod,) = examples
    (container,) = YAML(typ="safe").load(pod.take())["spec"]["containers"]
    probe = container["livenessProbe"]
    assert probe["timeoutSeconds"] < probe["periodSeconds"]
    for command in (container["command"], probe["exec"]["command"]):
        check(command)

    shop, *_ = blocks("docs/quickstart.md", "python")
    shop.replace("redis://localhost/0", broker_url)
    (tmp_path / "shop.py").write_text(shop.code)
    given: Any = {
        "cwd": tmp_path,
        "env": environment(
            HOSTNAME=os.uname().nodename,  # as in a pod
            JOBSTATE_DATABASE_URL=jobs_url,
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        ),
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    worker = subprocess.Popen(container["command"], start_new_session=True, **given)

    def answers() -> bool:
        assert worker.poll() is None
        return subprocess.run(probe["exec"]["command"], check=False, **given).returncode == 0

    try:
        eventually(answers, "an answer to the probe")
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
