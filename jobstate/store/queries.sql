-- Every statement of jobstate. One section each: a name, what it is for, the statement.
-- {schema} is the quoted schema; {braces} with another name paste the fragment of that name.
-- Guarded writes answer what is true: done and the row after it, or refused and the row as it is, or
-- nothing when there is no row. Those of a job's usual way do it in one update, whose condition
-- Postgres checks again once it has the row's lock; where that changes nothing, a second statement
-- reads why. The others lock the row first and decide then.

-- fragment: job_columns
-- The columns of records.Job, in its order.
    id, user_id, job_type, task_name, queue, status, progress, progress_current, progress_total,
    progress_message, progress_at, parameters, result, error_code, error_message, error_detail,
    items_succeeded, items_failed, items_skipped, attempt, worker_id, pid, retries, rescues,
    retry_at, eta, expires_at, deadline_at, cancel_requested_at, next_check_at, published_at,
    publishes, followups_pending, idempotent, max_rescues, keep_partial, no_progress,
    idempotency_key, parent_id, retry_of, created_at, started_at, attempt_started_at, updated_at,
    completed_at

-- fragment: asset_columns
-- The columns of records.Asset, in its order.
    id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, content_type, sha256,
    created_at, stored_at

-- fragment: patience
-- How long this statement waits for a lock; null: as long as the caller's transaction says.
    patience as materialized (
        select set_config(
            'lock_timeout', coalesce(cast(:patience as text), current_setting('lock_timeout')), true
        )
    )

-- fragment: locked
-- The job, locked.
    {patience},
    job as (
        select jobs.* from patience, {schema}.jobs where jobs.id = cast(:id as uuid)
        for no key update of jobs
    )

-- fragment: free
-- The job, locked, unless somebody else has it locked just now.
    job as (
        select * from {schema}.jobs where id = cast(:id as uuid) for no key update skip locked
    )

-- fragment: hold
-- The locked job, where this attempt still holds it.
    held as (
        select * from job
        where attempt = cast(:attempt as integer)
            and worker_id = cast(:worker_id as uuid)
            and pid = coalesce(cast(:pid as integer), pid)
            and status = 'processing'
    )

-- fragment: mine
-- The job, where this attempt still holds it.
    jobs.id = cast(:id as uuid)
        and jobs.attempt = cast(:attempt as integer)
        and jobs.worker_id = cast(:worker_id as uuid)
        and jobs.pid = coalesce(cast(:pid as integer), jobs.pid)
        and jobs.status = 'processing'

-- fragment: relaxed
-- A commit that need not wait for the disk, and may be lost if the server dies in the next second.
    relaxed as materialized (select set_config('synchronous_commit', 'off', true))

-- fragment: held
-- The job, locked, where this attempt still holds it.
    {locked},
    {hold}

-- fragment: delegated
-- The job, locked, where it was delegated at this attempt and no task has taken it over yet.
    {locked},
    delegated as (
        select * from job
        where attempt = cast(:attempt as integer)
            and status = 'processing'
            and worker_id is null
            and message -> 'canvas' is not null
    )

-- fragment: freely_held
-- The same, unless somebody else has it locked just now.
    {free},
    {hold}

-- fragment: judged
-- The held job; whether it has done something that its task wants kept; and what follows it: what is
-- kept goes on to the callbacks, what failed to the errbacks.
    judged as (
        select
            held.*,
            held.keep_partial and (
                held.items_succeeded > 0
                or exists (
                    select from {schema}.assets
                    where assets.job_id = held.id and assets.attempt = held.attempt
                        and assets.stored_at is not null
                )
            ) as kept,
            coalesce(cast(held.message ->> 'followups' as boolean), false) as followups,
            coalesce(cast(held.message ->> 'errbacks' as boolean), false) as errbacks
        from held
    )

-- fragment: answer
-- A guarded write's answer: done, and the whole row.
    select true as done, {job_columns} from done
    union all
    select false, {job_columns} from job where not exists (select from done)

-- fragment: asked_for
-- The jobs of the wanted type that come after a page of the newest.
    (cast(:job_type as text) is null or job_type = cast(:job_type as text))
        and (created_at, id) < (
            coalesce(cast(:before_at as timestamptz), 'infinity'),
            coalesce(cast(:before_id as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        )

-- fragment: live
-- The jobs that have not landed, by the index that has no others.
    (completed_at is null or followups_pending) and completed_at is null

-- fragment: terminal
-- The statuses in which a job has landed. The index has each by itself, the last landed last.
    (values ('completed'), ('failed'), ('partial')) as terminal (of_status)

-- fragment: told
-- What a body learns when it reports: whether the job is to be cancelled. Null: nothing was written,
-- as somebody has the row locked just now, such as the body itself in a transaction of its own. No
-- row: it is held no more.
    select cancel_requested_at is not null from done
    union all
    select null from {schema}.jobs
    where id = cast(:id as uuid) and not exists (select from job)

-- fragment: asset_is_over
-- No attempt will ever show this asset: a newer one has its job, or it was given up half-way.
-- What is true once stays true, so nothing need be locked to act on it.
    assets.managed
    and (
        assets.attempt < jobs.attempt
        or (
            assets.stored_at is null
            and (jobs.completed_at is not null or jobs.worker_id is null)
        )
    )

-- fragment: job_is_done_with
-- The job has landed, all that follows it was dispatched, no file of it may still arrive, and no live
-- job has it for a parent. An offset has these looked up job by job: as joins they may read all.
    jobs.completed_at is not null
    and not jobs.followups_pending
    and not exists (
        select from {schema}.assets as unfinished
        where unfinished.job_id = jobs.id and unfinished.managed and unfinished.stored_at is null
        offset 0
    )
    and not exists (
        select from {schema}.jobs as child
        where child.parent_id = jobs.id and child.completed_at is null
        offset 0
    )

-- name: schema_version
-- Which migration the schema is at.
select version_num from {schema}.schema_version;

-- name: begin
-- Have the server end a transaction whose client is gone unheard, and that would keep its locks.
select set_config('idle_in_transaction_session_timeout', '5s', true);

-- name: create_job
-- Insert a queued job, unless its id or its idempotency key is there already, or another live job
-- retries the same one.
with {patience}
insert into {schema}.jobs (
    id, user_id, job_type, task_name, queue, parameters, message, eta, expires_at, deadline_at,
    next_check_at, idempotency_key, parent_id, retry_of, call, created_at, updated_at
)
select
    cast(:id as uuid), :user_id, cast(:job_type as text), cast(:task_name as text),
    cast(:queue as text), cast(:parameters as jsonb), cast(:message as jsonb),
    times.eta, times.expires_at, times.deadline_at,
    least(
        times.expires_at, times.deadline_at,
        clock_timestamp() + make_interval(secs => cast(:publish_grace as double precision))
    ),
    cast(:idempotency_key as text), cast(:parent_id as uuid), cast(:retry_of as uuid),
    cast(:call as jsonb), times.now, times.now
from patience, (
    select
        coalesce(
            cast(:eta as timestamptz),
            clock_timestamp() + make_interval(secs => cast(:countdown as double precision))
        ) as eta,
        coalesce(
            cast(:expires_at as timestamptz),
            clock_timestamp() + make_interval(secs => cast(:expires_in as double precision))
        ) as expires_at,
        coalesce(
            cast(:deadline_at as timestamptz),
            clock_timestamp() + make_interval(secs => cast(:deadline_in as double precision))
        ) as deadline_at,
        clock_timestamp() as now
) as times
on conflict do nothing
returning {job_columns};

-- name: narrow
-- Have a job that retries another do only the items that failed there; or only those that the other
-- was to do, which retried some itself.
update {schema}.jobs set
    only_items = case
        when cast(:only_failed as boolean) then array(
            select job_items.key
            from {schema}.job_items
            where job_items.job_id = original.id
                and job_items.attempt = original.attempt
                and job_items.status = 'failed'
        )
        else original.only_items
    end
from {schema}.jobs as original
where jobs.id = cast(:id as uuid)
    and original.id = jobs.retry_of
    and (cast(:only_failed as boolean) or original.only_items is not null);

-- name: batch_moment
-- The moment at which the jobs of a batch are created.
select clock_timestamp();

-- name: create_batch
-- Insert queued jobs like create_job does. They are created a microsecond after one another, in the
-- order of their places, whatever order they are inserted in.
with {patience},
given as (
    select job.*, spans.*
    from patience, jsonb_array_elements(cast(:jobs as jsonb)) as element (one)
    cross join lateral jsonb_populate_record(null::{schema}.jobs, one) as job
    cross join lateral jsonb_to_record(one) as spans (
        place integer, countdown double precision, expires_in double precision,
        deadline_in double precision, publish_grace double precision
    )
),
timed as (
    select
        given.*,
        coalesce(eta, clock_timestamp() + make_interval(secs => countdown)) as starts_at,
        coalesce(expires_at, clock_timestamp() + make_interval(secs => expires_in)) as ends_at,
        coalesce(deadline_at, clock_timestamp() + make_interval(secs => deadline_in)) as lands_by,
        cast(:moment as timestamptz) + place * interval '1 microsecond' as moment
    from given
)
insert into {schema}.jobs (
    id, user_id, job_type, task_name, queue, parameters, message, eta, expires_at, deadline_at,
    next_check_at, idempotency_key, parent_id, retry_of, call, created_at, updated_at
)
select
    id, user_id, job_type, task_name, queue, parameters, message, starts_at, ends_at, lands_by,
    least(ends_at, lands_by, clock_timestamp() + make_interval(secs => publish_grace)),
    idempotency_key, parent_id, retry_of, call, moment, moment
from timed
on conflict do nothing
returning {job_columns};

-- name: find_batch
-- Read the jobs that kept others from being created, with the place of each in the array, and
-- whether it is of this user and type.
select place, is_same, {job_columns}
from jsonb_array_elements(cast(:jobs as jsonb)) with ordinality as element (one, place)
cross join lateral (
    select jobs.*, jobs.user_id = wanted.user_id and jobs.job_type = wanted.job_type as is_same
    from jsonb_populate_record(null::{schema}.jobs, one) as wanted
    join {schema}.jobs
        on jobs.id = wanted.id
        or (
            jobs.user_id = wanted.user_id and jobs.job_type = wanted.job_type
            and jobs.idempotency_key = wanted.idempotency_key
        )
    limit 1
) as found;

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
-- Read one page of an owner's jobs, newest first, from where the last page ended. The index has each
-- status in this order: a page is the first of what the statuses have first.
select {job_columns}
from unnest(cast(:statuses as text[])) as wanted (of_status)
cross join lateral (
    select * from {schema}.jobs
    where user_id = :user_id
        and status = wanted.of_status
        and {asked_for}
    order by created_at desc, id desc
    limit cast(:limit as integer)
) as first
order by created_at desc, id desc
limit cast(:limit as integer);

-- name: changes
-- Read what is no longer as it is known: watched jobs by their ids, those that are gone without
-- columns; of watched owners, also what runs, and what was created or has landed lately. Each with
-- the time from which the next such question must look, and the owner as their jobs name them, where
-- one alone is watched: an id may be written in several ways. With a limit, what has changed last.
-- Two bounds of a time have the planner expect few rows, as one that it does not know has not; `not
-- in` has it hash what is known, as `not exists` has not.
with asked as (
    select
        statement_timestamp() as at,
        greatest(
            coalesce(cast(:since as timestamptz), statement_timestamp())
                - make_interval(secs => cast(:overlap as double precision)),
            statement_timestamp() - interval '1 day'
        ) as since
),
known as (
    select id, version
    from unnest(cast(:ids as uuid[]), cast(:versions as timestamptz[])) as known (id, version)
),
found as (
    select known.id as known_id, jobs.*
    from known left join {schema}.jobs on jobs.id = known.id
    where jobs.updated_at is distinct from known.version
    union all
    select jobs.id, jobs.* from {schema}.jobs
    where user_id = any(:owners)
        and status = 'processing'
        and id not in (select id from known)
    union all
    select jobs.id, jobs.* from {schema}.jobs
    where user_id = any(:owners)
        and status in ('queued', 'completed', 'failed', 'partial')
        and created_at > (select since from asked) and created_at < 'infinity'
        and id not in (select id from known)
    union all
    select jobs.id, jobs.* from {schema}.jobs
    where user_id = any(:owners)
        and status in ('completed', 'failed', 'partial')
        and completed_at > (select since from asked) and completed_at < 'infinity'
        and (created_at <= (select since from asked)) is true
        and id not in (select id from known)
),
last as (
    select * from found order by updated_at desc limit cast(:limit as bigint)
)
select
    asked.at, case when cardinality(:owners) = 1 then (:owners)[1] end, last.known_id, {job_columns}
from asked left join last on true
order by last.updated_at;

-- name: list_all_jobs
-- Read one page of everybody's jobs, for operators: first those that are live, the newest first, then
-- those that have landed, the last one first. No index has all jobs in the order of their creation:
-- it would cost each of them more than lists do. None has their types either: those of a type are
-- looked for among so many that have landed.
with live as (
    select id, created_at, completed_at from {schema}.jobs
    where {live}
        and cast(:landed_before as timestamptz) is null
        and cast(:statuses as text[]) && array['queued', 'processing']
        and status = any(cast(:statuses as text[]))
        and {asked_for}
    order by created_at desc, id desc
    limit cast(:limit as integer)
),
landed as (
    select first.*
    from unnest(cast(:statuses as text[])) as wanted (of_status)
    cross join lateral (
        select id, created_at, completed_at
        from (
            select * from {schema}.jobs
            where status = wanted.of_status
                and completed_at is not null
                and (completed_at, created_at, id) < (
                    coalesce(cast(:landed_before as timestamptz), 'infinity'),
                    coalesce(cast(:before_at as timestamptz), 'infinity'),
                    coalesce(cast(:before_id as uuid), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                )
            order by completed_at desc, created_at desc, id desc
            limit 100000
        ) as latest
        where cast(:job_type as text) is null or job_type = cast(:job_type as text)
        order by completed_at desc, created_at desc, id desc
        limit cast(:limit as integer)
    ) as first
)
select {job_columns}
from {schema}.jobs
where id in (
    select id from (select * from live union all select * from landed) as found
    order by completed_at desc nulls first, created_at desc, id desc
    limit cast(:limit as integer)
)
order by completed_at desc nulls first, created_at desc, id desc;

-- name: watched
-- Read what an operator watches: the jobs that run, those that wait, those that have just landed,
-- and the ones that were seen before.
with found as (
    select unnest(cast(:seen as uuid[])) as id
    union
    (
        select id from {schema}.jobs where worker_id is not null
        order by worker_id limit cast(:limit as integer)
    )
    union
    (
        select id from {schema}.jobs where {live}
        order by next_check_at limit cast(:limit as integer)
    )
    union
    (
        select last.id
        from {terminal}
        cross join lateral (
            select id, completed_at from {schema}.jobs
            where status = of_status
                and completed_at > (select clock_timestamp())
                    - make_interval(secs => cast(:landed_within as double precision))
            order by completed_at desc limit cast(:limit as integer)
        ) as last
        order by completed_at desc limit cast(:limit as integer)
    )
)
select {job_columns} from {schema}.jobs where id in (select id from found)
order by created_at, id;

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
        next_check_at = case when not cast(:terminal as boolean) then jobs.deadline_at end,
        message = null,
        started_at = coalesce(jobs.started_at, clock_timestamp()),
        attempt_started_at = case
            when cast(:terminal as boolean) then jobs.attempt_started_at else clock_timestamp()
        end,
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
-- Read the stored files of a job's valid attempt, and those that were linked before the first one;
-- and whether this user owns the job.
select owned, {asset_columns}
from (
    select jobs.user_id = :user_id as owned, assets.*
    from {schema}.jobs
    left join {schema}.assets
        on assets.job_id = jobs.id
        and assets.attempt in (0, jobs.attempt)
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
-- Read the items of a job's valid attempt, or the first of them after a given one, in the order they
-- were recorded, and whether this user owns the job. The index has each status in this order, but for
-- the keys of the same moment: a page is the first of what the statuses have first, none of which is
-- cut off within a moment.
select
    jobs.user_id = :user_id, found.job_id, found.key, found.attempt, found.status, found.label,
    found.error_message, found.at
from {schema}.jobs
left join lateral (
    select first.*
    from unnest(cast(:statuses as text[])) as wanted (of_status)
    cross join lateral (
        select * from {schema}.job_items
        where job_items.job_id = jobs.id
            and job_items.attempt = jobs.attempt
            and job_items.status = wanted.of_status
            and (at, key) > (
                coalesce(cast(:after_at as timestamptz), '-infinity'),
                coalesce(cast(:after_key as text), '')
            )
        order by at
        fetch first (cast(:limit as bigint)) rows with ties
    ) as first
) as found on true
where jobs.id = cast(:job_id as uuid)
order by found.at, found.key
limit cast(:limit as bigint);

-- name: get_logs
-- Read what the attempts of a job have logged, or the first of it after a given line, oldest first,
-- and whether this user owns the job.
select
    jobs.user_id = :user_id, found.id, found.job_id, found.attempt, found.at, found.level,
    found.logger, found.message
from {schema}.jobs
left join lateral (
    select * from {schema}.job_logs
    where job_id = jobs.id and id > coalesce(cast(:after as bigint), 0)
    order by id
    limit cast(:limit as bigint)
) as found on true
where jobs.id = cast(:job_id as uuid)
order by found.id;

-- name: count_logs
-- Count the lines that the attempts of a job have logged.
select count(*) from {schema}.job_logs where job_id = cast(:job_id as uuid);

-- name: stats
-- Count all jobs by type and status: the index of the owners has all it takes, and is read whole.
select job_type, status, count(*), min(created_at)
from {schema}.jobs
group by job_type, status
order by job_type, status;

-- name: owner_stats
-- Count the jobs of one owner by type and status.
select job_type, status, count(*), min(created_at)
from {schema}.jobs
where user_id = :user_id
group by job_type, status
order by job_type, status;

-- name: recent_stats
-- Count the live jobs, and those that have landed lately, by type and status. For the bounds, see
-- changes.
select job_type, status, count(*), min(created_at)
from (
    select job_type, status, created_at, user_id from {schema}.jobs where {live}
    union all
    select job_type, status, created_at, user_id from {schema}.jobs
    where status in ('completed', 'failed', 'partial')
        and completed_at > statement_timestamp()
            - make_interval(secs => cast(:landed_within as double precision))
        and completed_at < 'infinity'
) as found
where cast(:everybody as boolean) or user_id = :user_id
group by job_type, status
order by job_type, status;

-- fragment: taking
-- What every take writes.
    status = 'processing',
        attempt = jobs.attempt + 1,
        worker_id = cast(:worker_id as uuid),
        pid = cast(:pid as integer),
        idempotent = cast(:idempotent as boolean),
        max_rescues = cast(:max_rescues as integer),
        keep_partial = cast(:keep_partial as boolean),
        no_progress = cast(:no_progress as double precision),
        progress_at = now.at,
        attempt_started_at = now.at,
        started_at = coalesce(jobs.started_at, now.at),
        updated_at = now.at,
        publishes = 0,
        error_code = null,
        next_check_at = least(
            jobs.deadline_at, jobs.cancel_requested_at,
            now.at + make_interval(secs => cast(:no_progress as double precision))
        )

-- fragment: takeable
-- The job, where nobody holds it, the ticket fits and the taker's lease is alive.
    jobs.id = cast(:id as uuid)
        and jobs.attempt = cast(:ticket as integer)
        and jobs.worker_id is null
        and exists (
            select from {schema}.workers
            where workers.id = cast(:worker_id as uuid) and dead_at is null
                and lease_until > clock_timestamp()
        )

-- fragment: now
-- The moment, and how durable the commit is. One take that may be repeated is not worth a wait for
-- the disk: lost with the server, the job is queued again, and its attempt is fenced out.
    now as materialized (
        select clock_timestamp() as at, set_config(
            'synchronous_commit',
            case
                when cast(:relaxed as boolean) then 'off'
                else current_setting('synchronous_commit')
            end,
            true
        )
    )

-- name: take
-- Give a queued job to its first attempt.
with {patience},
{now}
update {schema}.jobs set
    {taking}
from patience, now
where {takeable}
    and jobs.status = 'queued'
returning
    true, true, coalesce(cast(message ->> 'followups' as boolean), false), {job_columns};

-- name: take_again
-- Give a released job to a further attempt, which begins from nothing; see not_taken.
with {patience},
{now},
done as (
    update {schema}.jobs set
        {taking},
        progress = 0,
        progress_current = null,
        progress_total = null,
        progress_message = null,
        items_succeeded = 0,
        items_failed = 0,
        items_skipped = 0,
        retry_at = null,
        -- The tasks that it was delegated to have run: they are not to be published again.
        message = case when jobs.message -> 'canvas' is null then jobs.message end
    from patience, now
    where {takeable}
        and jobs.status = 'processing'
    returning jobs.*
),
superseded as (
    update {schema}.assets set next_check_at = clock_timestamp()
    from done
    where assets.job_id = done.id and assets.attempt < done.attempt and assets.managed
)
select true, true, coalesce(cast(message ->> 'followups' as boolean), false), {job_columns}
from done;

-- name: not_taken
-- Read a job that was not taken: whether the taker's lease is alive, whether follow-ups are stored.
select
    false,
    exists (
        select from {schema}.workers
        where workers.id = cast(:worker_id as uuid) and dead_at is null
            and lease_until > clock_timestamp()
    ),
    coalesce(cast(message ->> 'followups' as boolean), false), {job_columns}
from {schema}.jobs where id = cast(:id as uuid);

-- fragment: following
-- Whether a landing leaves something to dispatch: after a failure, errbacks alone.
    cast(:followups as boolean) and (
            cast(:whole as boolean)
            or coalesce(cast(jobs.message ->> 'errbacks' as boolean), false)
        )

-- name: land
-- Land the job that this attempt holds; keep its message while follow-ups are to be dispatched.
with {patience}
update {schema}.jobs set
    status = cast(:status as text),
    progress = case
        when cast(:whole as boolean) then 100
        else coalesce(cast(:progress as smallint), jobs.progress)
    end,
    progress_current = coalesce(cast(:current as double precision), jobs.progress_current),
    progress_total = nullif(
        coalesce(cast(:total as double precision), jobs.progress_total), 'NaN'
    ),
    progress_message = coalesce(cast(:progress_message as text), jobs.progress_message),
    result = cast(:result as jsonb),
    error_code = cast(:error_code as text),
    error_message = cast(:error_message as text),
    error_detail = cast(:error_detail as jsonb),
    worker_id = null,
    pid = null,
    followups_pending = {following},
    message = case when {following} then jobs.message end,
    next_check_at = case
        when {following}
            then clock_timestamp()
                + make_interval(secs => cast(:publish_grace as double precision))
    end,
    updated_at = clock_timestamp(),
    completed_at = clock_timestamp()
from patience
where {mine}
returning true, {job_columns};

-- name: refused
-- Read a job that a guarded write has left as it is.
select false, {job_columns} from {schema}.jobs where id = cast(:id as uuid);

-- name: clear_followups
-- Forget a landed job's message: its callbacks and the next chain step were dispatched.
with {patience}
update {schema}.jobs
set followups_pending = false, message = null, next_check_at = null
from patience
where id = cast(:id as uuid) and followups_pending;

-- name: release
-- Give up the right to run the job, for a later attempt that a new message will start.
with {held},
done as (
    update {schema}.jobs set
        worker_id = null,
        pid = null,
        task_name = coalesce(cast(:task_name as text), jobs.task_name),
        queue = coalesce(cast(:queue as text), jobs.queue),
        retries = coalesce(cast(:retries as integer), jobs.retries),
        retry_at = coalesce(
            cast(:eta as timestamptz),
            clock_timestamp()
                + make_interval(secs => coalesce(cast(:countdown as double precision), 0))
        ),
        message = case
            when cast(:canvas as text) is null then coalesce(cast(:message as jsonb), jobs.message)
            else coalesce(jobs.message, '{}') || jsonb_build_object('canvas', cast(:canvas as text))
        end,
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
        done.id, case when cast(:canvas as text) is null then 'retry' else 'delegate' end,
        done.attempt, cast(:worker_id as uuid), cast(:error_code as text), cast(:detail as jsonb)
    from done
)
{answer};

-- name: report_progress
-- Write an attempt's progress, unless the row is locked. Losing it with the server costs nothing, as
-- the next report follows: the commit need not wait for the disk.
with {freely_held},
{relaxed},
done as (
    update {schema}.jobs set
        progress = coalesce(cast(:progress as smallint), jobs.progress),
        progress_current = coalesce(cast(:current as double precision), jobs.progress_current),
        progress_total = nullif(
            coalesce(cast(:total as double precision), jobs.progress_total), 'NaN'
        ),
        progress_message = coalesce(cast(:message as text), jobs.progress_message),
        progress_at = clock_timestamp(),
        updated_at = clock_timestamp()
    from held, relaxed
    where jobs.id = held.id
    returning jobs.cancel_requested_at
)
{told};

-- name: note
-- Add something that was refused to the history, at most three times for a job.
insert into {schema}.job_events (job_id, event, attempt)
select id, cast(:event as text), cast(:attempt as integer) from {schema}.jobs
where id = cast(:id as uuid)
    and 3 > (
        select count(*) from {schema}.job_events
        where job_id = cast(:id as uuid) and event = cast(:event as text)
    )
-- No foreign key keeps the history of a job that is deleted meanwhile from coming to be.
for key share;

-- name: check_held
-- Answer whether this attempt still holds the job, and whether it was asked to be cancelled.
select cancel_requested_at is not null from {schema}.jobs
where id = cast(:id as uuid)
    and attempt = cast(:attempt as integer)
    and worker_id = cast(:worker_id as uuid)
    and pid = coalesce(cast(:pid as integer), pid)
    and status = 'processing';

-- name: record_items
-- Write a batch of an attempt's items and count them, unless the row is locked; the last outcome of
-- a key wins.
with {freely_held},
batch as (
    select * from unnest(
        cast(:keys as text[]), cast(:statuses as text[]), cast(:labels as text[]),
        cast(:messages as text[])
    ) as given (key, status, label, error_message)
),
known as (
    -- The limit keeps the look-up one by one: a plan from when the table was empty would compare
    -- every item of the job with every one of the batch.
    select earlier.status
    from held
    cross join batch
    cross join lateral (
        select job_items.status from {schema}.job_items
        where job_items.job_id = held.id
            and job_items.key = batch.key
            and job_items.attempt = held.attempt
        limit 1
    ) as earlier
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
),
done as (
    update {schema}.jobs set
        items_succeeded = jobs.items_succeeded + change.succeeded,
        items_failed = jobs.items_failed + change.failed,
        items_skipped = jobs.items_skipped + change.skipped,
        progress_at = clock_timestamp(),
        updated_at = clock_timestamp()
    from held, change
    where jobs.id = held.id
    returning jobs.cancel_requested_at
)
{told};

-- name: write_logs
-- Write what an attempt's body has logged, unless the row is locked, and also after the attempt has
-- landed the job in a transaction of its body's; how long ago is told, because clocks of workers
-- differ.
with {free},
held as (
    select * from job
    where attempt = cast(:attempt as integer)
        and (
            (
                worker_id = cast(:worker_id as uuid)
                and pid = coalesce(cast(:pid as integer), pid)
                and status = 'processing'
            )
            or status in ('completed', 'partial')
        )
),
{relaxed},
written as (
    insert into {schema}.job_logs (job_id, attempt, at, level, logger, message)
    select
        held.id, held.attempt, clock_timestamp() - make_interval(secs => line.age), line.level,
        line.logger, line.message
    from held, relaxed, unnest(
        cast(:ages as double precision[]), cast(:levels as text[]), cast(:loggers as text[]),
        cast(:messages as text[])
    ) with ordinality as line (age, level, logger, message, place)
    order by line.place
),
done as (select cancel_requested_at from held)
{told};

-- name: only_items
-- Read which items alone a job is to do.
select only_items from {schema}.jobs where id = cast(:id as uuid);

-- name: resume_items
-- Take over the items that earlier attempts have done, count and list them. Until the attempt
-- records items of its own, those that it has are the ones that were taken over before.
with {held},
carried as (
    update {schema}.job_items set attempt = held.attempt
    from held
    where job_items.job_id = held.id
        and job_items.attempt <= held.attempt
        and job_items.status = 'succeeded'
    returning job_items.key
),
counted as (
    update {schema}.jobs set
        items_succeeded = (select count(*) from carried),
        updated_at = clock_timestamp()
    from held
    where jobs.id = held.id
    returning jobs.id
)
select carried.key from counted left join carried on true;

-- name: find_original
-- Read a job that is to be run again: whether this user owns it, the call as it was enqueued, how
-- long it had to land, whether items of it failed.
select
    user_id = :user_id,
    call,
    cast(extract(epoch from deadline_at - created_at) as double precision),
    exists (
        select from {schema}.job_items
        where job_items.job_id = jobs.id
            and job_items.attempt = jobs.attempt
            and job_items.status = 'failed'
    ),
    {job_columns}
from {schema}.jobs where id = cast(:id as uuid);

-- name: join
-- Lock the job in a transaction of the body's own, where the attempt still holds it; answer which
-- transaction that is.
with {held}
select cast(pg_current_xact_id() as text) from held;

-- name: current_transaction
-- Answer in which transaction this connection is, if anything was written in it.
select cast(pg_current_xact_id_if_assigned() as text);

-- name: bound_idleness
-- Have the server end this transaction should its client fall silent: nobody else can land the job
-- as long as it is open.
select set_config(name, cast(:timeout as text), true) from pg_settings
where name = 'idle_in_transaction_session_timeout'
    and cast(setting as integer) not between 1 and cast(:timeout as integer);

-- name: claim_followups
-- Leave what follows a job to the attempt that has landed it, unless it was dispatched already.
with {locked},
done as (
    update {schema}.jobs set
        next_check_at = clock_timestamp()
            + make_interval(secs => cast(:publish_grace as double precision))
    from job
    where jobs.id = job.id and job.attempt = cast(:attempt as integer) and job.followups_pending
    returning jobs.*
)
{answer};

-- name: live_retry
-- Read the job that retries another one, and has not landed.
select {job_columns} from {schema}.jobs
where retry_of = cast(:id as uuid) and completed_at is null;

-- name: add_asset
-- Link a file that the holding attempt has stored; or the attempt that has landed the job in this
-- very transaction.
with {locked},
held as (
    select * from job
    where attempt = cast(:attempt as integer)
        and (
            (
                worker_id = cast(:worker_id as uuid)
                and pid = coalesce(cast(:pid as integer), pid)
                and status = 'processing'
            )
            or (
                status in ('completed', 'partial')
                and cast(:landed_in as text) = cast(pg_current_xact_id_if_assigned() as text)
            )
        )
),
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

-- name: has_files
-- Tell whether an attempt has files to show.
select exists (
    select from {schema}.assets
    where job_id = cast(:id as uuid)
        and attempt = cast(:attempt as integer)
        and stored_at is not null
);

-- name: begin_asset
-- Announce a file that the holding attempt is about to store, unless an asset has its path already.
-- Repeatable with the same id.
with {held},
added as (
    insert into {schema}.assets (
        id, job_id, user_id, attempt, asset_type, url, storage_path, file_size, content_type,
        managed, next_check_at
    )
    select
        cast(:asset_id as uuid), held.id, held.user_id, held.attempt, cast(:asset_type as text),
        cast(:url as text), cast(:storage_path as text), 0, cast(:content_type as text),
        true, clock_timestamp() + make_interval(secs => cast(:interval as double precision))
    from held
    where not exists (
        select from {schema}.assets as other
        where other.storage_path = cast(:storage_path as text)
            and other.id <> cast(:asset_id as uuid)
            and other.cleaned_at is null
    )
    on conflict (id) do update set next_check_at = excluded.next_check_at
    returning *
)
select added.id is not null from held left join added on true;

-- name: finish_asset
-- Show a file that the holding attempt has stored. Repeatable.
with {held},
stored as (
    update {schema}.assets set
        file_size = cast(:file_size as bigint),
        sha256 = cast(:sha256 as text),
        stored_at = coalesce(assets.stored_at, clock_timestamp()),
        next_check_at = null
    from held
    where assets.id = cast(:asset_id as uuid)
        and assets.job_id = held.id
        and assets.attempt = held.attempt
    returning assets.*
)
select {asset_columns} from stored;

-- name: drop_asset
-- Give up a file that was not stored, and is looked for once more, late.
update {schema}.assets set
    cleaned_at = clock_timestamp(),
    next_check_at = clock_timestamp() + make_interval(secs => cast(:late as double precision))
where id = cast(:asset_id as uuid) and managed and stored_at is null;

-- name: get_asset
-- Read a stored file of a job that get_assets shows, whether this user owns the job, and whether
-- jobstate has stored it.
select owned, managed, {asset_columns}
from (
    select jobs.user_id = :user_id as owned, assets.*
    from {schema}.assets
    join {schema}.jobs on jobs.id = assets.job_id and assets.attempt in (0, jobs.attempt)
    where assets.id = cast(:asset_id as uuid) and assets.stored_at is not null
) as found;

-- name: message_of
-- Read what must be published for a job that waits to be started, or for its follow-ups, with the
-- ticket, and in how many seconds it is to start and to expire: no clock but this one decides.
-- Once published, only when it must go out again, and without an expiry that a worker with a wrong
-- clock may have found; a delegated job's tasks never.
select
    task_name, message, attempt,
    case when coalesce(retry_at, eta) is not null then greatest(
        cast(extract(epoch from coalesce(retry_at, eta) - clock_timestamp()) as double precision), 0
    ) end,
    case when publishes = 0 then
        cast(extract(epoch from expires_at - clock_timestamp()) as double precision)
    end
from {schema}.jobs
where id = cast(:id as uuid)
    and worker_id is null
    and (
        published_at is null or (cast(:again as boolean) and message -> 'canvas' is null)
    )
    and (completed_at is null or followups_pending)
    and message is not null;

-- name: messages_of
-- Read what message_of reads of jobs that were never published, in the order of these ids.
select
    jobs.id, queue, task_name, message,
    case when coalesce(retry_at, eta) is not null then greatest(
        cast(extract(epoch from coalesce(retry_at, eta) - clock_timestamp()) as double precision), 0
    ) end,
    cast(extract(epoch from expires_at - clock_timestamp()) as double precision)
from unnest(cast(:ids as uuid[])) with ordinality as wanted (id, place)
join {schema}.jobs using (id)
where worker_id is null
    and published_at is null
    and completed_at is null
    and message is not null
order by place;

-- name: note_first_published
-- Remember that the first messages of these jobs went out, so many seconds ago. It waits for no lock,
-- and touches no column of an index: the sweeper looks at a job soon after it was to be published
-- anyhow. Nothing is remembered of a job that somebody has locked, has taken, or has written to since
-- it was created: its message may have been thrown away, or doubted. The ids are sorted, so that each
-- finds its age; a join with them would compare each with each job, where statistics say that all
-- jobs are noted.
with {relaxed},
free as materialized (
    select jobs.id from relaxed, {schema}.jobs
    where jobs.id = any(cast(:ids as uuid[]))
        and attempt = 0
        and publishes = 0
        and worker_id is null
        and completed_at is null
        and updated_at = created_at
    for no key update of jobs skip locked
)
update {schema}.jobs set
    published_at = clock_timestamp() - make_interval(
        secs => (cast(:ages as double precision[]))[
            width_bucket(free.id, cast(:ids as uuid[]))
        ]
    ),
    publishes = 1
from free where jobs.id = free.id;

-- name: note_published
-- Remember that the job's message went out. Losing this memory costs a duplicate that is dropped,
-- so the commit need not wait for the disk. The first time, it touches no column of an index:
-- the sweeper looks at a job soon after it was to be published anyhow.
with {patience},
{relaxed},
noted as (
    update {schema}.jobs set
        published_at = clock_timestamp(),
        publishes = publishes + 1,
        next_check_at = case
            when publishes = 0 and next_check_at > clock_timestamp() then next_check_at
            else least(
                deadline_at, expires_at, cancel_requested_at,
                clock_timestamp() + make_interval(
                    secs => cast(:look_again as double precision) * power(2, least(publishes, 10))
                )
            )
        end
    from patience, relaxed
    where id = cast(:id as uuid)
        and attempt = cast(:ticket as integer)
        and worker_id is null
        and (completed_at is null or followups_pending)
    returning jobs.id, jobs.attempt, jobs.publishes
)
insert into {schema}.job_events (job_id, event, attempt)
select id, 'republish', attempt from noted where publishes > 1;

-- name: succeed_to
-- Let the last task of those that a job was delegated to run it.
with {delegated}
update {schema}.jobs set
    task_name = cast(:task_name as text),
    queue = cast(:queue as text),
    message = cast(:message as jsonb),
    published_at = null,
    publishes = 0,
    next_check_at = clock_timestamp()
        + make_interval(secs => cast(:publish_grace as double precision)),
    updated_at = clock_timestamp()
from delegated
where jobs.id = delegated.id
returning jobs.attempt;

-- name: land_delegated
-- Land a job that was delegated, with the result of the plain task that has its id.
with {delegated},
done as (
    update {schema}.jobs set
        status = 'completed',
        progress = 100,
        result = cast(:result as jsonb),
        retry_at = null,
        message = null,
        next_check_at = null,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from delegated
    where jobs.id = delegated.id
    returning jobs.*
)
{answer};

-- name: fail_delegated
-- Fail a job that was delegated like this, or like the first job that failed of those it was
-- delegated to. Its errbacks are theirs, and were told.
with {delegated},
reason as (
    select cast(:error_code as text) as code, cast(:error_message as text) as message,
        cast(:error_detail as jsonb) as detail, null as at
    where cast(:error_code as text) is not null
    union all
    select member.error_code, member.error_message, member.error_detail, member.completed_at
    from delegated join {schema}.jobs as member
        on member.parent_id = delegated.id and member.created_at >= delegated.retry_at
    where member.status = 'failed'
    order by at nulls first
    limit 1
),
done as (
    update {schema}.jobs set
        status = 'failed',
        error_code = reason.code,
        error_message = reason.message,
        error_detail = reason.detail,
        retry_at = null,
        message = null,
        next_check_at = null,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from delegated, reason
    where jobs.id = delegated.id
    returning jobs.*
)
{answer};

-- name: delivered
-- Note that messages wait in a worker that lives, so that nobody takes them for lost.
update {schema}.jobs set published_at = clock_timestamp()
where id in (
    select jobs.id
    from unnest(cast(:ids as uuid[]), cast(:tickets as integer[])) as waiting (id, ticket)
    join {schema}.jobs on jobs.id = waiting.id and jobs.attempt = waiting.ticket
    where jobs.worker_id is null and jobs.completed_at is null and jobs.published_at is not null
    for no key update of jobs skip locked
);

-- name: put_back
-- Have a job published again whose message was thrown away; say why, should it never start.
with {patience}
update {schema}.jobs set
    published_at = null,
    error_code = cast(:error_code as text),
    next_check_at = clock_timestamp() + make_interval(
        secs => cast(:lost_grace as double precision) * power(2, least(publishes, 10))
    ),
    updated_at = clock_timestamp()
from patience
where id = cast(:id as uuid)
    and attempt = cast(:ticket as integer)
    and worker_id is null
    and completed_at is null;

-- name: register_worker
-- Announce a worker and give it its first lease.
with {patience}
insert into {schema}.workers (id, hostname, pid, queues, setup, lease_until)
select
    cast(:worker_id as uuid), cast(:hostname as text), cast(:pid as integer),
    cast(:queues as text[]), cast(:setup as jsonb),
    clock_timestamp() + make_interval(secs => cast(:lease as double precision))
from patience
on conflict (id) do nothing;

-- name: renew_lease
-- Prolong a worker's lease, and note what it consumes by now, if that is told; no row means that the
-- worker was buried.
with {patience}
update {schema}.workers set
    queues = coalesce(cast(:queues as text[]), queues),
    heartbeat_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => cast(:lease as double precision))
from patience
where id = cast(:worker_id as uuid) and dead_at is null
returning id;

-- name: end_worker
-- Note that a worker has ended.
with {patience}
update {schema}.workers set dead_at = clock_timestamp(), lease_until = clock_timestamp()
from patience
where id = cast(:worker_id as uuid) and dead_at is null;

-- name: request_cancel
-- Remember that the owner wants a job cancelled; the sweeper sees to it after a grace.
with {locked},
done as (
    update {schema}.jobs set
        cancel_requested_at = coalesce(jobs.cancel_requested_at, clock_timestamp()),
        next_check_at = least(
            jobs.next_check_at,
            clock_timestamp() + make_interval(secs => cast(:grace as double precision))
        ),
        updated_at = clock_timestamp()
    from job
    where jobs.id = job.id and job.completed_at is null and job.user_id = :user_id
    returning jobs.*
),
noted as (
    insert into {schema}.job_events (job_id, event, attempt, worker_id)
    select done.id, 'cancel_requested', done.attempt, done.worker_id
    from done, job where job.cancel_requested_at is null
)
select job.user_id = :user_id, job.worker_id is null from job;

-- name: begin_end
-- Start a job that nobody holds for no other reason than to end it in the same transaction.
with {free}
update {schema}.jobs set
    status = 'processing',
    attempt = jobs.attempt + 1,
    started_at = coalesce(jobs.started_at, clock_timestamp()),
    updated_at = clock_timestamp()
from job
where jobs.id = job.id
    and job.attempt = coalesce(cast(:attempt as integer), job.attempt)
    and job.status = 'queued'
returning jobs.attempt;

-- name: end_unheld
-- Fail a job that no attempt holds.
with {free},
done as (
    update {schema}.jobs set
        status = 'failed',
        error_code = cast(:error_code as text),
        error_message = cast(:error_message as text),
        error_detail = cast(:error_detail as jsonb),
        retry_at = null,
        followups_pending = coalesce(cast(jobs.message ->> 'errbacks' as boolean), false),
        message = case
            when cast(jobs.message ->> 'errbacks' as boolean) then jobs.message - 'canvas'
        end,
        -- What follows has tries of its own.
        publishes = case
            when cast(jobs.message ->> 'errbacks' as boolean) then 0 else jobs.publishes
        end,
        next_check_at = case
            when cast(jobs.message ->> 'errbacks' as boolean) then clock_timestamp()
        end,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from job
    where jobs.id = job.id
        and job.attempt = coalesce(cast(:attempt as integer), job.attempt)
        and job.status = 'processing'
        and job.worker_id is null
    returning jobs.*
)
{answer};

-- name: waits
-- Tell whether a live job waits at this attempt, held by nobody.
select id from {schema}.jobs
where id = cast(:id as uuid)
    and attempt = cast(:attempt as integer)
    and worker_id is null
    and completed_at is null;

-- name: end_held
-- End the job of an attempt that does not end by itself: fail it, unless it was interrupted and has
-- done something that its task wants kept. One that was found silent may have been heard since.
with {freely_held},
{judged},
fate as (
    select
        id, whole,
        case when whole then followups else errbacks end as pending
    from judged, lateral (select kept and cast(:interrupted as boolean) as whole) as said
    where not cast(:silent as boolean)
        or progress_at + make_interval(secs => no_progress) <= clock_timestamp()
),
done as (
    update {schema}.jobs set
        status = case when fate.whole then 'partial' else 'failed' end,
        progress = case when fate.whole then 100 else jobs.progress end,
        error_code = cast(:error_code as text),
        error_message = cast(:error_message as text),
        error_detail = cast(:error_detail as jsonb),
        worker_id = null,
        pid = null,
        followups_pending = fate.pending,
        message = case when fate.pending then jobs.message end,
        next_check_at = case when fate.pending then clock_timestamp() end,
        updated_at = clock_timestamp(),
        completed_at = clock_timestamp()
    from fate
    where jobs.id = fate.id
    returning jobs.*
)
{answer};

-- name: rescue
-- Decide by its policy about a job whose holder is gone: run it again, keep what it did, or fail it.
with {freely_held},
{judged},
-- An eager run has no message that could start it again.
able as (select *, idempotent and message is not null as repeatable from judged),
tried as (select *, repeatable and rescues < coalesce(max_rescues, 0) as again from able),
fate as (
    select *, not again and case when kept then followups else errbacks end as pending from tried
),
done as (
    update {schema}.jobs set
        status = case
            when fate.again then 'processing' when fate.kept then 'partial' else 'failed'
        end,
        worker_id = null,
        pid = null,
        rescues = jobs.rescues + case when fate.again then 1 else 0 end,
        retry_at = case when fate.again then clock_timestamp() end,
        published_at = case when fate.again then null else jobs.published_at end,
        progress = case when fate.kept and not fate.again then 100 else jobs.progress end,
        error_code = case
            when fate.again then null
            when fate.repeatable then 'rescues_exhausted'
            else 'worker_lost'
        end,
        error_message = case
            when fate.again then null
            when fate.repeatable then cast(:exhausted_message as text)
            else cast(:lost_message as text)
        end,
        followups_pending = fate.pending,
        message = case when fate.again or fate.pending then jobs.message end,
        next_check_at = case when fate.again or fate.pending then clock_timestamp() end,
        updated_at = clock_timestamp(),
        completed_at = case when not fate.again then clock_timestamp() end
    from fate
    where jobs.id = fate.id
    returning jobs.*
),
noted as (
    insert into {schema}.job_events (job_id, event, attempt, worker_id, error_code)
    select done.id, 'rescue', done.attempt, cast(:worker_id as uuid), 'worker_lost'
    from done where done.status = 'processing'
)
{answer};

-- name: held_by
-- List the jobs that a worker holds, with the processes that run them.
select id, attempt, pid from {schema}.jobs where worker_id = cast(:worker_id as uuid);

-- name: held_by_the_dead
-- List jobs whose worker was buried, but for those that were looked at, or are locked just now.
select jobs.id, jobs.attempt, jobs.worker_id
from {schema}.workers join {schema}.jobs on jobs.worker_id = workers.id
where workers.dead_at is not null and jobs.id <> all(cast(:tried as uuid[]))
limit cast(:limit as integer)
for no key update of jobs skip locked;

-- name: see
-- Note that a sweeper sees the database, and answer for how many seconds without a gap one did. Where
-- the clock was ahead until then, all live jobs are due: they were to be looked at by that clock.
with {patience},
hastened as (
    update {schema}.jobs set next_check_at = clock_timestamp()
    where exists (
            select from {schema}.sweeps
            where last_seen_at > clock_timestamp() + interval '1 minute'
        )
        and id in (
            select id from {schema}.jobs
            where next_check_at > (select clock_timestamp())
                and (completed_at is null or followups_pending)
            for no key update skip locked
        )
)
insert into {schema}.sweeps as seen (last_seen_at, up_since)
select clock_timestamp(), clock_timestamp() from patience
on conflict (singleton) do update set
    up_since = case
        when seen.last_seen_at + make_interval(secs => cast(:gap as double precision))
            < clock_timestamp()
            -- The clock was ahead for a while.
            or seen.last_seen_at > clock_timestamp()
            then clock_timestamp()
        else seen.up_since
    end,
    last_seen_at = clock_timestamp()
returning cast(extract(epoch from clock_timestamp() - up_since) as double precision);

-- name: beacon
-- Read under which name the broker was marked, and whether it ever was.
select beacon, beacon_lit from {schema}.sweeps;

-- name: beacon_lit
-- Remember that the broker was marked.
with {patience}
update {schema}.sweeps set beacon_lit = true from patience;

-- name: doubt_published
-- Have every message published again that the broker may have had when it was emptied. The first one
-- of a new job may be noted later; that it was written to since tells the note that it is doubted.
with doubted as (
    update {schema}.jobs set
        published_at = null,
        next_check_at = clock_timestamp(),
        updated_at = clock_timestamp()
    where id in (
        select id from {schema}.jobs
        where (completed_at is null or followups_pending)
            and worker_id is null
            and (
                published_at is not null
                or publishes = 0 and created_at > clock_timestamp() - interval '1 minute'
            )
            and message is not null
            and message -> 'canvas' is null
        for no key update skip locked
    )
    returning id
)
select count(*) from doubted;

-- name: ended_among
-- List which of these jobs were ended while somebody still ran them.
select id from {schema}.jobs
where id = any(cast(:ids as uuid[]))
    and status in ('failed', 'partial')
    and error_code in ('cancelled', 'deadline', 'no_progress');

-- name: bury
-- Give up workers whose lease ran out; touches this table alone, so that no live job is robbed.
update {schema}.workers set dead_at = clock_timestamp()
where id in (
    select id from {schema}.workers
    where dead_at is null
        -- A heartbeat that is to come is from when the clock was ahead.
        and (lease_until < clock_timestamp() or heartbeat_at > clock_timestamp() + interval '1 minute')
    for no key update skip locked
)
returning id, hostname;

-- name: silent_workers
-- Count workers whose lease ran out, and that were not given up yet.
select count(*) from {schema}.workers where dead_at is null and lease_until < clock_timestamp();

-- name: forget_workers
-- Delete workers that died long ago and that no job names any more.
delete from {schema}.workers
where id in (
    select id from {schema}.workers
    where dead_at < clock_timestamp() - interval '1 day'
        and not exists (select from {schema}.jobs where jobs.worker_id = workers.id)
    for no key update skip locked
);

-- name: due
-- List what the sweeper must look at, the oldest first, with what it finds; each is decided again under
-- its lock. The same transaction says when the next look at each is due: see rest.
with batch as materialized (
    select * from {schema}.jobs
    where next_check_at <= (select clock_timestamp())
        and (completed_at is null or followups_pending)
    order by next_check_at
    limit cast(:limit as integer)
    for no key update skip locked
)
select
    id, attempt, worker_id, error_code,
    case
        when completed_at is not null
            then case
                when completed_at + interval '7 days' <= clock_timestamp() then 'abandoned'
                else 'publish'
            end
        when worker_id is null and cancel_requested_at is not null then 'cancel'
        when cancel_requested_at + make_interval(secs => cast(:grace as double precision))
            <= clock_timestamp() then 'cancel'
        when deadline_at <= clock_timestamp() then 'deadline'
        when worker_id is not null
            and progress_at + make_interval(secs => no_progress) <= clock_timestamp()
            then 'no_progress'
        when worker_id is not null then 'wait'
        -- Other tasks have it. It fails when one of them does; plain ones may be lost unheard.
        when message -> 'canvas' is not null and published_at is not null then case
            when exists (
                select from {schema}.jobs as member
                where member.parent_id = batch.id and member.created_at >= batch.retry_at
                    and member.status = 'failed'
            ) then 'delegate_failed'
            when retry_at + interval '1 day' <= clock_timestamp() and not exists (
                select from {schema}.jobs as member
                where member.parent_id = batch.id and member.completed_at is null
            ) then 'delegate_lost'
            else 'wait'
        end
        when expires_at <= clock_timestamp() then 'expired'
        when status = 'queued'
            and greatest(created_at, eta)
                + make_interval(secs => cast(:queue_timeout as double precision))
                <= clock_timestamp() then 'expired'
        -- An eager call's process died before the body, or between two attempts.
        when message is null and task_name is not null
            and coalesce(retry_at, created_at) + interval '5 minutes' <= clock_timestamp()
            then 'orphaned'
        when message is null then 'wait'
        when coalesce(retry_at, eta) > clock_timestamp() + interval '1 minute' then 'wait'
        when published_at is null then case when publishes >= 10 then 'undelivered' else 'publish' end
        -- The message is out. Before it goes out again there is a pause that doubles each time...
        when greatest(published_at, retry_at, eta) + make_interval(
            secs => cast(:lost_grace as double precision) * power(2, least(publishes, 10))
        ) > clock_timestamp() then 'wait'
        when status = 'processing' then 'publish'
        -- A worker has thrown a message away, perhaps before its publication was noted.
        when error_code is not null then case
            when publishes >= 10 then 'undelivered' else 'publish'
        end
        -- A worker whose clock is behind sits on what it got before the time.
        when published_at < eta then 'publish'
        -- ... and evidence of loss: a job that was published later has started. It may have started
        -- before its publication was noted.
        when exists (
            select from {schema}.jobs as other
            where other.worker_id is not null
                and other.queue = batch.queue
                and greatest(other.created_at, other.published_at) > batch.published_at
        ) then case when publishes >= 10 then 'undelivered' else 'publish' end
        when published_at + make_interval(secs => cast(:republish_after as double precision))
            * power(2, least(publishes, 10) - 1) <= clock_timestamp() then 'publish'
        else 'wait'
    end
from batch;

-- name: due_assets
-- List files that no attempt will ever show, longest due first, and whether another asset names
-- the same path. Whatever is looked at moves to the back, so that nothing starves the rest. For the
-- batch, see due.
with batch as materialized (
    select id from {schema}.assets
    where next_check_at <= (select clock_timestamp())
    order by next_check_at
    limit cast(:limit as integer)
    for no key update skip locked
),
looked_at as (
    update {schema}.assets set
        next_check_at = clock_timestamp()
            + make_interval(secs => cast(:interval as double precision))
    where id in (select id from batch)
    returning *
)
select
    assets.id, assets.job_id, assets.storage_path, assets.url,
    exists (
        select from {schema}.assets as other
        where other.storage_path = assets.storage_path and other.id <> assets.id
    )
from looked_at as assets join {schema}.jobs on jobs.id = assets.job_id
where {asset_is_over};

-- name: forget_asset
-- Delete the row of a file that no attempt will ever show, and that is gone. One that was not stored
-- is looked for once more, late: the last request of its upload may still be under way.
with over as (
    select
        assets.id,
        assets.stored_at is not null
        or assets.cleaned_at + make_interval(secs => cast(:late as double precision))
            <= clock_timestamp() as is_gone
    from {schema}.assets join {schema}.jobs on jobs.id = assets.job_id
    where assets.id = cast(:asset_id as uuid) and {asset_is_over}
),
waiting as (
    update {schema}.assets set
        cleaned_at = coalesce(cleaned_at, clock_timestamp()),
        next_check_at = coalesce(cleaned_at, clock_timestamp())
            + make_interval(secs => cast(:late as double precision))
    from over where assets.id = over.id and not coalesce(over.is_gone, false)
)
delete from {schema}.assets using over where assets.id = over.id and over.is_gone
returning assets.id;

-- name: purgeable
-- List jobs that have landed longer ago than jobs of their status are kept, the oldest first, from
-- where the last list ended; a status without an age is kept. What the index is searched for must be
-- known before, as the clock is not.
select found.id, found.completed_at
from (
    values
        ('completed', cast(:completed_age as double precision)),
        ('failed', cast(:failed_age as double precision)),
        ('partial', cast(:partial_age as double precision))
) as kept (status, age)
cross join lateral (
    select jobs.id, jobs.completed_at from {schema}.jobs
    where jobs.status = kept.status
        and jobs.completed_at < (select clock_timestamp()) - make_interval(secs => kept.age)
        and (jobs.completed_at, jobs.id) > (
            coalesce(cast(:after_at as timestamptz), '-infinity'),
            coalesce(cast(:after_id as uuid), '00000000-0000-0000-0000-000000000000')
        )
        and {job_is_done_with}
        and (
            cast(:with_files as boolean)
            or not exists (
                select from {schema}.assets where assets.job_id = jobs.id and assets.managed offset 0
            )
        )
    order by jobs.completed_at, jobs.id
    limit cast(:limit as integer)
) as found
order by found.completed_at, found.id
limit cast(:limit as integer);

-- name: files_of
-- List the files that jobstate has stored for these jobs, and whether another asset, of a job
-- that is not among them, names the same path.
select
    assets.id, assets.job_id, assets.storage_path, assets.url,
    exists (
        select from {schema}.assets as other
        where other.storage_path = assets.storage_path
            and other.job_id <> all(cast(:ids as uuid[]))
    )
from {schema}.assets
where assets.job_id = any(cast(:ids as uuid[])) and assets.managed;

-- name: forget_files
-- Delete the rows of files that are gone.
delete from {schema}.assets where id = any(cast(:ids as uuid[])) and managed;

-- name: purge_jobs
-- Delete jobs that nothing needs any more, with their history, items and assets.
delete from {schema}.jobs
where id in (
    select jobs.id from {schema}.jobs
    where jobs.id = any(cast(:ids as uuid[])) and {job_is_done_with}
    for update skip locked
)
returning id;

-- name: rest
-- Say when jobs must be looked at again. What only waits is looked at when that may change: a backlog
-- costs one update of each job. All else moves to the back, so that nothing starves the rest. Losing it
-- with the server costs one more look.
with {relaxed}
update {schema}.jobs set
    next_check_at = case
        when id <> all(cast(:waiting as uuid[]))
            then clock_timestamp() + make_interval(secs => cast(:interval as double precision))
        when worker_id is not null then least(
            deadline_at,
            progress_at + make_interval(secs => no_progress),
            cancel_requested_at + make_interval(secs => cast(:grace as double precision))
        )
        -- Other tasks have it, whatever its expiry and its queue say.
        when message -> 'canvas' is not null
            then least(deadline_at, clock_timestamp() + interval '5 seconds')
        else least(
            deadline_at,
            expires_at,
            case
                when status = 'queued' then greatest(created_at, eta)
                    + make_interval(secs => cast(:queue_timeout as double precision))
            end,
            case
                when message is null and task_name is null then null
                when message is null then coalesce(retry_at, created_at) + interval '5 minutes'
                when coalesce(retry_at, eta) > clock_timestamp() + interval '1 minute'
                    then coalesce(retry_at, eta) - interval '30 seconds'
                -- The longer it has waited, the less is lost by looking later.
                else clock_timestamp() + greatest(
                    make_interval(secs => cast(:interval as double precision)),
                    least(
                        (clock_timestamp() - coalesce(published_at, created_at)) / 2,
                        interval '10 minutes'
                    )
                )
            end
        )
    end
from relaxed
where id = any(cast(:ids as uuid[]));

-- name: list_workers
-- List the workers that are not known to be dead, with what they hold.
select
    workers.id, workers.hostname, workers.pid, workers.queues, workers.started_at,
    workers.heartbeat_at, workers.lease_until, workers.lease_until > clock_timestamp(),
    array(
        select jobs.id from {schema}.jobs where jobs.worker_id = workers.id order by jobs.id
    )
from {schema}.workers
where workers.dead_at is null
order by workers.started_at;

-- name: server_process
-- Say which process of the server answers.
select pg_backend_pid();

-- name: server_clock
-- Read the database's clock, in seconds since 1970.
select cast(extract(epoch from clock_timestamp()) as double precision);

-- name: guards
-- List the triggers, CHECKs and indexes of the tables, and whether each does its work.
select 'trigger', tgname, tgenabled in ('O', 'A')
from pg_trigger join pg_class on pg_class.oid = pg_trigger.tgrelid
where not tgisinternal
    and relnamespace = (
        select relnamespace from pg_class where oid = cast('{schema}.jobs' as regclass)
    )
union all
select 'check', conname, convalidated
from pg_constraint
where contype = 'c'
    and connamespace = (
        select relnamespace from pg_class where oid = cast('{schema}.jobs' as regclass)
    )
union all
select 'index', pg_class.relname, pg_index.indisvalid
from pg_index join pg_class on pg_class.oid = pg_index.indexrelid
where not indisprimary
    and relnamespace = (
        select relnamespace from pg_class where oid = cast('{schema}.jobs' as regclass)
    );

-- name: observed
-- How long the attempts of each task ran that landed last, in seconds: most of them, and at most;
-- and whether it may run again, which is to say that it acknowledges late.
select
    task_name,
    bool_or(idempotent),
    percentile_disc(0.99) within group (order by took),
    max(took)
from (
    select
        task_name,
        idempotent,
        cast(extract(epoch from completed_at - attempt_started_at) as double precision) as took
    from (
        select last.*
        from {terminal}
        cross join lateral (
            select * from {schema}.jobs
            where status = of_status and completed_at is not null
            order by completed_at desc
            limit 10000
        ) as last
        order by completed_at desc
        limit 10000
    ) as latest
    where attempt_started_at is not null and task_name is not null
) as run
group by task_name
order by task_name;

-- name: setups
-- Read what the workers that are alive run with, and by how many seconds the clock of each was
-- ahead of the database's when it began.
select
    hostname, setup,
    cast(setup ->> 'clock' as double precision)
        - cast(extract(epoch from started_at) as double precision)
from {schema}.workers
where dead_at is null and lease_until > clock_timestamp() and setup is not null
order by hostname, started_at;

-- name: sweeper_seen
-- How many seconds ago a sweeper was seen, if ever one was.
select cast(extract(epoch from clock_timestamp() - max(last_seen_at)) as double precision)
from {schema}.sweeps;

-- name: stuck
-- List live jobs that the rules should have moved on, and why they should have.
select jobs.id, found.reason
from (
    select id, 'was to be looked at' as reason from {schema}.jobs
    where next_check_at < (select clock_timestamp())
            - make_interval(secs => cast(:late as double precision))
        and (completed_at is null or followups_pending)
    union all
    select jobs.id, 'is held by a worker that is gone'
    from {schema}.jobs left join {schema}.workers on workers.id = jobs.worker_id
    where jobs.worker_id is not null
        and coalesce(least(workers.lease_until, workers.dead_at), '-infinity')
            < clock_timestamp() - make_interval(secs => cast(:late as double precision))
    union all
    select id, 'waits to be published, and nobody will look' from {schema}.jobs
    where next_check_at is null
        and completed_at is null and worker_id is null and message is not null
) as found
join {schema}.jobs on jobs.id = found.id
order by jobs.created_at, jobs.id, found.reason
limit cast(:limit as integer);

-- name: unserved
-- List queues with jobs that have waited for so many seconds, and that no live worker consumes.
select queue, count(*), cast(
    extract(epoch from clock_timestamp() - min(greatest(created_at, eta))) as double precision
)
from {schema}.jobs
where (completed_at is null or followups_pending)
    and status = 'queued'
    and queue is not null
    and greatest(created_at, eta)
        < clock_timestamp() - make_interval(secs => cast(:waited as double precision))
    and not exists (
        select from {schema}.workers
        where dead_at is null and lease_until > clock_timestamp() and jobs.queue = any(queues)
    )
group by queue
order by queue;

-- name: last_event
-- Read the id of the newest event of any job's history.
select coalesce(max(id), 0) from {schema}.job_events;

-- name: events_after
-- Read the events that follow an id, and those that were missing before, with how long a job
-- waited for its first take, and how long it took from there to its landing.
select
    found.id, jobs.job_type, found.event, found.to_status, found.error_code,
    cast(extract(epoch from
        case
            when found.worker_id is null then null
            when found.from_status = 'queued'
                then found.at - greatest(jobs.created_at, jobs.eta)
            when jobs.completed_at is not null and found.from_status = 'processing'
                then jobs.completed_at - jobs.started_at
        end
    ) as double precision)
from (
    (
        select * from {schema}.job_events where id > cast(:after as bigint)
        order by id limit cast(:limit as integer)
    )
    union all
    select * from {schema}.job_events where id = any(cast(:missing as bigint[]))
) as found
join {schema}.jobs on jobs.id = found.job_id
order by found.id;

-- name: live_jobs
-- Count live jobs by type and status, up to a limit, and say how long the oldest queued one waits.
with live as (
    select job_type, status, greatest(created_at, eta) as due_at from {schema}.jobs
    where {live}
    limit cast(:limit as integer)
)
select
    job_type, status, count(*),
    cast(extract(epoch from
        max(clock_timestamp() - due_at) filter (where status = 'queued')
    ) as double precision)
from live
group by job_type, status;

-- name: keepers
-- Count the workers whose lease is alive, and say how many seconds ago somebody has swept.
select
    (
        select count(*) from {schema}.workers
        where dead_at is null and lease_until > clock_timestamp()
    ),
    (
        select cast(extract(epoch from clock_timestamp() - last_seen_at) as double precision)
        from {schema}.sweeps
    );

-- fragment: summary
-- What a monitor shows of a job, in the order of monitoring.Summary: all but large values.
    select
        jobs.id, jobs.task_name, jobs.job_type, cast(jobs.user_id as text), jobs.queue,
        jobs.status, jobs.worker_id is not null, jobs.progress, jobs.progress_message,
        jobs.attempt, jobs.retries, left(cast(jobs.parameters as text), 1000),
        left(cast(jobs.result as text), 1000), jobs.error_code, left(jobs.error_message, 1000),
        left(jobs.error_detail ->> 'traceback', 10000), jobs.parent_id, jobs.created_at,
        jobs.attempt_started_at, jobs.completed_at, jobs.updated_at, workers.hostname
    from chosen
    join {schema}.jobs on jobs.id = chosen.id
    left join lateral (
        select worker_id from {schema}.job_events
        where job_events.job_id = jobs.id and job_events.worker_id is not null
        order by job_events.id desc
        limit 1
    ) as seen on true
    left join {schema}.workers on workers.id = coalesce(jobs.worker_id, seen.worker_id)
    order by jobs.updated_at

-- name: newest_jobs
-- Summarise the jobs that run, that wait, and that have landed last, each up to a limit.
with chosen as (
    (
        select id from {schema}.jobs where worker_id is not null
        limit cast(:limit as integer)
    )
    union all
    (
        select id from {schema}.jobs
        where {live} and worker_id is null
        order by next_check_at
        limit cast(:limit as integer)
    )
    union all
    (
        select last.id
        from {terminal}
        cross join lateral (
            select id, completed_at from {schema}.jobs
            where status = of_status and completed_at is not null
            order by completed_at desc
            limit cast(:limit as integer)
        ) as last
        order by completed_at desc
        limit cast(:limit as integer)
    )
)
{summary};

-- name: changed_jobs
-- Summarise these jobs, those that run, and those that have landed since, the first ones first.
with chosen as (
    select unnest(cast(:ids as uuid[])) as id
    union
    (
        select id from {schema}.jobs where worker_id is not null
        limit cast(:limit as integer)
    )
    union
    (
        select next.id
        from {terminal}
        cross join lateral (
            select id, completed_at from {schema}.jobs
            where status = of_status
                and completed_at > coalesce(cast(:since as timestamptz), '-infinity')
            order by completed_at
            limit cast(:limit as integer)
        ) as next
        order by completed_at
        limit cast(:limit as integer)
    )
)
{summary};

-- name: empty_tables
-- Delete everything; for tests alone.
truncate {schema}.jobs, {schema}.workers, {schema}.sweeps cascade;

-- name: orphans
-- Count the files that jobstate keeps of a job, and that no attempt will ever show; without those
-- that were removed, and are looked for once more.
select count(*)
from {schema}.assets join {schema}.jobs on jobs.id = assets.job_id
where jobs.id = cast(:id as uuid) and assets.cleaned_at is null and {asset_is_over};
