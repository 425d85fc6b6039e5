-- Our columns beside those of the earlier system. They are empty in rows that no TestRun stands behind.

alter table test_runs
    add column if not exists uid              text,
    add column if not exists namespace        text,
    add column if not exists name             text,
    -- The number that the API server gave the state that this row shows. A row only ever goes up.
    add column if not exists resource_version bigint not null default 0,
    add column if not exists phase            text,
    add column if not exists verdict          text,
    add column if not exists summary          jsonb,
    -- Somebody asked for an end through the gateway: a mirror that is behind must not make the row look live again.
    add column if not exists stop_requested   boolean not null default false,
    add column if not exists mirrored_at      timestamptz;

-- One vocabulary, the one of crds/src/phase.rs and verdict.rs; a test compares. The status of rows that are not ours is
-- whatever the program that wrote them says.
alter table test_runs
    add constraint test_runs_status_is_known check (
        uid is null or status in ('PENDING', 'QUEUED', 'WAITING_ROOM', 'EXECUTING', 'COLLECTING', 'COMPLETED', 'FAILED', 'STOPPING')),
    add constraint test_runs_phase_is_known check (
        phase in ('Pending', 'Queued', 'Loading', 'WaitingRoom', 'Executing', 'Collecting', 'Stopping', 'Completed', 'Failed')),
    add constraint test_runs_verdict_is_known check (
        verdict in ('Passed', 'Failed', 'Inconclusive', 'Invalid', 'Aborted', 'HarnessError'));
-- Rows that are there already are not looked at: what another program once wrote is kept.
alter table waiting_room add constraint waiting_room_signal_is_known check (signal in ('WAIT', 'START', 'ABORT')) not valid;

-- Lists are newest first within a namespace, and a page begins where the last one ended. The order of ids is that of their
-- bytes, so that it is the same wherever the database was made.
create index if not exists test_runs_by_time on test_runs (namespace, submitted_at desc, run_id collate "C" desc);
create index if not exists test_runs_by_label on test_runs (namespace, run_label, submitted_at desc, run_id collate "C" desc);
create index if not exists test_runs_of_others on test_runs (submitted_at desc, run_id collate "C" desc) where namespace is null;
create index if not exists test_runs_by_uid on test_runs (uid) where uid is not null;

-- Every phase that a run went through. Appended to, never changed.
create table test_run_transitions (
    uid      text        not null,
    position int         not null,
    phase    text        not null,
    at       timestamptz not null,
    reason   text        not null,
    primary key (uid, position),
    constraint test_run_transitions_phase_is_known check (
        phase in ('Pending', 'Queued', 'Loading', 'WaitingRoom', 'Executing', 'Collecting', 'Stopping', 'Completed', 'Failed'))
);

-- What finished runs measured, one row for each: what later runs of the same plan are compared with.
create table run_history (
    uid                text primary key,
    run_id             text        not null,
    namespace          text        not null,
    plan_name          text        not null,
    plan_digest        text        not null,
    completed_at       timestamptz not null,
    verdict            text        not null,
    queries            bigint      not null,
    queries_per_second double precision,
    error_rate         double precision,
    p95_micros         bigint,
    constraint run_history_verdict_is_known check (
        verdict in ('Passed', 'Failed', 'Inconclusive', 'Invalid', 'Aborted', 'HarnessError'))
);
create index run_history_by_plan on run_history (namespace, plan_name, completed_at desc);
