"""Everything side by side in one run: ``python -m benchmarks [--quick] [--write]``.

Prints one table and keeps the figures in `.benchmarks/results.json`; ``--write`` puts them into
docs/performance.md, with a plot.
"""

import importlib.util
import json
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import psutil

from benchmarks import report
from benchmarks.contestants import DRAIN, DRAIN_4, PROGRESS, QUICK
from benchmarks.counted import statements
from benchmarks.drain import in_turn, servers, summary
from benchmarks.environments import FOLDER, python_of
from benchmarks.floor import pgbench
from benchmarks.memory import memory
from benchmarks.reads import reads, sweeps

PLOT = Path(__file__).parents[1] / "docs" / "performance.png"
PROGRAMS = ("enqueue", "progress", "viewers")
"""Benchmarks that stand for themselves; what they print is shown as it is."""


def main() -> None:
    """Run all of it."""
    quick, write = "--quick" in sys.argv, "--write" in sys.argv
    began = time.monotonic()
    results = measure(quick=quick)
    results["seconds"] = round(time.monotonic() - began)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1))
    text = report.text_of(results)
    print(text)
    if write:
        report.write(text)
        plot = Path(__file__).with_name("plot.py")
        subprocess.run(
            [str(python_of("plot")), str(plot), str(FOLDER / "results.json"), str(PLOT)], check=True
        )


def measure(*, quick: bool) -> dict[str, Any]:
    """Return all figures."""
    rounds, jobs = (1, 300) if quick else (5, 1000)
    told: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "cores": psutil.cpu_count(),
        "load": psutil.getloadavg()[0],
        "rounds": rounds,
        "quick": quick,
    }
    fields = (
        {"drain": QUICK} if quick else {"drain": DRAIN, "drain_4": DRAIN_4, "progress": PROGRESS}
    )
    for contestant in chain.from_iterable(fields.values()):
        python_of(contestant.environment)
    told["programs"] = {} if quick else {name: _output_of(name) for name in PROGRAMS}
    counts: dict[str, float] = {}
    for kind, field in fields.items():
        yardstick = "jobstate" if kind == "progress" else "plain Celery"
        told[kind] = summary(in_turn(field, jobs, rounds, _tell), yardstick)
        if kind != "drain_4":  # Of more processes, each job is the same.
            counts = statements(field, _tell)
        for row in told[kind]:
            row["statements"] = counts[row["name"]]
    with servers() as pair:
        told["floor"] = pgbench(pair[0], jobs)
        told["reads"] = reads(*pair)
        told["sweeper"] = sweeps(pair[0])
        told["memory"] = memory(pair)
    return told


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _output_of(name: str) -> str:
    if importlib.util.find_spec(f"benchmarks.{name}") is None:
        return ""
    _tell(f"benchmarks.{name}")
    program = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
