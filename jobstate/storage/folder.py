"""Files in a folder."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from jobstate.errors import AssetNotFound
from jobstate.storage.base import Write, chunks, unavailable

T = TypeVar("T")

_RACES = 10
"""How often a folder is made anew that others have removed."""


class Folder:
    """A folder of this machine, or one that all workers and web servers have mounted.

    Args:
        url: ``file:///srv/assets``.
    """

    def __init__(self, url: str) -> None:
        self._root = Path(unquote(urlsplit(url).path))

    def url_of(self, path: str) -> str:
        """Return the URL of a file."""
        return (self._root / path).as_uri()

    @contextmanager
    def writer(self, path: str, content_type: str | None) -> Iterator[Write]:  # noqa: ARG002 - a folder keeps none
        """Write a file; see `Storage`."""
        target, part = self._root / path, self._part_of(path)
        try:
            with self._translated():
                file = _in_its_folder(part, lambda: part.open("wb"))
            try:

                def write(data: bytes) -> None:
                    with self._translated():
                        file.write(data)

                yield write
                with self._translated():
                    file.flush()
                    os.fsync(file.fileno())  # the row is durable; its file must be so before
                    file.close()
            finally:
                # A full disk refuses once more what it has refused; that was said already.
                with suppress(OSError):
                    file.close()
            with self._translated():
                _in_its_folder(target, lambda: part.replace(target))
                _sync_folder(target.parent)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
                part.parent.rmdir()

    def read(
        self, path: str, start: int = 0, end: int | None = None
    ) -> Generator[bytes, None, None]:
        """Yield the content of a file; see `Storage`."""
        with self._translated():
            try:
                file = (self._root / path).open("rb")
            except FileNotFoundError:
                raise AssetNotFound(path) from None
        with file, self._translated():
            yield from chunks(file, start, end)

    def delete(self, path: str) -> None:
        """Delete a file, and the folders that are empty without it; see `Storage`."""
        target, part = self._root / path, self._part_of(path)
        with self._translated():
            for file in (part, target):
                # A parent that is no folder: the file cannot be there either.
                with suppress(NotADirectoryError):
                    file.unlink(missing_ok=True)
        with suppress(OSError):
            part.parent.rmdir()
        for folder in target.parents:
            if folder == self._root or not folder.is_relative_to(self._root):
                break
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue  # never made, or removed by another; those around it may be empty
            except OSError:
                break  # not empty

    def sign(self, path: str, expires: float) -> None:
        """Return None: whoever may read the folder needs no URL."""

    def _part_of(self, path: str) -> Path:
        """Return where a file is while it is written: no asset can have that path."""
        target = self._root / path
        return target.parent.with_name(f"{target.parent.name}.part") / target.name

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unavailable(self._root.as_uri(), error) from error


def _in_its_folder(file: Path, action: Callable[[], T]) -> T:
    """Do something in a folder that is made before; others may remove it while it is empty."""
    for _ in range(_RACES):
        # It may go between any two steps of mkdir, which then finds it there, and no folder.
        with suppress(FileExistsError, FileNotFoundError):
            file.parent.mkdir(parents=True, exist_ok=True)
            return action()
    file.parent.mkdir(parents=True, exist_ok=True)
    return action()


def _sync_folder(folder: Path) -> None:
    """Have the disk remember the names in a folder too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
