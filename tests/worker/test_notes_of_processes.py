"""What becomes of notes with their process: when it ends, forks, or is killed."""

import subprocess
import sys

from tests.proxy import Link, Proxy
from tests.worker.database import execute_on
from tests.worker.process import eventually
from tests.worker.site import OpenSite, Site, publishes

SCRIPT = """
import os, signal, sys
from jobstate.celery.runtime import runtime_of
from tests.worker.site import Site

end, database_url, broker_url, user_id = sys.argv[1:]
site = Site(database_url, broker_url, jobstate_publish_grace=0.5, jobstate_lease=3000)
site.user_id = user_id
notes = runtime_of(site.app).notes
notes._pause = 100_000.0

def enqueue():
    return site.enqueue_with("returns", 7, queue="slow")

enqueue()
match end:
    case "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    case "with a silent database":
        print("published", flush=True)
        sys.stdin.readline()
    case "forked":
        child = os.fork()
        if not child:
            was_empty = not len(notes)
            enqueue()
            notes.finish()
            os._exit(0 if was_empty and not len(notes) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(notes) == 1
"""


def script(site: Site, end: str, database_url: str | None = None) -> list[str]:
    """Return the command of a process that enqueues, and ends like this."""
    urls = (database_url or site.conf["database_url"], site.conf["broker_url"])
    return [sys.executable, "-c", SCRIPT, end, *urls, str(site.user_id)]


def test_a_process_that_ends_has_its_notes_written(late: Site) -> None:
    subprocess.run(script(late, "normally"), check=True)
    assert publishes(late) == [1]


def test_a_forked_process_leaves_the_notes_of_its_parent_alone(late: Site) -> None:
    subprocess.run(script(late, "forked"), check=True)
    assert publishes(late) == [1, 1]
    assert len(late.waiting("slow")) == 2
    with execute_on(late) as execute:
        assert len(execute("select distinct xmin::text from jobstate.jobs")) == 2


def test_a_silent_database_does_not_keep_a_process_from_ending(late: Site) -> None:
    """A statement there would wait for half a lease, which is long here."""
    with Proxy(late.conf["database_url"]) as link:
        command = script(late, "with a silent database", link.url)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "published\n"
            link.go_down(Link.BLACK_HOLE)
            process.communicate("\n", timeout=120)
            assert process.returncode == 0
    assert publishes(late) == [0]


def test_a_lost_note_is_a_message_more_and_the_job_lands_once(open_site: OpenSite) -> None:
    with open_site("solo", jobstate_publish_grace=0.2, jobstate_sweep_interval=0.2) as site:
        assert subprocess.run(script(site, "killed"), check=False).returncode == -9
        eventually(lambda: publishes(site) == [1], "a publication by the sweeper")
        (job,) = site.service.list_jobs(site.user_id).items
        assert [message["id"] for message in site.waiting("slow")] == [str(job.id)] * 2
        site.app.control.add_consumer("slow", reply=True)
        assert site.completed(job).result == 7
        site.logged("message of job", str(job.id), "was dropped")
        assert site.read(job).attempt == 1
