"""Who is there: a choice of two users, kept in a cookie. Your app has its login instead."""

from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Form, HTTPException
from fastapi.responses import RedirectResponse

from web.origins import own_pages_only

USERS = ("ada", "grace")

router = APIRouter(dependencies=[Depends(own_pages_only)])


def current_user(user: Annotated[str, Cookie()] = USERS[0]) -> str:
    """Returns the user of a request; this is what `get_user_id=` takes."""
    return user if user in USERS else USERS[0]


@router.post("/user")
def choose(user: Annotated[str, Form()]) -> RedirectResponse:
    """Goes on as another user."""
    if user not in USERS:
        raise HTTPException(422, f"There is no user of this name, only {' and '.join(USERS)}.")
    answer = RedirectResponse("/jobs/", 303)
    answer.set_cookie("user", user, httponly=True, samesite="lax")
    return answer
