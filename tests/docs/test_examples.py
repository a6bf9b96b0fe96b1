"""What the pages tell a reader to type exists: commands, options, settings; and Python compiles."""

import ast
import re
import shlex
from dataclasses import fields
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest

from jobstate import ErrorCode, JobTask, Settings
from jobstate.cli import jobstate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])

# What is named jobstate_... and is no setting.
OTHERS = {
    *("app", "celery_app", "user_id_type", "postgres_url", "database_url"),  # fixtures
    *("history", "refresh"),  # in Flower's configuration
}
LABELS = re.compile(r"jobstate_\w+(?:\{|_total|_seconds|_bucket)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    pattern = rf"^```{language}[^\n]*\n(.*?)^```$"
    return re.findall(pattern, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands_in(page: Path) -> list[str]:
    """Find calls of jobstate in lines of a shell, and in code within a sentence."""
    text = page.read_text("utf-8")
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    lines += re.findall(r"`(jobstate [^`\n]+)`", text)
    found = []
    for line in lines:
        for part in re.split(r"\||&&|;|\$\(|\)", line.partition("#")[0]):
            words = part.split()
            if words and words[0] == "jobstate" and "..." not in words:
                found.append(part.strip())
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_python_of_a_page_compiles(page: Path) -> None:
    for block in blocks(page, "python"):
        # A piece of a function stands as deep as in its file.
        compile(dedent(block), name_of(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    context = click.Context(jobstate, info_name="jobstate", **jobstate.context_settings)
    for command in commands_in(page):
        words = shlex.split(command)[1:]
        while words and words[0].startswith("-"):
            option = options_of(jobstate, context).get(words.pop(0))
            assert option is not None, command
            del words[: 0 if option.is_flag or option.is_eager else 1]
        if words and words[0].islower():
            known = jobstate.get_command(context, words[0])
            assert known is not None, command
            named = {word for word in words if word.startswith("-")}
            assert named <= options_of(known, context).keys(), command


def options_of(command: click.Command, context: click.Context) -> dict[str, click.Option]:
    return {
        name: parameter
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }


def test_the_settings_that_are_named_exist() -> None:
    settings = {f"jobstate_{field.name}" for field in fields(Settings)}
    for page in PAGES:
        text = LABELS.sub("", page.read_text("utf-8"))
        named = set(re.findall(r"`(jobstate_[a-z_]+)", text))
        named |= {
            name
            for block in blocks(page, "python")
            for name in re.findall(r"jobstate_[a-z_]+", block)
        }
        unknown = {
            name
            for name in named - settings
            if name.removeprefix("jobstate_") not in OTHERS and not name.endswith("_")
        }
        assert not {name for name in unknown if is_a_setting(name, text)}, name_of(page)


def is_a_setting(name: str, text: str) -> bool:
    """Tell a setting from a metric's name, which stands in another kind of sentence."""
    return not re.search(rf"{name}`? \|", text)


def test_the_options_of_a_task_that_are_named_exist() -> None:
    for page in PAGES:
        named = set(re.findall(r"\bjob_[a-z_]+(?==)", page.read_text("utf-8")))
        assert {name for name in named if not hasattr(JobTask, name)} <= {"job_id", "job_type"}


def test_every_error_code_is_told_where_it_is_met() -> None:
    text = (DOCS / "reference" / "errors.md").read_text("utf-8")
    assert all(f"`{code.value}`" in text for code in ErrorCode)


@pytest.mark.parametrize(
    "page",
    ["how-to/rabbitmq.md", "how-to/pgbouncer.md", "how-to/s3.md", "operations/retention.md"],
)
def test_the_settings_of_a_page_are_taken(page: str) -> None:
    for block in blocks(DOCS / page, "python"):
        conf: dict[str, Any] = {"jobstate_database_url": "postgresql://localhost/shop"}
        exec(block, conf)  # noqa: S102 - our own documentation
        assert Settings.load({key: conf[key] for key in conf if key != "__builtins__"})
