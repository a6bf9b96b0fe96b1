"""What the site has from the root of the repository, with links that fit: README and CHANGELOG."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

FROM_THE_ROOT = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}

_ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?!https?:|#|docs/)[^)]+\)")
"""A link to a file of the repository that is no page."""

_TO_THE_ROOT = re.compile(r"\]\(((?:\.\./)*)\.\./(README|CHANGELOG)\.md")
"""A link from a page to one of the two, which leads there in the repository as well."""


def page_of(name: str) -> str:
    """Return a file of the root as a page of this folder."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return _ELSEWHERE.sub(r"\1", text).replace("](docs/", "](")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add those pages."""
    for page, name in FROM_THE_ROOT.items():
        files.append(File.generated(config, page, content=page_of(name)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links to the two where they stand in the site."""
    names = {name.removesuffix(".md"): site for site, name in FROM_THE_ROOT.items()}
    return _TO_THE_ROOT.sub(lambda link: f"]({link[1]}{names[link[2]]}", markdown)
