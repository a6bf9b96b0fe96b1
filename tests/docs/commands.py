"""Commands as the programs themselves would parse them, and no further."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from importlib.metadata import metadata
from itertools import groupby, pairwise
from types import SimpleNamespace
from typing import Any

import click
from celery import Celery
from celery.bin.celery import celery
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from jobstate.cli import jobstate
from tests.examples import PAGES, ROOT, blocks

PLACEHOLDERS = {
    "$HOSTNAME": "worker-1",
    "$id": "0c1d29d6-3f0e-4bb1-9b0c-6f3f3d0a2f7e",
    "COMMAND": "stats",
    "DAYS": "30",
    "ID": "0c1d29d6-3f0e-4bb1-9b0c-6f3f3d0a2f7e",
    "NAME": "shop",
    "TYPE": "export",
}
"""What a reader puts into their place."""


def commands_of(line: str) -> Iterator[list[str]]:
    """Yield the words of each command in a line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    for is_between, words in groupby(lexer, lambda word: set(word) <= set("|&;")):
        if not is_between:
            yield [PLACEHOLDERS.get(word, word) for word in words]


def check(words: list[str]) -> None:
    """Raise unless these words mean what they are there for."""
    program, *rest = words
    CHECKS[program.rpartition("/")[2]](rest)


def _jobstate(words: list[str]) -> None:
    parse(jobstate, words)


def _celery(words: list[str]) -> None:
    app = Celery("shop", set_as_current=False)
    parse(celery, words, obj=SimpleNamespace(app=app))
    app.close()


def parse(group: click.Group, words: list[str], **extra: Any) -> None:
    """Parse as the program does, to the last command, and invoke nothing."""
    context = group.make_context(group.name, words, **extra)
    while isinstance(context.command, click.Group):
        # What click keeps for the command that comes next.
        name, command, words = context.command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert command is not None
        context = command.make_context(name, words, parent=context)


def _make(words: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {word for word in words if "=" not in word} <= set(targets)


def _pip(words: list[str]) -> None:
    assert words[0] == "install"
    known = set(metadata("jobstate").get_all("Provides-Extra") or ())
    for requirement in map(Requirement, words[1:]):
        assert requirement.name != "jobstate" or requirement.extras <= known


def _python(words: list[str]) -> None:
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), f"there is no module {words[1]}"
    else:
        files = {block.title for page in PAGES for block in blocks(page, "python")}
        assert words[0] in files or (ROOT / words[0]).exists(), f"there is no file {words[0]}"


def _sh(words: list[str]) -> None:
    option, line = words
    assert option == "-c"
    for command in commands_of(re.sub(r"\$HOSTNAME", "worker-1", line)):
        check(command)


def _docker(words: list[str]) -> None:
    compose = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]
    profiles = {profile for service in compose.values() for profile in service.get("profiles", ())}
    assert words[0] == "compose"
    for option, value in pairwise(words):
        assert option != "--profile" or value in profiles, f"there is no profile {value}"
        assert option != "--scale" or value.partition("=")[0] in compose


def _manage(words: list[str]) -> None:
    ours = {path.stem for path in (ROOT / "jobstate/django/management/commands").glob("*.py")}
    assert words[0] in {"migrate", *ours}, f"there is no command {words[0]}"


def _nothing(words: list[str]) -> None:
    """Of other people's programs, there is nothing to check."""


CHECKS = {
    "celery": _celery,
    "docker": _docker,
    "echo": _nothing,
    "export": _nothing,
    "jobstate": _jobstate,
    "jq": _nothing,
    "make": _make,
    "manage.py": _manage,
    "pip": _pip,
    "py-spy": _nothing,
    "python": _python,
    "sh": _sh,
}
"""Each program that a page may name."""
