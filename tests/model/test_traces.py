"""What docs/traces.md tells is what the model finds."""

from tests.model.traces import PAGE, page


def test_the_page_is_up_to_date() -> None:
    """Remedy: python -m tests.model --write."""
    assert PAGE.read_text(encoding="utf-8") == page()
