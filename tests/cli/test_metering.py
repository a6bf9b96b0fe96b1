"""`metrics` answers Prometheus."""

import builtins
import signal
import socket
import urllib.request
from collections.abc import Mapping, Sequence

import pytest

from jobstate import JobService
from tests.cli.conftest import Run, Start


def test_metrics_are_served_where_it_says(start: Start, jobs_url: str, service: JobService) -> None:
    program = start(
        "-c",
        "from jobstate.cli import main; main()",
        "metrics",
        "--port",
        "0",
        JOBSTATE_DATABASE_URL=jobs_url,
    )
    url = program.read_until("Metrics: ").split()[-1]
    service.create_job("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "export")
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - it is http
        text = answer.read().decode()
    assert 'jobstate_jobs_live{status="queued",type="export"} 1.0' in text
    assert "jobstate_up 1.0" in text
    assert program.end(signal.SIGTERM) == 0


def test_a_port_that_is_taken_costs_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("metrics", "--port", str(port))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: Nobody can listen on 127.0.0.1, port {port}: ")


def test_a_missing_package_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(
        name: str,
        names: Mapping[str, object] | None = None,
        local: Mapping[str, object] | None = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        if name == "jobstate.metrics":
            raise ImportError("No module named 'prometheus_client'")
        return real(name, names, local, wanted, level)

    monkeypatch.setattr(builtins, "__import__", missing)
    result = run("metrics")
    assert result.exit_code == 1
    assert "Install jobstate[metrics]." in result.stderr
