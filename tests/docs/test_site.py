"""The pages make a site: every link leads somewhere, and every page can be found."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jobstate

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links and anchors between the pages are checked on the way, and every page is in nav."""
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (build.returncode, build.stdout, build.stderr) == (0, "", "")
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert pages <= {path.relative_to(tmp_path) for path in tmp_path.rglob("*.html")}
    assert "it always lands" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_every_public_name_is_in_the_reference() -> None:
    reference = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"`(?:jobstate\.)?(\w+)`|^::: jobstate\.(\w+)", reference, re.MULTILINE))
    assert set(jobstate.__all__) <= {name for pair in named for name in pair}


def test_every_link_leads_somewhere_in_the_repository_too() -> None:
    """The pages are read where the sources are, as well as on the site."""
    pages = [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert not dead
