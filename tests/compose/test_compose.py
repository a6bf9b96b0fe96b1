"""What the schema of a compose file does not check."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.docs.commands import check

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations"
COMPOSE = YAML(typ="safe").load(ROOT / "docker-compose.yml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DEPENDENCIES = [
    (name, needed, how["condition"])
    for name, service in SERVICES.items()
    for needed, how in service.get("depends_on", {}).items()
]
BUILT = sorted(name for name, service in SERVICES.items() if "build" in service)
EXACT = {"grafana": r"\d+\.\d+\.\d+"}
"""Whose publisher has no tag for a major version, nor for a minor one."""
ONE_SHOT = {needed for _, needed, how in DEPENDENCIES if how == "service_completed_successfully"}


def test_the_services_are_those_that_the_example_needs() -> None:
    assert {"postgres", "redis", "migrate", "worker", "web", "flower"} <= set(SERVICES)


@pytest.mark.parametrize(("name", "needed", "how"), DEPENDENCIES)
def test_a_dependency_is_a_service_that_can_meet_its_condition(
    name: str, needed: str, how: str
) -> None:
    assert needed in SERVICES, f"{name} depends on {needed}, which is no service"
    if how == "service_healthy":
        assert "healthcheck" in SERVICES[needed]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_long_running_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_a_one_shot_service_ends(name: str) -> None:
    assert SERVICES[name]["restart"] in {"no", "on-failure"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_an_image_is_pinned_to_a_major_version(name: str) -> None:
    image = SERVICES[name].get("image")
    version = EXACT.get(name, r"v?\d+")
    assert image is None or re.fullmatch(rf"[a-z/]+:{version}", image)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_build_target_is_a_stage_of_the_dockerfile(name: str) -> None:
    stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    build = SERVICES[name].get("build")
    assert build is None or build["target"] in stages


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_named_volume_is_defined(name: str) -> None:
    volumes = (mount.split(":")[0] for mount in SERVICES[name].get("volumes", ()))
    assert {volume for volume in volumes if not volume.startswith((".", "/"))} <= set(
        COMPOSE["volumes"]
    )


def test_workers_can_be_scaled() -> None:
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["worker"])


@pytest.mark.parametrize("name", ["migrate", "worker", "web"])
def test_a_service_that_keeps_jobs_knows_the_database_and_the_broker(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert environment["JOBSTATE_DATABASE_URL"].startswith("postgresql+psycopg://")
    assert environment["JOBSTATE_BROKER_URL"] == "${JOBSTATE_BROKER_URL:-redis://redis:6379/0}"


@pytest.mark.parametrize("name", ["flower", "grafana", "prometheus", "web"])
def test_what_asks_nobody_who_they_are_is_for_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_the_web_app_and_the_workers_share_their_files() -> None:
    assert SERVICES["web"]["volumes"] == SERVICES["worker"]["volumes"]


def test_the_image_of_the_web_app_has_what_the_example_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    stage = (ROOT / "Dockerfile").read_text()
    assert all(f'"{needed}"' in stage for needed in project["dependency-groups"]["example"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_may_not_take_the_whole_machine(name: str) -> None:
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_nobody_gets_more_rights_than_they_begin_with(name: str) -> None:
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", BUILT)
def test_an_image_of_this_repository_runs_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own
    assert service["cap_drop"] == ["ALL"]
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    (stage,) = (text for text in stages if f" AS {service['build']['target']}\n" in text)
    assert re.search(r"^USER [1-9]\d*$", stage, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_password_comes_from_the_environment(name: str) -> None:
    for key, value in (SERVICES[name].get("environment") or {}).items():
        if "PASS" in key:
            assert re.fullmatch(r"\$\{[A-Z_]+:-jobstate\}", value)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_is_mounted_from_the_repository_is_there_and_stays_as_it_is(name: str) -> None:
    mounts = [mount for mount in SERVICES[name].get("volumes", ()) if mount.startswith(".")]
    for mount in mounts:
        source, _, how = mount.split(":")
        assert (ROOT / source).is_file()
        assert how == "ro"


def test_a_plain_up_starts_what_the_example_needs_and_no_more() -> None:
    plain = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert plain == {"postgres", "redis", "migrate", "worker", "web", "flower"}


def test_prometheus_scrapes_services_where_they_listen_and_has_its_rules() -> None:
    config = YAML(typ="safe").load(OPERATIONS / "prometheus.yml")
    targets = {
        target
        for scraped in config["scrape_configs"]
        for static in scraped["static_configs"]
        for target in static["targets"]
    }
    assert targets == {"metrics:9464", "flower:5555"}
    assert "9464" in SERVICES["metrics"]["command"]
    # They are looked for where the configuration is.
    folder, _, _ = mounted("prometheus", "prometheus.yml").rpartition("/")
    assert [f"{folder}/{rules}" for rules in config["rule_files"]] == [
        mounted("prometheus", "alerts.yml")
    ]


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    (source,) = YAML(typ="safe").load(OPERATIONS / "grafana-sources.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (folder,) = YAML(typ="safe").load(OPERATIONS / "grafana-dashboards.yml")["providers"]
    dashboard = mounted("grafana", "jobstate-dashboard.json")
    assert folder["options"]["path"] == dashboard.rpartition("/")[0]


def mounted(name: str, file: str) -> str:
    """Return where a service has a file of docs/operations."""
    (place,) = (mount.split(":")[1] for mount in SERVICES[name]["volumes"] if f"/{file}:" in mount)
    return str(place)


@pytest.mark.parametrize("name", BUILT)
def test_a_command_of_a_service_is_understood(name: str) -> None:
    command = SERVICES[name].get("command")
    if command is not None:
        check(command)


def test_keys_that_older_tools_refuse_are_absent() -> None:
    assert not {"name", "version"} & set(COMPOSE)
