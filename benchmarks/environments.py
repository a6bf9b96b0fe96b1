"""Makes the peers' environments: each in a folder of its own, which is not committed."""

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".benchmarks"

PACKAGES = {
    "celery": ["celery[redis]", "psycopg[binary]", "sqlalchemy"],
    "django": ["celery[redis]", "psycopg[binary]", "django", "django-celery-results"],
    "procrastinate": ["procrastinate", "psycopg[binary]"],
    "dramatiq": ["dramatiq[redis]"],
    "plot": ["matplotlib"],
}
"""What is installed where. Celery and the driver have the versions that jobstate is tested with."""


def python_of(environment: str) -> Path:
    """Return the interpreter of an environment, which is made where it is missing."""
    if environment == "jobstate":
        return Path(sys.executable)
    home = FOLDER / environment
    ready, python = home / ".ready", home / "bin" / "python"
    if not ready.exists():
        print(f"Installing {', '.join(PACKAGES[environment])}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        constraint = ("--constraint", str(ROOT / "constraints.txt"))
        install = [str(python), "-m", "pip", "install", "--quiet", *constraint]
        subprocess.run([*install, *PACKAGES[environment]], check=True)
        ready.touch()
    return python
