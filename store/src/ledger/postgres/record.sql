-- One flush of the mirror: every record of $1, a JSON array, in one statement.
with sent as (
    select *
    from jsonb_to_recordset($1) as r (
        position int, version bigint, uid text, run_id text, task_id text, plan_name text, plan_key text, run_label text, sut_type text,
        scaling_mode text, cluster_spec jsonb, cluster_settings text, status text, error_detail text, submitted_at timestamptz,
        started_at timestamptz, completed_at timestamptz, namespace text, name text, phase text, verdict text, summary jsonb,
        waiting_room jsonb, transitions jsonb, history jsonb)
),
-- A row can be written once in a statement: of two records of one id, the later one. In the order of ids, so that two mirrors
-- never wait for each other in a circle.
latest as (
    select distinct on (run_id) * from sent order by run_id, version desc, position
),
written as (
    insert into test_runs as kept (
        run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status, error_detail,
        submitted_at, started_at, completed_at, uid, namespace, name, resource_version, phase, verdict, summary, mirrored_at)
    select
        run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status, error_detail,
        submitted_at, started_at, completed_at, uid, namespace, name, version, phase, verdict, summary, now()
    from latest
    order by run_id
    on conflict (run_id) do update set
        -- What only a submit knows is kept where the mirror does not know better.
        task_id          = coalesce(excluded.task_id, kept.task_id),
        plan_name        = coalesce(excluded.plan_name, kept.plan_name),
        plan_key         = coalesce(excluded.plan_key, kept.plan_key),
        run_label        = coalesce(excluded.run_label, kept.run_label),
        sut_type         = coalesce(excluded.sut_type, kept.sut_type),
        scaling_mode     = coalesce(excluded.scaling_mode, kept.scaling_mode),
        cluster_spec     = coalesce(excluded.cluster_spec, kept.cluster_spec),
        cluster_settings = coalesce(excluded.cluster_settings, kept.cluster_settings),
        status           = case when kept.stop_requested and excluded.status not in ('COMPLETED', 'FAILED') then 'STOPPING' else excluded.status end,
        error_detail     = excluded.error_detail,
        submitted_at     = excluded.submitted_at,
        started_at       = excluded.started_at,
        completed_at     = excluded.completed_at,
        uid              = excluded.uid,
        namespace        = excluded.namespace,
        name             = excluded.name,
        resource_version = excluded.resource_version,
        phase            = excluded.phase,
        verdict          = excluded.verdict,
        summary          = excluded.summary,
        mirrored_at      = excluded.mirrored_at
    -- A row without a uid is one that was restored from the earlier columns alone: it is taken back.
    where kept.uid is null or (kept.uid = excluded.uid and kept.resource_version < excluded.resource_version)
    returning kept.run_id, kept.uid, kept.resource_version
),
rooms as (
    insert into waiting_room as kept (run_id, ready_count, completed_count, target_count, signal, created_at)
    select latest.run_id, room.ready_count, room.completed_count, room.target_count, room.signal, room.created_at
    from latest
    join written using (run_id)
    cross join lateral jsonb_to_record(latest.waiting_room)
        as room (ready_count int, completed_count int, target_count int, signal text, created_at timestamptz)
    where jsonb_typeof(latest.waiting_room) = 'object'
    order by latest.run_id
    on conflict (run_id) do update set
        ready_count = excluded.ready_count, completed_count = excluded.completed_count, target_count = excluded.target_count,
        signal = excluded.signal, created_at = excluded.created_at
),
-- Also of a record that came too late: what it knows of the past is true all the same.
moves as (
    insert into test_run_transitions (uid, position, phase, at, reason)
    select latest.uid, move.position - 1, move.step ->> 'phase', (move.step ->> 'at')::timestamptz, move.step ->> 'reason'
    from latest
    cross join lateral jsonb_array_elements(latest.transitions) with ordinality as move (step, position)
    order by latest.uid, move.position
    on conflict (uid, position) do nothing
),
figures as (
    insert into run_history as kept (
        uid, run_id, namespace, plan_name, plan_digest, completed_at, verdict, queries, queries_per_second, error_rate, p95_micros)
    select
        latest.uid, latest.run_id, latest.namespace, latest.plan_name, measured.plan_digest, measured.completed_at, measured.verdict,
        measured.queries, measured.queries_per_second, measured.error_rate, measured.p95_micros
    from latest
    join written using (run_id)
    cross join lateral jsonb_to_record(latest.history)
        as measured (plan_digest text, completed_at timestamptz, verdict text, queries bigint, queries_per_second double precision,
                     error_rate double precision, p95_micros bigint)
    where jsonb_typeof(latest.history) = 'object'
    order by latest.uid
    on conflict (uid) do update set
        completed_at = excluded.completed_at, verdict = excluded.verdict, queries = excluded.queries,
        queries_per_second = excluded.queries_per_second, error_rate = excluded.error_rate, p95_micros = excluded.p95_micros
)
select
    coalesce(written.uid = sent.uid and written.resource_version = sent.version, false) as written,
    coalesce(written.uid, there.uid, sent.uid) = sent.uid as own
from sent
left join written using (run_id)
left join test_runs as there using (run_id)
order by sent.position
