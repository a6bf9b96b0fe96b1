"""How the page looks: its words, its stylesheet, its templates."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from os import PathLike
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from jobstate.records import Job
from jobstate.web.exchange import Answer, Request
from jobstate.web.page import text

logger = logging.getLogger("jobstate")

STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The page's own files, and their media types."""


def title_of(job: Job) -> str:
    """Return what a job is called: the last part of its type, in words."""
    words = job.job_type.rpartition(".")[2].replace("_", " ").strip()
    return words[:1].upper() + words[1:] or job.job_type


@dataclass(frozen=True, slots=True)
class Look:
    """What is particular to your app.

    Args:
        heading: The heading of the list.
        title_of: What a job is called, as plain text; without it, or where it raises, the job's
            type in words.
        stylesheet: The URL of a stylesheet of yours, which is loaded after the page's own.
        templates: A folder with templates that take the place of those of the same name.
        page_size: How many jobs the list shows at once.
    """

    heading: str = "Jobs"
    title_of: Callable[[Job], str] = field(default=title_of)
    stylesheet: str | None = None
    templates: str | PathLike[str] | None = None
    page_size: int = 25


class Artist:
    """Draws pages from templates; every value in them is escaped."""

    def __init__(self, look: Look) -> None:
        own = PackageLoader("jobstate.web.page")
        theirs = [FileSystemLoader(look.templates)] if look.templates else []
        self._look = look
        self._policy = _policy(look.stylesheet)
        self._environment = Environment(
            loader=ChoiceLoader([*theirs, own]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= text.FILTERS

    def title_of(self, job: Job) -> str:
        """Return what a job is called; one that the app cannot name does not hide the others."""
        try:
            return self._look.title_of(job)
        except Exception:
            logger.exception("Job %s has no title: the page's title_of failed.", job.id)
            return title_of(job)

    def draw(
        self, template: str, request: Request, context: Mapping[str, Any], status: int = 200
    ) -> Answer:
        """Answer with a page that loads nothing but its own files, and that nobody can frame."""
        base = quote(request.base)
        drawn = self._environment.get_template(template).render(
            {
                "heading": self._look.heading,
                "stylesheet": self._look.stylesheet,
                "title_of": self.title_of,
                "words": text.STATUSES,
                "base": base,
                "user_id": request.caller.user_id,
                "csrf": request.csrf,
                "now": datetime.now(UTC),
                "static": lambda name: f"{base}/static/{name}?v={_version(name)}",
                **context,
            }
        )
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": self._policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        return Answer(status, headers, drawn.encode())


@cache
def content(name: str) -> bytes:
    """Return one of the page's own files."""
    return files("jobstate.web.page").joinpath("static", name).read_bytes()


@cache
def _version(name: str) -> str:
    return hashlib.sha256(content(name)).hexdigest()[:12]


def _policy(stylesheet: str | None) -> str:
    """Return the Content-Security-Policy of a page: its own files, and this stylesheet."""
    parts = urlsplit(stylesheet or "")
    host = f" {parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'{host}; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
