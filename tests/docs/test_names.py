"""What the pages name exists: settings, options of tasks, error codes."""

import re
from dataclasses import fields

from jobstate import ErrorCode, JobTask, Settings
from tests.examples import PAGES, ROOT, blocks

# What is named jobstate_... and is no setting.
OTHERS = {
    *("app", "celery_app", "user_id_type", "postgres_url", "database_url"),  # fixtures
    *("history", "refresh"),  # in Flower's configuration
    "migrate",  # a command of Django
}
LABELS = re.compile(r"jobstate_\w+(?:\{|_total|_seconds|_bucket)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def test_the_settings_that_are_named_exist() -> None:
    settings = {f"jobstate_{field.name}" for field in fields(Settings)}
    for page in PAGES:
        text = LABELS.sub("", text_of(page))
        named = set(re.findall(r"`(jobstate_[a-z_]+)", text))
        named |= {
            name
            for block in blocks(page, "python")
            for name in re.findall(r"jobstate_[a-z_]+", block.code)
        }
        unknown = {
            name
            for name in named - settings
            if name.removeprefix("jobstate_") not in OTHERS and not name.endswith("_")
        }
        assert not {name for name in unknown if is_a_setting(name, text)}, page


def is_a_setting(name: str, text: str) -> bool:
    """Tell a setting from a metric's name, which stands in another kind of sentence."""
    return not re.search(rf"{name}`? \|", text)


def test_the_options_of_a_task_that_are_named_exist() -> None:
    for page in PAGES:
        named = set(re.findall(r"\bjob_[a-z_]+(?==)", text_of(page)))
        assert {name for name in named if not hasattr(JobTask, name)} <= {"job_id", "job_type"}


def test_every_error_code_is_told_where_it_is_met() -> None:
    text = text_of("docs/reference/errors.md")
    assert all(f"`{code.value}`" in text for code in ErrorCode)
