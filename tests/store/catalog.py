"""What is in a schema, in words that can be compared."""

import re

import psycopg

_EVERYTHING = """
    with wanted as (
        select oid from pg_namespace where nspname = %(schema)s
    ),
    relations as (
        select pg_class.* from pg_class join wanted on relnamespace = wanted.oid
    )
    select 'schema', '' from wanted
    union all
    select 'relation', concat_ws(' ', relkind, relname, reloptions) from relations
    union all
    select 'column', concat_ws(
        ' ', relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
        pg_get_expr(adbin, adrelid)
    )
    from relations
    join pg_attribute on attrelid = relations.oid and attnum > 0
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    union all
    select 'constraint', concat_ws(
        ' ', relname, conname, pg_get_constraintdef(pg_constraint.oid)
    )
    from relations join pg_constraint on conrelid = relations.oid
    union all
    select 'index', pg_get_indexdef(oid) from relations where relkind = 'i'
    union all
    select 'trigger', pg_get_triggerdef(pg_trigger.oid)
    from relations join pg_trigger on tgrelid = relations.oid where not tgisinternal
    union all
    select 'function', pg_get_functiondef(pg_proc.oid)
    from pg_proc join wanted on pronamespace = wanted.oid
    order by 1, 2
"""


def schema_of(connection: psycopg.Connection, schema: str = "jobstate") -> list[tuple[str, str]]:
    """Describe all that is in a schema, whatever its name is; nothing when there is none."""
    name = re.compile(rf'"{schema}"(?=\.)|\b{schema}(?=\.)|(?<=\'){schema}(?=\')')
    with connection.transaction():
        # So that every name is written with its schema.
        connection.execute("set local search_path = ''")
        rows = connection.execute(_EVERYTHING, {"schema": schema}).fetchall()
    return [(kind, name.sub("it", definition)) for kind, definition in rows]
