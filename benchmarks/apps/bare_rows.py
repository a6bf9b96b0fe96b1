"""The least that a durable row of a job can be, and the statements that keep it up to date."""

TABLE = """
    create table if not exists bare_jobs (
        id uuid primary key, status text not null default 'queued', parameters jsonb, result jsonb,
        created_at timestamptz default now(), started_at timestamptz, completed_at timestamptz
    )
"""
INSERT = b"insert into bare_jobs (id, parameters) values (%s, %s)"
TAKE = b"update bare_jobs set status = 'processing', started_at = clock_timestamp() where id = %s"
LAND = b"""
    update bare_jobs set status = 'completed', result = %s, completed_at = clock_timestamp()
    where id = %s
"""
