-- Every statement of jobstate. One section each: a name, what it is for, the statement.
-- {schema} is the quoted schema; {braces} with another name paste the fragment of that name.
-- Guarded writes lock the row first and decide then, so that what they answer is true:
-- done and the row after it, or refused and the row as it is, or nothing when there is no row.

-- fragment: job_columns
-- The columns of records.Job, in its order.
    id, user_id, job_type, task_name, queue, status, progress, progress_current, progress_total,
    progress_message, progress_at, parameters, result, error_code, error_message, error_detail,
    items_succeeded, items_failed, items_skipped, attempt, worker_id, pid, retries, rescues,
    retry_at, eta, expires_at, deadline_at, cancel_requested_at, next_check_at, published_at,
    publishes, followups_pending, idempotent, max_rescues, keep_partial, no_progress,
    idempotency_key, parent_id, retry_of, created_at, started_at, updated_at, completed_at

-- fragment: asset_columns
-- The columns of records.Asset, in its order.
    id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, content_type, sha256,
    created_at, stored_at

-- fragment: locked
-- The job, locked; gives up after five seconds, for this statement alone.
    patience as materialized (select set_config('lock_timeout', '5s', true)),
    job as (
        select jobs.* from patience, {schema}.jobs where jobs.id = cast(:id as uuid)
        for no key update of jobs
    )

-- fragment: held
-- The job, locked, where this attempt still holds it.
    {locked},
    held as (
        select * from job
        where attempt = cast(:attempt as integer)
            and worker_id = cast(:worker_id as uuid)
            and status = 'processing'
    )

-- fragment: answer
-- A guarded write's answer: done, and the whole row.
    select true as done, {job_columns} from done
    union all
    select false, {job_columns} from job where not exists (select from done)

-- name: schema_version
-- Which migration the schema is at.
select version_num from {schema}.schema_version;

-- name: create_job
-- Insert a queued job, unless its id or its idempotency key is there already.
insert into {schema}.jobs (
    id, user_id, job_type, task_name, queue, parameters, message, eta, expires_at, deadline_at,
    next_check_at, idempotency_key, parent_id, retry_of
)
values (
    cast(:id as uuid), :user_id, cast(:job_type as text), cast(:task_name as text),
    cast(:queue as text), cast(:parameters as jsonb), cast(:message as jsonb),
    coalesce(
        cast(:eta as timestamptz),
        clock_timestamp() + make_interval(secs => cast(:countdown as double precision))
    ),
    coalesce(
        cast(:expires_at as timestamptz),
        clock_timestamp() + make_interval(secs => cast(:expires_in as double precision))
    ),
    coalesce(
        cast(:deadline_at as timestamptz),
        clock_timestamp() + make_interval(secs => cast(:deadline_in as double precision))
    ),
    clock_timestamp() + make_interval(secs => cast(:publish_grace as double precision)),
    cast(:idempotency_key as text), cast(:parent_id as uuid), cast(:retry_of as uuid)
)
on conflict do nothing
returning {job_columns};

-- name: find_existing
-- Read the job that kept another from being created, and whether it is of this user and type.
select user_id = :user_id and job_type = cast(:job_type as text), {job_columns} from {schema}.jobs
where id = cast(:id as uuid)
    or (
        user_id = :user_id and job_type = cast(:job_type as text)
        and idempotency_key = cast(:idempotency_key as text)
    )
limit 1;

-- name: get_job
-- Read one job, and whether this user owns it.
select user_id = :user_id, {job_columns} from {schema}.jobs where id = cast(:id as uuid);

-- name: get_job_internal
-- Read one job, whoever owns it.
select {job_columns} from {schema}.jobs where id = cast(:id as uuid);

-- name: list_jobs
-- Read one page of an owner's jobs, newest first, from where the last page ended.
select {job_columns} from {schema}.jobs
where user_id = :user_id
    and (cast(:status as text) is null or status = cast(:status as text))
    and (cast(:job_type as text) is null or job_type = cast(:job_type as text))
    and (
        cast(:before_id as uuid) is null
        or (created_at, id) < (cast(:before_at as timestamptz), cast(:before_id as uuid))
    )
order by created_at desc, id desc
limit cast(:limit as integer);

-- name: list_all_jobs
-- Read the newest jobs of everybody, for operators.
select {job_columns} from {schema}.jobs
where (cast(:status as text) is null or status = cast(:status as text))
    and (cast(:job_type as text) is null or job_type = cast(:job_type as text))
order by created_at desc, id desc
limit cast(:limit as integer);

-- name: transition
-- Move a job whose status is one of the target's sources, on behalf of whoever drives it.
with {locked},
done as (
    update {schema}.jobs set
        status = cast(:target as text),
        attempt = jobs.attempt + case when cast(:terminal as boolean) then 0 else 1 end,
        progress = case
            when cast(:whole as boolean) then 100
            else coalesce(cast(:progress as smallint), jobs.progress)
        end,
        result = coalesce(cast(:result as jsonb), jobs.result),
        error_code = cast(:error_code as text),
        error_message = cast(:error_message as text),
        worker_id = null,
        pid = null,
        retry_at = null,
        next_check_at = null,
        message = null,
        started_at = coalesce(jobs.started_at, clock_timestamp()),
        updated_at = clock_timestamp(),
        completed_at = case when cast(:terminal as boolean) then clock_timestamp() end
    from job
    where jobs.id = job.id and job.status = any(cast(:sources as text[]))
    returning jobs.*
)
{answer};

-- name: update_progress
-- Report the progress of a processing job, on behalf of whoever drives it.
with {locked},
done as (
    update {schema}.jobs set
        progress = cast(:progress as smallint),
        progress_current = coalesce(cast(:current as double precision), jobs.progress_current),
        progress_total = coalesce(cast(:total as double precision), jobs.progress_total),
        progress_message = coalesce(cast(:message as text), jobs.progress_message),
        progress_at = clock_timestamp(),
        updated_at = clock_timestamp()
    from job
    where jobs.id = job.id and job.status = 'processing'
    returning jobs.*
)
{answer};

-- name: create_asset
-- Link a file to its owner's job.
with {locked},
added as (
    insert into {schema}.assets (
        id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, content_type,
        sha256, stored_at
    )
    select
        cast(:asset_id as uuid), job.id, job.user_id, job.attempt, cast(:asset_type as text),
        cast(:url as text), cast(:storage_path as text), cast(:file_size as bigint),
        cast(:content_type as text), cast(:sha256 as text), clock_timestamp()
    from job where job.user_id = :user_id
    returning *
)
select {asset_columns}
from (select 1 from job) as known left join added on true;

-- name: get_assets
-- Read the stored files of a job's valid attempt, and whether this user owns the job.
select owned, {asset_columns}
from (
    select jobs.user_id = :user_id as owned, assets.*
    from {schema}.jobs
    left join {schema}.assets
        on assets.job_id = jobs.id
        and assets.attempt = jobs.attempt
        and assets.stored_at is not null
    where jobs.id = cast(:job_id as uuid)
) as found
order by created_at, id;

-- name: get_events
-- Read a job's history, oldest first, and whether this user owns the job.
select
    jobs.user_id = :user_id, job_events.id, job_events.job_id, job_events.at, job_events.event,
    job_events.from_status, job_events.to_status, job_events.attempt, job_events.worker_id,
    job_events.error_code, job_events.detail
from {schema}.jobs
left join {schema}.job_events on job_events.job_id = jobs.id
where jobs.id = cast(:job_id as uuid)
order by job_events.id;

-- name: get_items
-- Read the items of a job's valid attempt, in the order they were recorded, and whether this
-- user owns the job.
select
    jobs.user_id = :user_id, job_items.job_id, job_items.key, job_items.attempt,
    job_items.status, job_items.label, job_items.error_message, job_items.at
from {schema}.jobs
left join {schema}.job_items
    on job_items.job_id = jobs.id
    and job_items.attempt = jobs.attempt
    and (cast(:status as text) is null or job_items.status = cast(:status as text))
where jobs.id = cast(:job_id as uuid)
order by job_items.at, job_items.key;

-- name: stats
-- Count jobs by type and status, of one owner or of everybody.
select job_type, status, count(*), min(created_at)
from {schema}.jobs
where cast(:everybody as boolean) or user_id = :user_id
group by job_type, status
order by job_type, status;

-- name: take
-- Give the job to a new attempt when nobody holds it, the ticket fits and the taker's lease is
-- alive; say whether it was.
with {locked},
lease as (
    select from {schema}.workers
    where id = cast(:worker_id as uuid) and dead_at is null and lease_until > clock_timestamp()
),
done as (
    update {schema}.jobs set
        status = 'processing',
        attempt = jobs.attempt + 1,
        worker_id = cast(:worker_id as uuid),
        pid = cast(:pid as integer),
        idempotent = cast(:idempotent as boolean),
        max_rescues = cast(:max_rescues as integer),
        keep_partial = cast(:keep_partial as boolean),
        no_progress = cast(:no_progress as double precision),
        progress = 0,
        progress_current = null,
        progress_total = null,
        progress_message = null,
        items_succeeded = 0,
        items_failed = 0,
        items_skipped = 0,
        retry_at = null,
        next_check_at = jobs.deadline_at,
        started_at = coalesce(jobs.started_at, clock_timestamp()),
        updated_at = clock_timestamp()
    from job
    where jobs.id = job.id
        and job.attempt = cast(:ticket as integer)
        and job.worker_id is null
        and job.status in ('queued', 'processing')
        and exists (select from lease)
    returning jobs.*
)
select
    true as done, true as lease_alive,
    coalesce(cast(message ->> 'followups' as boolean), false) as followups, {job_columns}
from done
union all
select
    false, exists (select from lease),
    coalesce(cast(message ->> 'followups' as boolean), false), {job_columns}
from job where not exists (select from done);

-- name: land
-- Land the job that this attempt holds; keep its message while follow-ups are to be dispatched.
with {held},
done as (
    update {schema}.jobs set
        status = cast(:status as text),
        progress = case
            when cast(:whole as boolean) then 100
            else coalesce(cast(:progress as smallint), jobs.progress)
        end,
        progress_current = coalesce(cast(:current as double precision), jobs.progress_current),
        progress_total = coalesce(cast(:total as double precision), jobs.progress_total),
        progress_message = coalesce(cast(:progress_message as text), jobs.progress_message),
        result = cast(:result as jsonb),
        error_code = cast(:error_code as text),
        error_message = cast(:error_message as text),
        error_detail = cast(:error_detail as jsonb),
        worker_id = null,
        pid = null,
        followups_pending = cast(:followups as boolean),
        message = case when cast(:followups as boolean) then jobs.message end,
        next_check_at = case when cast(:followups as boolean) then clock_timestamp() end,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from held
    where jobs.id = held.id
    returning jobs.*
)
{answer};

-- name: clear_followups
-- Forget a landed job's message: its callbacks and the next chain step were dispatched.
update {schema}.jobs
set followups_pending = false, message = null, next_check_at = null
where id = cast(:id as uuid) and followups_pending;

-- name: land_lost
-- Fail the job of a process that this worker has lost, while that process is on record.
with {locked},
done as (
    update {schema}.jobs set
        status = 'failed',
        error_code = cast(:error_code as text),
        error_message = cast(:error_message as text),
        error_detail = cast(:error_detail as jsonb),
        worker_id = null,
        pid = null,
        message = null,
        next_check_at = null,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from job
    where jobs.id = job.id
        and job.worker_id = cast(:worker_id as uuid)
        and job.pid = any(cast(:pids as integer[]))
        and job.status = 'processing'
    returning jobs.*
)
{answer};

-- name: release
-- Give up the right to run the job, for a later attempt that a new message will start.
with {held},
done as (
    update {schema}.jobs set
        worker_id = null,
        pid = null,
        task_name = coalesce(cast(:task_name as text), jobs.task_name),
        queue = coalesce(cast(:queue as text), jobs.queue),
        retries = cast(:retries as integer),
        retry_at = coalesce(
            cast(:eta as timestamptz),
            clock_timestamp()
                + make_interval(secs => coalesce(cast(:countdown as double precision), 0))
        ),
        message = coalesce(cast(:message as jsonb), jobs.message),
        published_at = null,
        next_check_at = clock_timestamp()
            + make_interval(secs => cast(:publish_grace as double precision)),
        updated_at = clock_timestamp()
    from held
    where jobs.id = held.id
    returning jobs.*
),
noted as (
    insert into {schema}.job_events (job_id, event, attempt, worker_id, error_code, detail)
    select
        done.id, 'retry', done.attempt, cast(:worker_id as uuid), cast(:error_code as text),
        cast(:detail as jsonb)
    from done
)
{answer};

-- name: report_progress
-- Write an attempt's progress; answer whether the job was asked to be cancelled.
with {held}
update {schema}.jobs set
    progress = coalesce(cast(:progress as smallint), jobs.progress),
    progress_current = coalesce(cast(:current as double precision), jobs.progress_current),
    progress_total = coalesce(cast(:total as double precision), jobs.progress_total),
    progress_message = coalesce(cast(:message as text), jobs.progress_message),
    progress_at = clock_timestamp(),
    updated_at = clock_timestamp()
from held
where jobs.id = held.id
returning jobs.cancel_requested_at is not null;

-- name: check_held
-- Answer whether this attempt still holds the job, and whether it was asked to be cancelled.
select cancel_requested_at is not null from {schema}.jobs
where id = cast(:id as uuid)
    and attempt = cast(:attempt as integer)
    and worker_id = cast(:worker_id as uuid)
    and status = 'processing';

-- name: record_items
-- Write a batch of an attempt's items and count them; the last outcome of a key wins.
with {held},
batch as (
    select * from unnest(
        cast(:keys as text[]), cast(:statuses as text[]), cast(:labels as text[]),
        cast(:messages as text[])
    ) as given (key, status, label, error_message)
),
known as (
    select job_items.status from held, batch, {schema}.job_items
    where job_items.job_id = held.id
        and job_items.key = batch.key
        and job_items.attempt = held.attempt
),
written as (
    insert into {schema}.job_items (job_id, key, attempt, status, label, error_message)
    select held.id, batch.key, held.attempt, batch.status, batch.label, batch.error_message
    from held, batch
    on conflict (job_id, key) do update set
        attempt = excluded.attempt,
        status = excluded.status,
        label = excluded.label,
        error_message = excluded.error_message,
        at = excluded.at
    returning status
),
change as (
    select
        coalesce(sum(n) filter (where status = 'succeeded'), 0) as succeeded,
        coalesce(sum(n) filter (where status = 'failed'), 0) as failed,
        coalesce(sum(n) filter (where status = 'skipped'), 0) as skipped
    from (select status, 1 as n from written union all select status, -1 from known) as moves
)
update {schema}.jobs set
    items_succeeded = jobs.items_succeeded + change.succeeded,
    items_failed = jobs.items_failed + change.failed,
    items_skipped = jobs.items_skipped + change.skipped,
    updated_at = clock_timestamp()
from held, change
where jobs.id = held.id
returning jobs.cancel_requested_at is not null;

-- name: add_asset
-- Link a file that the holding attempt has stored.
with {held},
added as (
    insert into {schema}.assets (
        id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, content_type,
        sha256, stored_at
    )
    select
        cast(:asset_id as uuid), held.id, held.user_id, held.attempt, cast(:asset_type as text),
        cast(:url as text), cast(:storage_path as text), cast(:file_size as bigint),
        cast(:content_type as text), cast(:sha256 as text), clock_timestamp()
    from held
    returning *
)
select {asset_columns} from added;

-- name: message_of
-- Read what must be published for a job that waits to be started, with its ticket and times.
select task_name, message, attempt, coalesce(retry_at, eta), expires_at from {schema}.jobs
where id = cast(:id as uuid)
    and worker_id is null
    and published_at is null
    and completed_at is null
    and message is not null;

-- name: note_published
-- Remember that the job's message went out. Losing this memory costs a duplicate that is dropped,
-- so the commit need not wait for the disk.
with relaxed as materialized (select set_config('synchronous_commit', 'off', true))
update {schema}.jobs set
    published_at = clock_timestamp(),
    publishes = publishes + 1,
    next_check_at = clock_timestamp()
        + make_interval(secs => cast(:republish_after as double precision))
from relaxed
where id = cast(:id as uuid) and attempt = cast(:ticket as integer) and worker_id is null
    and completed_at is null;

-- name: register_worker
-- Announce a worker and give it its first lease.
insert into {schema}.workers (id, hostname, pid, queues, lease_until)
values (
    cast(:worker_id as uuid), cast(:hostname as text), cast(:pid as integer),
    cast(:queues as text[]),
    clock_timestamp() + make_interval(secs => cast(:lease as double precision))
)
on conflict (id) do nothing;

-- name: renew_lease
-- Prolong a worker's lease; no row means that the worker was buried.
update {schema}.workers set
    heartbeat_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => cast(:lease as double precision))
where id = cast(:worker_id as uuid) and dead_at is null
returning id;

-- name: end_worker
-- Note that a worker has ended.
update {schema}.workers set dead_at = clock_timestamp(), lease_until = clock_timestamp()
where id = cast(:worker_id as uuid) and dead_at is null;
