"""Every command of the pages is parsed by the program that a reader would give it to."""

import re

import click
import pytest

from jobstate.cli import jobstate
from tests.docs.commands import CHECKS, check, commands_of
from tests.examples import PAGES, ROOT, SHELL, blocks

IN_A_SENTENCE = re.compile(rf"`((?:\.venv/bin/)?(?:{'|'.join(map(re.escape, CHECKS))}) [^`\n]+)`")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=f"{page}: {line}")
        for page in PAGES
        for block in blocks(page, SHELL)
        for line in block.code.splitlines()
    ],
)
def test_a_line_of_a_shell_is_understood(line: str) -> None:
    commands = list(commands_of(line))
    assert commands
    for command in commands:
        check(command)


SENTENCES = [
    *PAGES,
    "docs/operations/alerts.yml",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "jobstate").rglob("*.py"))),
]
"""Where commands are named: on pages, and in remedies."""


@pytest.mark.parametrize("page", SENTENCES)
def test_a_command_within_a_sentence_is_understood(page: str) -> None:
    for code in IN_A_SENTENCE.findall((ROOT / page).read_text("utf-8")):
        for words in commands_of(code):
            if len(words) > 2 or words[0] not in ("jobstate", "celery"):
                check_named(words)
            elif words[0] == "jobstate":
                assert words[1] in jobstate.commands, code


def check_named(words: list[str]) -> None:
    """Check a command that may end by the name of a group or of an option, and so only names it."""
    try:
        check(words)
    except click.exceptions.NoArgsIsHelpError:
        if words[-1] != "jobstate":
            raise
    except click.BadOptionUsage as error:
        if error.option_name != words[-1]:
            raise


@pytest.mark.parametrize(
    "line",
    [
        "jobstate --app shop docter",
        "jobstate show",
        "jobstate list --state failed",
        "jobstate list --status done",
        "celery --app shop jobstate doctor --grace soon",
        "celery --app shop worker --pool oven",
    ],
)
def test_a_command_that_would_not_work_is_noticed(line: str) -> None:
    (words,) = commands_of(line)
    with pytest.raises(click.UsageError):
        check(words)
