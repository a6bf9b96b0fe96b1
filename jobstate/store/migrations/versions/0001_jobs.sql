-- name: jobs
-- What changes least stands first: an update's WAL leaves out what is the same at the beginning.
-- Two checks, not seven: Postgres reads and prepares each of them anew for every statement.
create table {schema}.jobs (
    id uuid primary key,
    user_id {user_id_type} not null {user_id_reference},
    job_type text not null,
    task_name text,
    queue text,
    parameters jsonb not null default '{}',
    call jsonb,
    only_items text[],
    idempotency_key text,
    parent_id uuid,
    retry_of uuid,
    created_at timestamptz not null default clock_timestamp(),
    message jsonb,
    status text not null default 'queued',
    progress smallint not null default 0,
    progress_current double precision,
    progress_total double precision,
    progress_message text,
    progress_at timestamptz,
    result jsonb,
    error_code text,
    error_message text,
    error_detail jsonb,
    items_succeeded integer not null default 0,
    items_failed integer not null default 0,
    items_skipped integer not null default 0,
    attempt integer not null default 0,
    worker_id uuid,
    pid integer,
    retries integer not null default 0,
    rescues integer not null default 0,
    retry_at timestamptz,
    eta timestamptz,
    expires_at timestamptz,
    deadline_at timestamptz,
    cancel_requested_at timestamptz,
    next_check_at timestamptz,
    published_at timestamptz,
    publishes integer not null default 0,
    followups_pending boolean not null default false,
    idempotent boolean not null default false,
    max_rescues integer,
    keep_partial boolean not null default false,
    no_progress double precision,
    started_at timestamptz,
    attempt_started_at timestamptz,
    updated_at timestamptz not null default clock_timestamp(),
    completed_at timestamptz,
    constraint jobs_status_agrees check (
        (status in ('queued', 'processing')) = (completed_at is null)
        and (status <> 'queued' or attempt = 0)
        and (status = 'processing' or worker_id is null)
    ),
    constraint jobs_numbers_in_range check (
        progress between 0 and 100
        and least(
            attempt, retries, rescues, publishes, items_succeeded, items_failed, items_skipped
        ) >= 0
    )
) with (fillfactor = 85);

-- name: jobs_owner
-- Each index on a status costs every transition; this one serves the lists of all and of one. With the
-- type in it, jobs are counted from it alone.
create index jobs_owner on {schema}.jobs (user_id, status, created_at) include (job_type);

-- name: jobs_idempotency
create unique index jobs_idempotency on {schema}.jobs (user_id, job_type, idempotency_key)
    where idempotency_key is not null;

-- name: jobs_due
-- Every live job is in it, so that live ones are found and counted without the others.
create index jobs_due on {schema}.jobs (next_check_at)
    where completed_at is null or followups_pending;

-- name: jobs_held
create index jobs_held on {schema}.jobs (worker_id) where worker_id is not null;

-- name: jobs_landed
-- Each status by itself: one that is kept for years does not stand before one that is purged.
create index jobs_landed on {schema}.jobs (status, completed_at) where completed_at is not null;

-- name: jobs_parent
create index jobs_parent on {schema}.jobs (parent_id) where parent_id is not null;

-- name: jobs_retry
create unique index jobs_retry on {schema}.jobs (retry_of)
    where retry_of is not null and completed_at is null;

-- name: assets
create table {schema}.assets (
    id uuid primary key,
    job_id uuid not null references {schema}.jobs (id) on delete cascade,
    user_id {user_id_type} not null,
    attempt integer not null,
    asset_type text not null,
    url text not null,
    storage_path text not null,
    file_size bigint not null,
    content_type text,
    sha256 text,
    created_at timestamptz not null default clock_timestamp(),
    stored_at timestamptz,
    managed boolean not null default false,
    next_check_at timestamptz,
    cleaned_at timestamptz,
    constraint assets_file_size_not_negative check (file_size >= 0),
    constraint assets_only_managed_are_checked check (managed or next_check_at is null),
    constraint assets_cleaned_are_not_stored check (cleaned_at is null or stored_at is null)
);

-- name: assets_job
create index assets_job on {schema}.assets (job_id);

-- name: assets_path
create index assets_path on {schema}.assets (storage_path);

-- name: assets_due
create index assets_due on {schema}.assets (next_check_at) where next_check_at is not null;

-- name: job_items
create table {schema}.job_items (
    job_id uuid not null references {schema}.jobs (id) on delete cascade,
    key text not null,
    attempt integer not null,
    status text not null,
    label text,
    error_message text,
    at timestamptz not null default clock_timestamp(),
    primary key (job_id, key),
    constraint job_items_status_known check (status in ('succeeded', 'failed', 'skipped'))
);

-- name: job_items_recorded
-- A page of a long ledger, of all items or of those that failed, is read from where it begins.
create index job_items_recorded on {schema}.job_items (job_id, status, at);

-- name: job_events
-- No foreign key: it would lock the job's row anew for each event. Events come from the triggers, or
-- from statements that hold that lock; a trigger deletes them with their job.
create table {schema}.job_events (
    id bigint generated always as identity primary key,
    job_id uuid not null,
    at timestamptz not null default clock_timestamp(),
    event text not null,
    from_status text,
    to_status text,
    attempt integer not null,
    worker_id uuid,
    error_code text,
    detail jsonb
);

-- name: job_events_job
create index job_events_job on {schema}.job_events (job_id, id);

-- name: job_logs
create table {schema}.job_logs (
    id bigint generated always as identity primary key,
    job_id uuid not null references {schema}.jobs (id) on delete cascade,
    attempt integer not null,
    at timestamptz not null,
    level text not null,
    logger text not null,
    message text not null
);

-- name: job_logs_job
create index job_logs_job on {schema}.job_logs (job_id, id);

-- name: workers
create table {schema}.workers (
    id uuid primary key,
    hostname text not null,
    pid integer not null,
    queues text[] not null default '{}',
    setup jsonb,
    started_at timestamptz not null default clock_timestamp(),
    heartbeat_at timestamptz not null default clock_timestamp(),
    lease_until timestamptz not null,
    dead_at timestamptz
);

-- name: sweeps
create table {schema}.sweeps (
    singleton boolean primary key default true check (singleton),
    last_seen_at timestamptz not null,
    up_since timestamptz not null,
    beacon uuid not null default gen_random_uuid(),
    beacon_lit boolean not null default false
);

-- name: record_transition
create function {schema}.record_transition() returns trigger language plpgsql as $$
declare
    before text := case when tg_op = 'UPDATE' then old.status end;
begin
    if (coalesce(before, ''), new.status) not in (
        ('', 'queued'), ('queued', 'processing'),
        ('processing', 'completed'), ('processing', 'partial'), ('processing', 'failed')
    ) then
        raise exception using
            errcode = 'check_violation',
            schema = '{schema_name}', table = 'jobs', column = 'status',
            constraint = 'jobs_valid_transition',
            message = format('Job %s cannot become %s: %s', new.id, new.status,
                             coalesce('it is ' || before, 'a new job must be queued')),
            hint = 'queued -> processing -> completed, partial or failed; nothing else is legal.';
    end if;
    insert into {schema}.job_events
        (job_id, event, from_status, to_status, attempt, worker_id, error_code)
    values
        (new.id, 'transition', before, new.status, new.attempt,
         case when tg_op = 'UPDATE' then coalesce(new.worker_id, old.worker_id) end,
         new.error_code);
    return null;
end
$$;

-- name: jobs_inserted
create trigger jobs_inserted after insert on {schema}.jobs
    for each row execute function {schema}.record_transition();

-- name: jobs_moved
create trigger jobs_moved after update on {schema}.jobs
    for each row when (old.status is distinct from new.status)
    execute function {schema}.record_transition();

-- name: forget_history
create function {schema}.forget_history() returns trigger language plpgsql as $$
begin
    if tg_op = 'TRUNCATE' then
        truncate {schema}.job_events;
    else
        delete from {schema}.job_events using gone where job_events.job_id = gone.id;
    end if;
    return null;
end
$$;

-- name: jobs_deleted
create trigger jobs_deleted after delete on {schema}.jobs referencing old table as gone
    for each statement execute function {schema}.forget_history();

-- name: jobs_truncated
create trigger jobs_truncated after truncate on {schema}.jobs
    for each statement execute function {schema}.forget_history();
