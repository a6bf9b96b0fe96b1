"""Keeps uploaded files where the tasks read them: each upload in a folder of its own."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from fastapi import UploadFile

from tasks import files

MAX_FILES = 50
MAX_STEM = 60
"""How many characters are kept of a name, without its suffix."""
MAX_STEM_BYTES = 200
"""What they take at most: a file system allows 255 bytes, and a number, a suffix and how many more
files there are may follow."""


class UploadRefused(Exception):  # noqa: N818 - the same form as JobFailed
    """Nothing was kept; the message is for the user."""


@dataclass(frozen=True)
class Upload:
    """Files that were kept. `path` and `first` are below the folder that tasks read from."""

    id: UUID
    path: str
    first: str
    size: int

    @property
    def columns(self) -> dict[str, object]:
        """The columns of its row."""
        return {"id": self.id, "path": self.path, "bytes": self.size}

    @contextmanager
    def removed_on_error(self) -> Iterator[None]:
        """Removes the files when the block raises."""
        try:
            yield
        except BaseException:
            shutil.rmtree(files.inputs() / self.path, ignore_errors=True)
            raise


def keep(given: Sequence[UploadFile], suffixes: tuple[str, ...]) -> Upload:
    """Writes the files into a new folder, under names that are safe.

    Raises:
        UploadRefused: There is none, or too many, or one is of the wrong kind.
    """
    chosen = [file for file in given if file.filename]
    if not 0 < len(chosen) <= MAX_FILES:
        raise UploadRefused(f"There are {len(chosen)} files. Choose 1 to {MAX_FILES}.")
    key = uuid4()
    names = _names(chosen, suffixes)
    path = f"uploads/{key}/{_title(names)}"
    folder = files.inputs() / path
    folder.mkdir(parents=True)
    for name, file in zip(names, chosen, strict=True):
        with (folder / name).open("wb") as out:
            shutil.copyfileobj(file.file, out)
    size = sum(file.size or 0 for file in chosen)
    return Upload(key, path, f"{path}/{names[0]}", size)


def _names(given: Sequence[UploadFile], suffixes: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for file in given:
        # Some browsers send a whole path, and anybody may send anything.
        plain = Path(str(file.filename).replace("\\", "/")).name
        stem = _shortened(re.sub(r"[^\w. -]", "_", Path(plain).stem).strip(". ")) or "file"
        suffix = Path(plain).suffix.lower()
        if suffix not in suffixes:
            raise UploadRefused(f"{plain!r} is of the wrong kind. Choose {', '.join(suffixes)}.")
        name, number = f"{stem}{suffix}", 0
        while name in names:
            number += 1
            name = f"{stem}-{number}{suffix}"
        names.append(name)
    return names


def _shortened(stem: str) -> str:
    """Returns as much of a name as every file system can keep, in whole characters."""
    start = stem[:MAX_STEM].encode()[:MAX_STEM_BYTES]
    return start.decode(errors="ignore").rstrip(". ")


def _title(names: Sequence[str]) -> str:
    """Returns the name of the folder, by which the user knows the upload again."""
    more = len(names) - 1
    return names[0] + (f" and {more} more" if more else "")
