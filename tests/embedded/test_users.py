"""Both servers run for every user, root included, wherever the programs and the data lie."""

import shutil
import sys
from pathlib import Path

import psycopg
import pytest

from jobstate.embedded import Postgres, Redis
from jobstate.embedded.account import account_for
from jobstate.embedded.binaries import postgres_binaries

QUICK = {"fsync": "off"}

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from jobstate.embedded import Postgres, Redis
with Postgres(settings={"fsync": "off"}) as postgres, Redis() as redis:
    print("user", os.geteuid(), "running", postgres.running, redis.running)
"""


def test_an_ordinary_user_runs_both(tmp_path: Path) -> None:
    """Where this test is run by root, it lets another user run the script."""
    ordinary = account_for(Path(sys.executable), tmp_path / "data")
    source = Path(sys.modules["jobstate.embedded"].__file__ or "").parents[2]
    told = ordinary.run([sys.executable, "-c", SCRIPT, str(source)], tmp_path)
    assert told.stdout.endswith("running True True\n"), told.stdout
    assert "user 0 " not in told.stdout


def test_the_data_may_lie_where_only_their_owner_can_go(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for _ in ("the first start", "a later start"):
        with Postgres(home / "data", settings=QUICK) as postgres, Redis(home / "data") as redis:
            assert answers(postgres)
            assert redis.running
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_programs_may_lie_where_only_their_owner_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    package = postgres_binaries().parents[1]
    shutil.copytree(package / "pginstall18", home / package.name / "pginstall18", symlinks=True)
    # On Linux the wheel keeps its libraries beside the package.
    for libraries in package.parent.glob(f"{package.name}.libs"):
        shutil.copytree(libraries, home / libraries.name)
    monkeypatch.setattr(sys, "path", [str(home)])
    assert home in postgres_binaries().parents
    with Postgres(settings=QUICK) as postgres:
        assert answers(postgres)
    assert home.stat().st_mode & 0o777 == 0o700


def answers(postgres: Postgres) -> bool:
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)
