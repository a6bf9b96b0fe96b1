"""What is written about the code is what the code says."""

from pathlib import Path

import pytest

from docs.generate import PAGES, REFERENCE, diagram
from jobstate import JobStatus

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """Remedy: python docs/generate.py."""
    assert (REFERENCE / name).read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize("page", ["README.md", "docs/lifecycle.md"])
def test_the_diagram_shows_the_legal_transitions(page: str) -> None:
    assert diagram() in (ROOT / page).read_text(encoding="utf-8")


def test_the_diagram_names_every_status() -> None:
    assert all(status in diagram() for status in JobStatus)
