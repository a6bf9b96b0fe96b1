"""What the site has from the root of the repository, with links that fit: README and CHANGELOG."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

FROM_THE_ROOT = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}

_ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!https?:|#|docs/)[^)]+\)")
"""A link to a file of the repository that is no page."""


def page_of(name: str) -> str:
    """Return a file of the root as a page of this folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return _ELSEWHERE.sub(r"\1", text).replace("](docs/", "](")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add those pages."""
    for page, name in FROM_THE_ROOT.items():
        files.append(File.generated(config, page, content=page_of(name)))
    return files
