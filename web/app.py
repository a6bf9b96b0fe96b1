"""The example's web app: `uvicorn web.app:app`. Start jobs, and watch them on jobstate's page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from jobstate import Job
from jobstate.web.fastapi import create_page
from jobstate.web.page import Look
from web import database, starting, users
from web.bounds import BodyLimit
from workers.app import jobs

HERE = Path(__file__).parent
MAX_UPLOAD = 32 * 1024 * 1024
"""How much may be sent at once, in bytes."""


def title_of(job: Job) -> str:
    """Says what a job is about, from what it was called with."""
    given = job.parameters
    match job.job_type:
        case "export":
            return f"Export of {given['year']}"
        case "report":
            return f"Report of {given['year']}-{given['month']:02}"
        case "thumbnails":
            return f"Thumbnails of {Path(given['folder']).name}"
        case "import":
            return f"Import of {Path(given['csv_path']).name}"
    return job.job_type


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Creates the example's tables before the first request."""
    database.create_tables()
    yield


app = FastAPI(title="jobstate example", lifespan=lifespan, openapi_url=None)
app.add_middleware(BodyLimit, max_bytes=MAX_UPLOAD)
app.mount("/static", StaticFiles(directory=HERE / "static"))
app.include_router(users.router)
app.include_router(starting.router)
app.include_router(
    create_page(
        jobs,
        get_user_id=users.current_user,
        look=Look(
            heading="My jobs",
            title_of=title_of,
            stylesheet="/static/example.css",
            templates=HERE / "templates",
        ),
    ),
    prefix="/jobs",
)


@app.get("/")
def start() -> RedirectResponse:
    """Shows the jobs."""
    return RedirectResponse("/jobs/")


@app.get("/health")
def health() -> dict[str, bool]:
    """Says that the process answers; that the database does not is no reason to restart it."""
    return {"ok": True}
