"""The tables of the pages say what the code says."""

import inspect
import re
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

import jobstate
from jobstate import AsyncJobService, testing
from jobstate.storage import bucket
from jobstate.web.fastapi import create_router
from tests.examples import PAGES, ROOT, prose

STYLES = Path(jobstate.__file__).parent / "web" / "page" / "static"


def rows(page: str) -> list[list[str]]:
    """Return the cells of all tables of a page."""
    lines = re.findall(r"^\| (.*?) ?\|$", prose(page), re.MULTILINE)
    return [re.split(r" *(?<!\\)\| *", line) for line in lines]


def test_the_page_about_fastapi_lists_every_route() -> None:
    def nobody(_: Request) -> None:
        return None

    app = FastAPI()
    app.include_router(create_router(AsyncJobService("postgresql://"), get_user_id=nobody))
    there = {
        (method.upper(), path.replace("{job_id}", "{id}"))
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    listed = set()
    for cells in rows("docs/how-to/fastapi.md"):
        method = "POST" if "POST" in cells[0] else "GET"
        for path in re.findall(r"`(?:GET |POST )?(/[^`]*)`", cells[0]):
            folder = "" if path.startswith("/jobs") else "/jobs/{id}"
            listed.add((method, folder + path))
    assert listed == there


def test_the_page_about_files_lists_the_options_of_each_storage() -> None:
    listed = {
        cells[0].partition("://")[0].strip("`"): set(re.findall(r"`(\w+)`", cells[1]))
        for cells in rows("docs/how-to/assets.md")
        if "://" in cells[0]
    }
    assert listed.pop("file") == set()
    assert listed == {scheme: set(names) for scheme, names in bucket._OPTIONS.items()}


def test_the_page_about_tests_lists_every_fixture_and_function() -> None:
    listed = {cells[0].strip("`") for cells in rows("docs/how-to/testing.md")}
    functions = {name: getattr(testing, name) for name in testing.__all__}
    fixtures = {name for name in vars(testing) if name.startswith("jobstate_")}
    signatures = {f"{name}({plain(function)})" for name, function in functions.items()}
    assert listed - {"fixture", "function", "---"} == fixtures | signatures


def plain(function: Any) -> str:
    """Return what a function takes, as a page writes it."""
    parts = []
    for each in inspect.signature(function).parameters.values():
        if each.kind is each.KEYWORD_ONLY and not any("*" in part for part in parts):
            parts.append("*")
        default = each.default
        shown = each.replace(annotation=each.empty, default=each.empty)
        parts.append(str(shown) if default is each.empty else f"{each.name}={literal(default)}")
    return ", ".join(parts)


def literal(value: object) -> str:
    """Write a default as people do."""
    if isinstance(value, str):
        return f'"{value!s}"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_variable_of_css_is_one_of_the_page() -> None:
    named = set(re.findall(r"`(--jobs-[\w-]+)`", prose("docs/how-to/page.md")))
    styles = "".join(path.read_text("utf-8") for path in STYLES.glob("*.css"))
    assert named
    assert [name for name in sorted(named) if f"{name}:" not in styles] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_extra_that_is_named_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    named = {
        name for found in re.findall(r"jobstate\[([\w,]+)\]", text) for name in found.split(",")
    }
    assert named <= set(metadata("jobstate").get_all("Provides-Extra") or ())
