"""One trace from the web request over the message to the worker."""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from tests.tracing.conftest import TracedSite

Sent = Callable[[], dict[str, ReadableSpan]]

web = trace.get_tracer("web")


def hexadecimal(number: int, digits: int) -> str:
    return f"0x{number:0{digits}x}"


def trace_id(span: ReadableSpan) -> str:
    return hexadecimal(span.get_span_context().trace_id, 32)


def span_id(span: ReadableSpan) -> str:
    return hexadecimal(span.get_span_context().span_id, 16)


def test_the_worker_goes_on_with_the_trace_of_the_request(traced: TracedSite, sent: Sent) -> None:
    with web.start_as_current_span("GET /export"):
        job = traced.enqueue("returns", 7)
    traced.completed(job)
    request, enqueue = sent()["GET /export"], sent()[f"enqueue {job.job_type}"]
    (run,) = traced.spans_of(job.id)
    assert enqueue.parent is not None
    assert enqueue.parent.span_id == request.get_span_context().span_id
    assert run["context"]["trace_id"] == trace_id(request)
    assert run["parent_id"] == span_id(enqueue)
    assert (run["name"], run["kind"]) == ("run tests.worker.endings.returns", "SpanKind.CONSUMER")
    assert enqueue.kind is trace.SpanKind.PRODUCER
    assert enqueue.attributes == {
        "job.id": str(job.id),
        "job.type": job.job_type,
        "job.user_id": str(job.user_id),
    }
    assert run["attributes"] == {
        **enqueue.attributes,
        "job.attempt": 1,
        "job.status": "completed",
    }
    assert [event["name"] for event in run["events"]] == ["taken"]


def test_a_failure_is_an_error_with_its_code(traced: TracedSite, sent: Sent) -> None:
    job = traced.enqueue("fails", "No money is left.", "out_of_money")
    traced.landed(job)
    (run,) = traced.spans_of(job.id)
    assert run["status"]["status_code"] == "ERROR"
    assert run["attributes"]["job.error_code"] == "out_of_money"
    assert run["context"]["trace_id"] == trace_id(sent()[f"enqueue {job.job_type}"])


def test_what_is_published_from_the_row_keeps_the_trace(traced: TracedSite, sent: Sent) -> None:
    with web.start_as_current_span("GET /export") as request:
        job = traced.store("returns")
    assert traced.jobs.publish(job)
    traced.completed(job)
    (run,) = traced.spans_of(job.id)
    assert sent()
    assert run["context"]["trace_id"] == trace_id(request)  # type: ignore[arg-type]  # it records


def test_every_attempt_and_what_follows_it_are_in_the_trace(traced: TracedSite, sent: Sent) -> None:
    callback = traced.task("returns").si()
    callback.freeze()
    with web.start_as_current_span("GET /export") as request:
        job = traced.enqueue_with("retries", 1, link=callback)
    traced.completed(job)
    traced.completed(callback.id)
    assert sent()
    first, second = traced.spans_of(job.id, runs=2)
    (after,) = traced.spans_of(callback.id)
    for run in (first, second, after):
        assert run["context"]["trace_id"] == trace_id(request)  # type: ignore[arg-type]
    assert [run["attributes"]["job.attempt"] for run in (first, second)] == [1, 2]


async def test_the_trace_of_an_event_loop_goes_on_too(traced: TracedSite, sent: Sent) -> None:
    task = traced.task("returns")
    with web.start_as_current_span("GET /export") as request:
        job = await traced.jobs.aenqueue(task, (7,), user_id=traced.user_id)
    traced.completed(job)
    (run,) = traced.spans_of(job.id)
    assert run["parent_id"] == span_id(sent()[f"enqueue {job.job_type}"])
    assert run["context"]["trace_id"] == trace_id(request)  # type: ignore[arg-type]
    await traced.jobs.aio.close()


def test_a_batch_is_one_span_that_all_its_runs_follow(traced: TracedSite, sent: Sent) -> None:
    task = traced.task("returns")
    jobs = traced.jobs.enqueue_many(task, [{"args": (n,)} for n in (1, 2)], user_id=traced.user_id)
    enqueue = sent()[f"enqueue {task.name}"]
    for job in jobs:
        traced.completed(job)
        (run,) = traced.spans_of(job.id)
        assert run["parent_id"] == span_id(enqueue)


def test_celerys_own_instrumentation_is_used_and_not_repeated(
    instrumented: TracedSite, sent: Sent
) -> None:
    with web.start_as_current_span("GET /export"):
        job = instrumented.enqueue("returns", 7)
    instrumented.completed(job)
    spans = sent()
    enqueue, publish = (
        spans[f"enqueue {job.job_type}"],
        spans["apply_async/tests.worker.endings.returns"],
    )
    assert len(spans) == 3
    assert enqueue.kind is trace.SpanKind.INTERNAL
    assert publish.parent is not None
    assert publish.parent.span_id == enqueue.get_span_context().span_id
    (run,) = instrumented.spans_of(job.id)
    assert run["name"] == "run/tests.worker.endings.returns"
    assert run["context"]["trace_id"] == trace_id(spans["GET /export"])
    assert run["parent_id"] == span_id(publish)
    assert run["attributes"]["job.status"] == "completed"


def test_with_it_too_a_republication_keeps_the_trace(instrumented: TracedSite, sent: Sent) -> None:
    with web.start_as_current_span("GET /export") as request:
        job = instrumented.store("returns")
    instrumented.jobs.publish(job)
    instrumented.completed(job)
    (run,) = instrumented.spans_of(job.id)
    assert run["context"]["trace_id"] == trace_id(request)  # type: ignore[arg-type]
    assert sent()
