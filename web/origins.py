"""The example's own forms are protected like those of the page."""

from fastapi import HTTPException, Request

from jobstate.web.origins import check_origin
from jobstate.web.problems import Forbidden


def own_pages_only(request: Request) -> None:
    """Refuses what a page of another site has sent (CSRF)."""
    if request.method == "GET":
        return
    try:
        check_origin(request.headers, trusted=())
    except Forbidden as error:
        raise HTTPException(403, str(error)) from error
