"""Every setting: its default, what it accepts, and what it refuses."""

from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from typing import Any

import pytest

from jobstate import ConfigurationError, JobStatus, Settings

URL = "postgresql+psycopg://localhost/shop"

DURATIONS = [
    "sweep_interval",
    "lost_grace",
    "start_patience",
    "publish_grace",
    "publish_timeout",
    "republish_after",
    "queue_timeout",
    "progress_interval",
    "cancel_grace",
]

DEFAULTS = {
    "database_url": URL,
    "schema": "jobstate",
    "lease": 30,
    "heartbeat": 10,
    "sweep_interval": 5,
    "lost_grace": 5,
    "start_patience": 60,
    "publish_grace": 5,
    "publish_timeout": 1,
    "republish_after": 3600,
    "queue_timeout": None,
    "max_rescues": 3,
    "progress_interval": 0.5,
    "cancel_grace": 10,
    "system_user_id": None,
    "storage_url": None,
    "max_result_bytes": 1024 * 1024,
    "max_parameters_bytes": 256 * 1024,
    "retention": None,
    "error_message": "exception",
    "prepare_threshold": 0,
    "pool_size": 5,
}

ACCEPTED = [
    *((name, value, 90.0) for name in DURATIONS for value in (90, 90.0, "90")),
    *((name, timedelta(minutes=1.5), 90.0) for name in DURATIONS),
    ("database_url", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
    ("database_url", "postgres://u@h/d", "postgresql+psycopg://u@h/d"),
    ("schema", "jobs_2", "jobs_2"),
    ("schema", "order", "order"),
    ("schema", "s" * 63, "s" * 63),
    ("lease", 60, 60.0),
    ("heartbeat", timedelta(seconds=2), 2.0),
    ("max_rescues", 0, 0),
    ("max_rescues", "7", 7),
    ("system_user_id", 1, "1"),
    ("system_user_id", "root", "root"),
    ("storage_url", "s3://bucket/jobs", "s3://bucket/jobs"),
    ("max_result_bytes", 1, 1),
    ("max_parameters_bytes", "1000", 1000),
    ("retention", {"failed": 60}, {JobStatus.FAILED: 60.0}),
    ("retention", {JobStatus.PARTIAL: timedelta(days=1)}, {JobStatus.PARTIAL: 86400.0}),
    ("error_message", "generic", "generic"),
    ("prepare_threshold", None, None),
    ("prepare_threshold", "None", None),
    ("prepare_threshold", 5, 5),
    ("pool_size", "20", 20),
]

REFUSED = [
    *(
        (name, value, "it must be a duration above 0")
        for name in [*DURATIONS, "lease", "heartbeat"]
        for value in (0, -1, float("inf"), float("nan"), timedelta(0), timedelta.max)
    ),
    *(
        (name, value, "it must be a number")
        for name in DURATIONS
        for value in ("soon", True, [1], 10**400)
    ),
    ("lease", None, "it must be a number"),
    ("database_url", "mysql://localhost/shop", "it must look like postgresql+psycopg://"),
    ("database_url", 5, "it must be text"),
    *(
        ("schema", value, "it must be a Postgres name in lower case")
        for value in ("", "Jobs", "my-jobs", "1st", "s" * 64, 'a"b', "pg_jobs", "jobs\n", 5, None)
    ),
    *(
        (name, value, "it must be a whole number")
        for name in ("max_rescues", "max_result_bytes", "max_parameters_bytes", "pool_size")
        for value in (-1, 1.5, float("inf"), float("nan"), "-1", 2**40)
    ),
    ("max_rescues", None, "it must be a number"),
    ("pool_size", 0, "it must be a whole number above 0"),
    ("max_result_bytes", 0, "it must be a whole number above 0"),
    ("max_parameters_bytes", "0", "it must be a whole number above 0"),
    ("system_user_id", "", "it must be text"),
    ("storage_url", "", "it must be text"),
    ("storage_url", 5, "it must be text"),
    ("storage_url", "/srv/assets", "it must look like file:///folder"),
    ("storage_url", "ftp://host/folder", "it must look like file:///folder"),
    ("storage_url", "file://host/folder", "file:// takes an absolute folder"),
    ("storage_url", "s3:///prefix", "file:// takes an absolute folder"),
    ("retention", 60, "it must map statuses to durations"),
    ("retention", {"done": 60}, "'done' is no terminal status"),
    ("retention", {"queued": 60}, "'queued' is no terminal status"),
    ("retention", {"failed": 0}, "it must be a duration above 0"),
    ("retention", {"failed": timedelta.max}, "a hundred years at most"),
    ("error_message", "full", 'it must be "exception" or "generic"'),
    ("prepare_threshold", -1, "it must be a whole number, 0 or more"),
    ("prepare_threshold", "many", "it must be a number"),
]


def load(**conf: Any) -> Settings:
    return Settings.load({"jobstate_database_url": URL} | _keys(conf))


def _keys(conf: dict[str, Any]) -> dict[str, Any]:
    return {f"jobstate_{name}": value for name, value in conf.items()}


def test_every_setting_has_its_default() -> None:
    settings = load()
    assert {known.name: getattr(settings, known.name) for known in fields(Settings)} == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_that_is_written_out_changes_nothing(name: str) -> None:
    assert load(**{name: DEFAULTS[name]}) == load()


@pytest.mark.parametrize(("name", "value", "expected"), ACCEPTED)
def test_a_good_value_is_read(name: str, value: object, expected: object) -> None:
    # Long enough for every interval that must fit into it.
    assert getattr(load(**{"lease": 600, name: value}), name) == expected


def test_every_setting_is_tried_with_a_good_and_a_bad_value() -> None:
    assert {name for name, *_ in ACCEPTED} == set(DEFAULTS)
    assert {name for name, *_ in REFUSED} == set(DEFAULTS)


@pytest.mark.parametrize(("name", "value", "expectation"), REFUSED)
def test_a_bad_value_is_refused_with_what_is_expected(
    name: str, value: object, expectation: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(**{name: value})
    listed = str(refused.value).splitlines()[1:-1]
    assert len(listed) == 1
    assert f"jobstate_{name} is " in listed[0]
    assert expectation in listed[0]


def test_everything_that_is_wrong_is_listed_at_once() -> None:
    wrong = {"lease": "x", "pool_size": 0, "nonsense": 1, "schema": "A-B"}
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(_keys(wrong))
    message = str(refused.value)
    names = "a Postgres name in lower case, at most 63 characters, not pg_..."
    assert message.startswith("jobstate is not configured:\n")
    assert message.splitlines()[1:-1] == [
        "  - jobstate_lease is 'x', but it must be a number",
        "  - jobstate_nonsense is unknown",
        "  - jobstate_pool_size is 0, but it must be a whole number above 0",
        f"  - jobstate_schema is 'A-B', but it must be {names}",
        "  - jobstate_database_url is missing",
    ]
    assert message.endswith("or as JOBSTATE_* in the environment.")


def test_a_heartbeat_is_at_most_a_third_of_the_lease() -> None:
    assert load(lease=30, heartbeat=10).heartbeat == 10
    with pytest.raises(ConfigurationError, match="must be at most a third of jobstate_lease"):
        load(lease=30, heartbeat=10.1)
    with pytest.raises(ConfigurationError, match=r"jobstate_heartbeat is 10 s, .* \(29 s\)"):
        load(lease=29)


def test_a_sweep_comes_at_least_three_times_in_a_lease() -> None:
    assert load(lease=30, sweep_interval=10).sweep_interval == 10
    with pytest.raises(ConfigurationError, match="or no silence can be judged"):
        load(lease=30, sweep_interval=10.1)


def test_the_environment_lies_under_the_configuration() -> None:
    environ = {"JOBSTATE_LEASE": "60", "JOBSTATE_POOL_SIZE": "9", "JOBSTATE_DATABASE_URL": URL}
    settings = Settings.load({"jobstate_lease": 90}, environ)
    assert (settings.lease, settings.pool_size, settings.database_url) == (90, 9, URL)


def test_a_default_in_the_configuration_hides_the_environment() -> None:
    settings = Settings.load({"jobstate_lease": 30.0}, {"JOBSTATE_LEASE": "60"} | _in_env(URL))
    assert settings.lease == 30


def test_an_unknown_key_is_refused_in_the_configuration_alone() -> None:
    with pytest.raises(ConfigurationError, match="jobstate_leese is unknown"):
        load(leese=60)
    Settings.load({}, {"JOBSTATE_TEST_DATABASE_URL": "x", "JOBSTATE_LEESE": "60"} | _in_env(URL))


def test_keys_of_others_are_none_of_our_business() -> None:
    conf = {"broker_url": "redis://", "jobstate_database_url": URL, "Jobstate_lease": 1, 5: 6}
    assert Settings.load(conf) == load()


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert Settings.load({}, {"JOBSTATE_LEASE": ""} | _in_env(URL)) == load()


@pytest.mark.parametrize("value", ["none", "None", "5", "0"])
def test_a_threshold_can_be_spelt_in_the_environment(value: str) -> None:
    settings = Settings.load({}, {"JOBSTATE_PREPARE_THRESHOLD": value} | _in_env(URL))
    assert settings.prepare_threshold == (int(value) if value.isdigit() else None)


def test_a_named_database_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBSTATE_DATABASE_URL", "postgresql://elsewhere/shop")
    monkeypatch.setenv("JOBSTATE_SCHEMA", "other")
    settings = Settings.for_database("postgresql://localhost/shop")
    assert (settings.database_url, settings.schema) == (URL, "other")


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("database_url", "postgresql+psycopg://user:geheim@localhost/shop"),
        ("storage_url", "s3://bucket/jobs?key=user&secret=geheim"),
    ],
)
def test_a_password_in_a_url_is_never_shown(name: str, secret: str) -> None:
    assert "geheim" not in repr(load(**{name: secret}))
    with pytest.raises(ConfigurationError) as refused:
        load(**{name: ["geheim"]})
    assert f"jobstate_{name} is ***" in str(refused.value)
    assert "geheim" not in str(refused.value)


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        load().lease = 5  # type: ignore[misc]


def _in_env(url: str) -> dict[str, str]:
    return {"JOBSTATE_DATABASE_URL": url}
