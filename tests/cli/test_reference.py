"""The reference names every command and every option."""

import re
from pathlib import Path

import click
import pytest

from jobstate.cli import jobstate

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
GROUP = "Options of the group"
COMMANDS = {GROUP: jobstate} | {
    f"jobstate {name}": each for name, each in jobstate.commands.items()
}


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/cli.md has no section {title!r}"
    return found[1]


@pytest.mark.parametrize("title", COMMANDS)
def test_the_reference_has_each_option_and_no_other(title: str) -> None:
    options = {
        name
        for parameter in COMMANDS[title].get_params(
            click.Context(COMMANDS[title], **COMMANDS[title].context_settings)
        )
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }
    if title != GROUP:
        options -= {"-h", "--help"}  # told once, for all
    named = re.findall(r"^\| (.*?) \|", section(title), re.MULTILINE)
    written = {name for cell in named for name in re.findall(r"`(-[\w-]+)", cell)}
    assert written == options


def test_the_reference_has_no_command_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (jobstate .*)$", PAGE, re.MULTILINE)) == COMMANDS.keys() - {GROUP}


@pytest.mark.parametrize("title", COMMANDS)
def test_every_option_has_a_help_text(title: str) -> None:
    command = COMMANDS[title]
    assert command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help
