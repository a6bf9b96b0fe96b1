"""A Flower in a process of its own."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jobstate.embedded.ports import free_port
from tests.worker.process import PATIENCE, ROOT, eventually

CONFIG = """\
import jobstate.flower

jobstate_refresh = {}
"""

Condition = Callable[[dict[str, Any]], object]


class FlowerProcess:
    """A Flower that ends with the ``with`` block, configured by the one line of the docs."""

    def __init__(self, folder: Path, conf: dict[str, Any], refresh: float) -> None:
        config = folder / "flowerconfig.py"
        config.write_text(CONFIG.format(refresh))
        self._log = folder / "flower.log"
        self._environment = {**os.environ, "TEST_WORKER": json.dumps(conf)}
        self.url = f"http://127.0.0.1:{free_port()}"
        self._command = [sys.executable, "-m", "celery", "-A", "tests.worker.main", "flower"]
        self._command += [f"--port={self.url.rpartition(':')[2]}", "--address=127.0.0.1"]
        self._command += [f"--conf={config}"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env={**self._environment, "FLOWER_UNAUTHENTICATED_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self._answers, "an answer of Flower")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> Any:
        """Return what the API answers; None where there is nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def task(self, job_id: object) -> dict[str, Any]:
        """Return what Flower knows of a job; nothing where it knows none."""
        return self.get(f"/api/task/info/{job_id}") or {}

    def shows(self, job_id: object, condition: Condition) -> dict[str, Any]:
        """Wait until what Flower knows of a job meets a condition, and return it."""

        def found() -> dict[str, Any] | None:
            task = self.task(job_id)
            return task if task and condition(task) else None

        try:
            shown: dict[str, Any] = eventually(found, "what Flower should show")
        except AssertionError as error:
            raise AssertionError(f"{self.task(job_id)}\n{self.log[-2000:]}") from error
        return shown

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Flower has ended:\n{self.log}"
        try:
            with urllib.request.urlopen(f"{self.url}/healthcheck", timeout=1):  # noqa: S310
                return True
        except OSError:
            return False
