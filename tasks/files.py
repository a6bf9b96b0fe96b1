"""Where the example's tasks read and write their files."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jobstate


def inputs() -> Path:
    """Returns the only folder that tasks read from: `JOBSTATE_DEMO_INPUT`."""
    return Path(os.environ.get("JOBSTATE_DEMO_INPUT") or tempfile.gettempdir()).resolve()


def outputs() -> Path:
    """Returns the folder below which all files of jobs lie: `JOBSTATE_DEMO_OUTPUT`."""
    default = Path(tempfile.gettempdir()) / "jobstate-demo"
    return Path(os.environ.get("JOBSTATE_DEMO_OUTPUT") or default).resolve()


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


def output_path(job: jobstate.CurrentJob, name: str) -> Path:
    """Returns `{user_id}/{job_id}/{attempt}/{name}`, where no other attempt writes.

    Raises:
        ValueError: One of the four would lead elsewhere, say a user id "../admin".
    """
    parts = [str(job.user_id), str(job.id), str(job.attempt), name]
    for part in parts:
        if part in {"", ".."} or part != Path(part).name:
            raise ValueError(
                f"{part!r} cannot be part of a path (one plain name is expected, without slashes). "
                "Choose another name."
            )
    return outputs().joinpath(*parts)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which becomes `path` when the block ends well.

    Nobody sees half a file under its final name, and an error or a cancellation leaves none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # the asset row is durable; its file must be so before
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def link(job: jobstate.CurrentJob, asset_type: str, path: Path, content_type: str) -> None:
    """Links a file below `outputs()` to its job, with size and checksum."""
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    job.add_asset(
        asset_type,
        url=path.as_uri(),
        storage_path=str(path.relative_to(outputs())),
        file_size=path.stat().st_size,
        content_type=content_type,
        sha256=checksum,
    )


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
