"""Where the example's tasks read their files, and make others."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jobstate


def inputs() -> Path:
    """Returns the only folder that tasks read from: `JOBSTATE_DEMO_INPUT`."""
    return Path(os.environ.get("JOBSTATE_DEMO_INPUT") or tempfile.gettempdir()).resolve()


def input_folder(name: str) -> Path:
    """Finds a folder among the inputs.

    Raises:
        JobFailed: `input_missing`; the same for a folder that lies elsewhere, so that nobody can
            ask what else is on this machine.
    """
    return _input("folder", name, Path.is_dir)


def input_file(name: str) -> Path:
    """Finds a file among the inputs.

    Raises:
        JobFailed: `input_missing`, as in `input_folder`.
    """
    return _input("file", name, Path.is_file)


@contextmanager
def scratch() -> Iterator[Path]:
    """Gives a folder for files that are being made; they are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="job-") as folder:
        yield Path(folder)


def _input(kind: str, name: str, is_kind: Callable[[Path], bool]) -> Path:
    root = inputs()
    with suppress(OSError, ValueError):  # no such path, or a name that can be none
        path = (root / name).resolve(strict=True)
        if path.is_relative_to(root) and is_kind(path):
            return path
    raise jobstate.JobFailed(
        f"There is no {kind} {name!r} in {root} (tasks read from there only). Put it there first.",
        code="input_missing",
    )
