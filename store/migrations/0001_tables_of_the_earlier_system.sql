-- The two tables that clients of the earlier system read and write by themselves: made as they know them, or taken over
-- with every row where they exist already. Nothing here drops or renames anything.

-- What is there already is no news.
set local client_min_messages = warning;

create table if not exists test_runs (
    run_id           text primary key,
    task_id          text,
    plan_name        text,
    plan_key         text,
    run_label        text,
    sut_type         text,
    scaling_mode     text,
    cluster_spec     jsonb,
    cluster_settings text,
    status           text not null default 'PENDING',
    error_detail     text,
    submitted_at     timestamptz not null default now(),
    started_at       timestamptz,
    completed_at     timestamptz
);

create table if not exists waiting_room (
    run_id          text primary key,
    ready_count     int not null default 0,
    completed_count int not null default 0,
    target_count    int not null default 0,
    signal          text not null default 'WAIT',
    created_at      timestamptz not null default now()
);

-- A database of an older release of that system may lack the columns that came last.
alter table test_runs
    add column if not exists task_id          text,
    add column if not exists plan_name        text,
    add column if not exists plan_key         text,
    add column if not exists run_label        text,
    add column if not exists sut_type         text,
    add column if not exists scaling_mode     text,
    add column if not exists cluster_spec     jsonb,
    add column if not exists cluster_settings text,
    add column if not exists status           text,
    add column if not exists error_detail     text,
    add column if not exists submitted_at     timestamptz,
    add column if not exists started_at       timestamptz,
    add column if not exists completed_at     timestamptz;
alter table waiting_room
    add column if not exists ready_count     int,
    add column if not exists completed_count int,
    add column if not exists target_count    int,
    add column if not exists signal          text,
    add column if not exists created_at      timestamptz;

-- Times without a zone were written in UTC; text that should have been jsonb holds JSON. What is right already is left alone,
-- so that a large table is not written anew for nothing.
do $$
declare
    misfit record;
begin
    for misfit in
        select c.table_name, c.column_name, c.data_type, c.udt_name
        from information_schema.columns as c
        where c.table_schema = current_schema()
          and ((c.table_name = 'test_runs' and c.column_name in ('submitted_at', 'started_at', 'completed_at'))
               or (c.table_name = 'waiting_room' and c.column_name = 'created_at'))
          and c.udt_name <> 'timestamptz'
    loop
        execute format('alter table %I alter column %I drop default', misfit.table_name, misfit.column_name);
        if misfit.udt_name = 'timestamp' then
            execute format('alter table %1$I alter column %2$I type timestamptz using %2$I at time zone ''UTC''',
                           misfit.table_name, misfit.column_name);
        else
            execute format('alter table %1$I alter column %2$I type timestamptz using (nullif(%2$I::text, '''')::timestamp at time zone ''UTC'')',
                           misfit.table_name, misfit.column_name);
        end if;
    end loop;
    if exists (select from information_schema.columns
               where table_schema = current_schema() and table_name = 'test_runs' and column_name = 'cluster_spec' and udt_name <> 'jsonb') then
        alter table test_runs alter column cluster_spec drop default;
        alter table test_runs alter column cluster_spec type jsonb using nullif(cluster_spec::text, '')::jsonb;
    end if;
end
$$;

-- The order of a list needs a time for every run; a row that never had one was submitted when it was first heard of.
update test_runs set submitted_at = coalesce(started_at, completed_at, now()) where submitted_at is null;
update test_runs set status = 'PENDING' where status is null;

-- A client inserts the first ten columns and leaves the rest to us.
alter table test_runs
    alter column status set default 'PENDING',
    alter column status set not null,
    alter column submitted_at set default now(),
    alter column submitted_at set not null,
    alter column error_detail drop not null,
    alter column started_at drop not null,
    alter column completed_at drop not null;
alter table waiting_room
    alter column ready_count set default 0,
    alter column completed_count set default 0,
    alter column target_count set default 0,
    alter column signal set default 'WAIT',
    alter column created_at set default now();
