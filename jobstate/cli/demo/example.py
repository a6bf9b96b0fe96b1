"""The repository's example, which is no part of the installed package: found when asked for."""

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from jobstate.celery import JobState, install
from jobstate.celery.find import find_app
from jobstate.cli.demo import plan
from jobstate.cli.demo.plan import DemoFailed

APP = "workers.app"
WEB = ("fastapi", "jinja2", "python_multipart", "uvicorn")

# Celery takes these from the environment past its configuration, and libpq its own past the URL:
# the demo must not end up at somebody's real servers.
_FOREIGN_PREFIXES = ("CELERY_", "PG")
_FOREIGN = frozenset({"BROKER_URL", "RESULT_BACKEND", "LOADER", "CONFIG_MODULE"})


def check_installed(*, with_web: bool) -> None:
    """Make sure that the example and what it needs can be imported.

    Raises:
        DemoFailed: Something is missing; the message says how to get it.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    needed = [("tasks", "samples"), ("workers", "app"), *([("web", "app")] if with_web else [])]
    if not all(_is_there(*each) for each in needed):
        raise DemoFailed(
            "The demo runs the example tasks of jobstate's repository, and this directory has no "
            "such tasks/ and workers/. Clone the repository and run: make demo"
        )
    if not _is_there("PIL"):
        raise DemoFailed(
            "Pillow is not installed: the demo draws pictures with it. "
            "Install it with: pip install pillow"
        )
    if with_web and not all(map(_is_there, WEB)):
        raise DemoFailed(
            f"{', '.join(WEB)} are not all installed: the web app needs them. "
            'Install them with: pip install "jobstate[fastapi,page]" python-multipart uvicorn'
        )


def point_at(database_url: str, broker_url: str, inputs: Path, outputs: Path) -> None:
    """Let the example, here and in the worker, use these servers and folders and no others."""
    for name in set(os.environ):
        if name in _FOREIGN or name.startswith(_FOREIGN_PREFIXES):
            del os.environ[name]
    os.environ |= {
        "JOBSTATE_DATABASE_URL": database_url,
        "JOBSTATE_BROKER_URL": broker_url,
        "JOBSTATE_DEMO_INPUT": str(inputs),
        "JOBSTATE_DEMO_OUTPUT": str(outputs),
        # A worker that is killed leaves what it keeps there.
        "TMPDIR": str(inputs),
    }


def make_input(database_url: str, inputs: Path) -> Iterator[None]:
    """Make everything that the planned jobs read, piece by piece."""
    samples = importlib.import_module("tasks.samples")
    yield
    samples.create_orders(database_url, plan.ORDERS)
    samples.write_customers_csv(
        inputs / "people.csv", plan.PEOPLE, plan.BAD_PEOPLE, plan.DOUBLE_PEOPLE
    )
    samples.write_customers_csv(inputs / "firms.csv", plan.FIRMS, bad=0)
    yield
    samples.draw_images(inputs / "photos", plan.PICTURES)
    yield
    # One more than is kept: the last one is always broken.
    samples.draw_images(inputs / "garden", plan.GARDEN + 1)[-1].unlink()


def load_jobs() -> JobState:
    """Load the example's app and its tasks, by name."""
    app = find_app(APP)
    app.loader.import_default_modules()
    return install(app)


def _is_there(package: str, module: str = "__init__") -> bool:
    # Looked up and not imported: what has the same name here may be something else.
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    return any(Path(folder, f"{module}.py").is_file() for folder in folders)
