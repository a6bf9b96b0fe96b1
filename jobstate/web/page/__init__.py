"""A small page of one's own jobs, drawn by the server; see docs/how-to/page.md. Needs jinja2."""

from jobstate.web.page.look import Look
from jobstate.web.page.pages import page_routes

__all__ = ["Look", "page_routes"]
