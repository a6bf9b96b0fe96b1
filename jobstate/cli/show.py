"""`show`: everything about one job."""

import click

from jobstate.cli.output import (
    compact,
    moment,
    print_json,
    print_table,
    printable,
    size,
    span,
    status,
)
from jobstate.cli.target import Target
from jobstate.records import Asset, Job, JobEvent, JobItem, JobLog, Worker
from jobstate.states import ItemStatus

MOST_ITEMS = 20
"""How many failed items are printed; the JSON has all of them."""


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--logs", "with_logs", is_flag=True, help="Show what its body has logged, too.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object: job, history, items, failed_items, assets, with --logs logs.",
)
@click.pass_obj
def show(target: Target, *, job_id: str, with_logs: bool, as_json: bool) -> None:
    """Show a job, its history, its failed items and its assets."""
    with target.service() as service:
        job = service.get_job_internal(job_id)
        history = service.get_job_events(job.id, job.user_id)
        failed = service.get_job_items(job.id, job.user_id, ItemStatus.FAILED)
        assets = service.get_job_assets(job.id, job.user_id)
        logs = service.get_job_logs(job.id, job.user_id) if with_logs else []
        workers = service.workers() if job.worker_id and not as_json else []
    if as_json:
        print_json(
            {
                "job": job.to_dict(internal=True),
                "history": [event.to_dict() for event in history],
                "items": {
                    "succeeded": job.items_succeeded,
                    "failed": job.items_failed,
                    "skipped": job.items_skipped,
                },
                "failed_items": [item.to_dict() for item in failed],
                "assets": [asset.to_dict() for asset in assets],
                **({"logs": [line.to_dict() for line in logs]} if with_logs else {}),
            }
        )
        return
    _print_job(job, _holder(job, workers))
    _print_history(history)
    _print_failed(failed)
    _print_assets(assets)
    if with_logs:
        _print_logs(logs)
    _print_traceback(job)


def _holder(job: Job, workers: list[Worker]) -> str:
    """Say where the body runs: what to look at when it does not end."""
    if job.worker_id is None or job.is_terminal:
        return ""
    for worker in workers:
        if worker.id == job.worker_id:
            silent = "" if worker.alive else ", silent"
            return f"{printable(worker.hostname)}, process {job.pid}{silent}"
    return f"worker {job.worker_id}, process {job.pid}, given up"


def _print_job(job: Job, holder: str) -> None:
    amount = f"{job.progress_current:g}" if job.progress_current is not None else ""
    if amount and job.progress_total is not None:
        amount += f" of {job.progress_total:g}"
    recorded = job.items_succeeded + job.items_failed + job.items_skipped
    facts = {
        "owner": printable(str(job.user_id)),
        "type": printable(job.job_type),
        "task": printable(job.task_name or ""),
        "queue": printable(job.queue or ""),
        "status": status(job.status),
        "error": printable(": ".join(filter(None, (job.error_code, job.error_message)))),
        "progress": "  ".join(
            filter(None, (f"{job.progress} %", amount, printable(job.progress_message or "")))
        ),
        "items": recorded
        and f"{job.items_succeeded} succeeded, {job.items_failed} failed, "
        f"{job.items_skipped} skipped",
        "attempt": str(job.attempt),
        "held by": holder,
        "due": moment(job.retry_at or job.eta) if not job.is_terminal else "",
        "published": job.publishes > 1 and f"{job.publishes} times",
        "retries": job.retries,
        "rescues": job.rescues,
        "parent": job.parent_id,
        "retry of": job.retry_of,
        "created": moment(job.created_at),
        "started": moment(job.started_at),
        "landed": moment(job.completed_at),
        "took": span(job.duration) if job.is_terminal else "",
        "parameters": compact(job.parameters) if job.parameters else "",
        "result": "" if job.result is None else compact(job.result),
    }
    click.secho(f"Job {job.id}", bold=True)
    for name, value in facts.items():
        if value:
            click.echo(f"  {name:<10}  {value}")


def _print_history(history: list[JobEvent]) -> None:
    _print_heading("History")
    rows = []
    for event in history:
        what = event.event if event.to_status is None else status(event.to_status)
        rows.append(
            [
                f"{event.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
                what,
                f"attempt {event.attempt}" if event.attempt else "",
                "" if event.worker_id is None else f"worker {event.worker_id}",
                printable(event.error_code or ""),
                compact(event.detail) if event.detail else "",
            ]
        )
    print_table([], rows, indent="  ")


def _print_failed(failed: list[JobItem]) -> None:
    if not failed:
        return
    _print_heading("Failed items")
    rows = [
        [printable(item.key), printable(item.label or ""), printable(item.error_message or "")]
        for item in failed[:MOST_ITEMS]
    ]
    print_table([], rows, indent="  ")
    if (hidden := len(failed) - MOST_ITEMS) > 0:
        click.echo(f"  and {hidden} more: see --json")


def _print_assets(assets: list[Asset]) -> None:
    if not assets:
        return
    _print_heading("Assets")
    rows = [
        [
            printable(asset.asset_type),
            size(asset.file_size),
            printable(asset.content_type or ""),
            printable(asset.url),
        ]
        for asset in assets
    ]
    print_table([], rows, indent="  ")


def _print_logs(logs: list[JobLog]) -> None:
    _print_heading("Logs")
    if not logs:
        click.echo("  None were kept: see job_logs.")
    for line in logs:
        at = f"{line.at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        where = f"{at}  attempt {line.attempt}  {line.level}  {line.logger}"
        first, *more = line.message.splitlines() or [""]
        click.echo(f"  {printable(where)}  {printable(first)}")
        for text in more:
            click.echo(f"    {printable(text)}")


def _print_traceback(job: Job) -> None:
    detail = job.error_detail or {}
    if traceback := str(detail.get("traceback") or ""):
        where = f"host {detail.get('host')}, process {detail.get('pid')}"
        _print_heading(f"Traceback ({printable(where)})")
        for line in traceback.splitlines():
            click.echo(f"  {printable(line)}")


def _print_heading(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)
