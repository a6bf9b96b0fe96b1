"""The code that the pages show, and the only way by which tests come by it.

A test names the blocks that it runs by a mark with the page and words of each, such as
``@pytest.mark.examples("docs/how-to/items.md", "job_resume=True")``, gets them from the fixture
`examples`, and fails unless it has run each. `tests/docs/test_examples.py` fails for a block that
no test names.
"""

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")]
)

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]*)\")?\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Example:
    """A block of code on a page."""

    page: str
    line: int
    language: str
    title: str
    code: str
    was_run: bool = False

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.page}:{self.line}: {self.code.partition(chr(10))[0]}"

    def replace(self, old: str, new: str) -> None:
        """Have it name a server or a folder of the test's own."""
        self.code = self.code.replace(old, new)

    def take(self) -> str:
        """Return the code, to be run by something else than this process's Python."""
        self.was_run = True
        return self.code

    def run(self, names: MutableMapping[str, Any]) -> None:
        """Run it here, with these names and for them."""
        # Errors name the page and the line.
        exec(compile("\n" * self.line + self.take(), self.page, "exec"), names)  # type: ignore[arg-type]  # noqa: S102 - our own documentation


def blocks(page: str, *languages: str) -> list[Example]:
    """Return the blocks of a page, of all languages or of these."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Example(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            title=found["title"] or "",
            # A piece of a function stands as deep as in its file.
            code=dedent(found["code"]),
        )
        for found in _FENCE.finditer(text)
        if not languages or found["language"] in languages
    ]


def prose(page: str) -> str:
    """Return a page without its blocks of code."""
    return _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


SHELL, TEXT = "sh", "text"
"""What is not run block by block: commands are parsed, line by line; the other is no code."""


def to_run(page: str, *words: str) -> list[Example]:
    """Return the blocks of a page that are to be run: all, or the one with each of the words."""
    found = [block for block in blocks(page) if block.language not in (SHELL, TEXT)]
    if not words:
        return found
    chosen = []
    for word in words:
        fitting = [block for block in found if word in block.code]
        assert len(fitting) == 1, f"{len(fitting)} examples of {page} have {word!r}"
        chosen += fitting
    return chosen


@pytest.fixture(autouse=True)
def examples(request: pytest.FixtureRequest) -> Iterator[list[Example]]:
    """The examples that the test's mark names; it has to run each of them."""
    marks = request.node.iter_markers("examples")
    found = [example for mark in marks for example in to_run(*mark.args)]
    yield found
    assert [str(example) for example in found if not example.was_run] == []
