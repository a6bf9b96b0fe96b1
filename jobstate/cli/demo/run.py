"""The demo from its start to its end."""

import time
from collections.abc import Sequence
from dataclasses import replace

from jobstate.cli.demo import example, plan
from jobstate.cli.demo.ending import Requests
from jobstate.cli.demo.plan import DemoFailed, Seen
from jobstate.cli.demo.screen import screen
from jobstate.cli.demo.stage import Stage, stage
from jobstate.cli.demo.summary import print_further, print_summary
from jobstate.embedded import EmbeddedError
from jobstate.service import JobService

PATIENCE = 90.0
"""How long the jobs may take to land, in seconds."""

PAUSE = 0.2
"""The time between two looks at the jobs, in seconds."""


def run(*, keep: bool, web: bool) -> None:
    """Run the whole demo; nothing that it started goes on afterwards.

    Raises:
        DemoFailed: Something is missing, or not every job landed as planned.
        KeyboardInterrupt: It was asked to end.
    """
    example.check_installed(with_web=web)
    requests = Requests()
    with requests.noted():
        try:
            with stage(requests, with_web=web) as ready:
                _perform(ready, requests, keep=keep or web)
        except EmbeddedError as error:
            # Its message may go on with the last lines of a log.
            raise DemoFailed(str(error)) from error
        requests.heed()


def _perform(stage: Stage, requests: Requests, *, keep: bool) -> None:
    requests.heed()
    if stage.web is not None:
        stage.clock.tell(f"Open {stage.web.url} to watch, and to start jobs of your own")
    owners = sorted({planned.owner for planned in plan.PLAN})
    stage.clock.tell(f"Enqueueing {len(plan.PLAN)} jobs of {' and '.join(owners)}")
    seen = _watch(stage, requests, plan.enqueue(stage.jobs))
    print_summary(seen, stage)
    print_further(seen, stage, keep=keep)
    while keep:
        requests.heed()
        stage.check()
        time.sleep(PAUSE)


def _watch(stage: Stage, requests: Requests, seen: Sequence[Seen]) -> Sequence[Seen]:
    """Show the jobs until all have landed, and return them then."""
    ends_at = time.monotonic() + PATIENCE
    with screen() as show:
        show(seen, stage.clock.elapsed)
        while True:
            seen = [_look(stage.jobs.service, one) for one in seen]
            show(seen, stage.clock.elapsed)
            if all(one.job.is_terminal for one in seen):
                return seen
            requests.heed()
            stage.check()
            if time.monotonic() > ends_at:
                break
            time.sleep(PAUSE)
    late = ", ".join(
        f"{one.planned.title} ({one.job.id})" for one in seen if not one.job.is_terminal
    )
    raise DemoFailed(
        f"Not landed within {PATIENCE:.0f} s: {late}. "
        f"The worker's log {stage.worker.log} ends with:\n{stage.worker.last_words}"
    )


def _look(service: JobService, one: Seen) -> Seen:
    """Read a job again, unless it has landed already."""
    if one.job.is_terminal:
        return one
    job = service.get_job_internal(one.job.id)
    assets = len(service.get_job_assets(job.id, job.user_id)) if job.attempt else 0
    return replace(one, job=job, assets=assets)
