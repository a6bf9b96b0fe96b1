"""No block of code stands on a page that no test runs."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.examples import PAGES, ROOT, SHELL, TEXT, Example, blocks, to_run

FOLDERS = ("docs", "django")
"""Where the fixture `examples` sees to it that a test runs what its mark names."""


def marks() -> Iterator[tuple[str, ...]]:
    """Yield the arguments of every mark, as the files of the tests have them."""
    for folder in FOLDERS:
        for path in (ROOT / "tests" / folder).glob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.examples":
                    yield tuple(ast.literal_eval(argument) for argument in node.args)


def place(example: Example) -> tuple[str, int]:
    return example.page, example.line


RUN = {place(example) for words in marks() for example in to_run(*words)}


@pytest.mark.parametrize("page", PAGES)
def test_a_test_runs_each_block_of_a_page(page: str) -> None:
    """Remedy: `pytest.mark.examples(page, words)` at a test that runs it."""
    assert [str(block) for block in to_run(page) if place(block) not in RUN] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_block_says_which_language_it_is_in_and_cannot_be_overlooked(page: str) -> None:
    found = blocks(page)
    fences = re.findall(r"^\s*(?:```|~~~)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(found)
    known = {"python", "sql", "yaml", "json", "js", "css", SHELL, TEXT}
    assert {block.language for block in found} <= known
