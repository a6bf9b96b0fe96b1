"""The table in docs/lifecycle.md is about the tests, all of them, and nothing else."""

from pathlib import Path

from tests.fates import table
from tests.fates.fate import COLUMNS


def test_every_fate_has_its_cell_and_every_cell_its_fate() -> None:
    """Run `pytest tests/fates --fates-table` where a fate is new."""
    fates = {(fate.name, column) for fate in table.declared() for column in fate.columns}
    assert set(table.committed()) == fates


def test_the_page_says_why_a_fate_is_not_everywhere() -> None:
    """And its rows are in the order of the files."""
    page = table.PAGE.read_text()
    assert table.render(table.declared(), table.committed()) in page


def test_every_file_of_fates_is_in_the_table() -> None:
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert files == {*table.FILES, "table"}


def test_a_fate_has_one_test_and_happens_on_known_pools() -> None:
    fates = table.declared()
    assert len({fate.name for fate in fates}) == len(fates)
    assert all(set(fate.columns) <= set(COLUMNS) for fate in fates)
