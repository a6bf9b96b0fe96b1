"""The forms that start jobs. Each leads to the page of its new job."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, UploadFile
from fastapi.responses import RedirectResponse

from jobstate import Job
from tasks.exports import export_orders
from tasks.imports import import_customers
from tasks.reports import monthly_report
from tasks.thumbnails import SUFFIXES, make_thumbnails
from web import database, uploads
from web.origins import own_pages_only
from web.users import current_user

router = APIRouter(dependencies=[Depends(own_pages_only)])

User = Annotated[str, Depends(current_user)]


@router.post("/thumbnails")
def start_thumbnails(user: User, images: list[UploadFile]) -> RedirectResponse:
    """Keeps the images, and has thumbnails made of them.

    The upload's row and the job are committed together: there is both, or neither.
    """
    upload = _kept(images, SUFFIXES)
    with upload.removed_on_error(), database.engine.begin() as connection:
        database.record_upload(connection, owner=user, **upload.columns)
        job = make_thumbnails.enqueue(upload.path, user_id=user, connection=connection)
    return _see(job)


@router.post("/import")
def start_import(user: User, customers: UploadFile) -> RedirectResponse:
    """Keeps a CSV file, and has its customers imported."""
    upload = _kept([customers], (".csv",))
    with upload.removed_on_error(), database.engine.begin() as connection:
        database.record_upload(connection, owner=user, **upload.columns)
        job = import_customers.enqueue(upload.first, user_id=user, connection=connection)
    return _see(job)


@router.post("/export")
def start_export(user: User, year: Annotated[int, Form()]) -> RedirectResponse:
    """Has the orders of a year exported."""
    return _see(export_orders.enqueue(year, user_id=user))


@router.post("/report")
def start_report(
    user: User, month: Annotated[str, Form(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
) -> RedirectResponse:
    """Has a month reported on."""
    year, number = map(int, month.split("-"))
    return _see(monthly_report.enqueue(year, number, user_id=user))


def _kept(files: list[UploadFile], suffixes: tuple[str, ...]) -> uploads.Upload:
    try:
        return uploads.keep(files, suffixes)
    except uploads.UploadRefused as error:
        raise HTTPException(422, str(error)) from error


def _see(job: Job) -> RedirectResponse:
    return RedirectResponse(f"/jobs/{job.id}", 303)
