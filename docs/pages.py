"""What the site needs besides its pages: its first one is the README, with links that fit."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

README = Path(__file__).parents[1] / "README.md"

_ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!https?:|#|docs/)[^)]+\)")
"""A link to a file of the repository that is no page."""


def first_page() -> str:
    """Return the README as a page of this folder."""
    text = README.read_text(encoding="utf-8")
    return _ELSEWHERE.sub(r"\1", text).replace("](docs/", "](")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the first page."""
    files.append(File.generated(config, "index.md", content=first_page()))
    return files
