//! The statements. Each that reads or changes one run names its namespace, so that no answer crosses one.

/// The columns of [`super::ReadRun`], in its order.
macro_rules! columns {
    () => {
        "run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status, error_detail, \
         submitted_at, started_at, completed_at, namespace, name, uid, phase, verdict, summary"
    };
}

/// One page of some columns: of the namespace's own rows and, for the namespace of the earlier system's clients, of those without one.
/// Each half is a walk along an index that ends by itself; the two are merged.
macro_rules! list {
    ($columns:expr, $only:literal) => {
        concat!(
            "select ",
            $columns,
            " from ((select ",
            $columns,
            " from test_runs where namespace = $1 and (submitted_at, run_id collate \"C\") < ($3, $4 collate \"C\")",
            $only,
            " order by submitted_at desc, run_id collate \"C\" desc limit $5)
             union all
             (select ",
            $columns,
            " from test_runs where namespace is null and $2 and (submitted_at, run_id collate \"C\") < ($3, $4 collate \"C\")",
            $only,
            " order by submitted_at desc, run_id collate \"C\" desc limit $5)) as runs
             order by submitted_at desc, run_id collate \"C\" desc limit $5"
        )
    };
}

pub const RECORD: &str = include_str!("record.sql");

pub const LIST: &str = list!(columns!(), " and $6::text is null");
pub const LIST_LABELLED: &str = list!(columns!(), " and run_label = $6");

/// Both columns are in the index, so that no row is read.
pub const PLACES: &str = list!("submitted_at, run_id", " and $6::text is null");
pub const PLACES_LABELLED: &str = list!("submitted_at, run_id", " and run_label = $6");

pub const ACTIVE: &str = concat!(
    "select ",
    columns!(),
    " from test_runs
     where status in ('WAITING_ROOM', 'EXECUTING') and (namespace = $1 or (namespace is null and $2))
     order by submitted_at desc, run_id collate \"C\" desc limit $3"
);

pub const FIND: &str = concat!("select ", columns!(), " from test_runs where run_id = $1 and (namespace = $2 or (namespace is null and $3))");

pub const WAITING_ROOM: &str = "
    select room.ready_count, room.completed_count, room.target_count, room.signal, room.created_at
    from waiting_room as room join test_runs as run using (run_id)
    where run_id = $1 and (run.namespace = $2 or (run.namespace is null and $3))";

pub const TRANSITIONS: &str = "
    select move.phase, move.at, move.reason
    from test_run_transitions as move join test_runs as run using (uid)
    where run.run_id = $1 and run.namespace = $2
    order by move.position";

pub const HISTORY: &str = "
    select run_id, completed_at, plan_digest, verdict, queries, queries_per_second, error_rate, p95_micros
    from run_history where namespace = $1 and plan_name = $2
    order by completed_at desc, run_id collate \"C\" desc limit $3";

/// Where the mirror came first, by its own row or by a later one of the same run, nothing is done.
pub const SUBMIT: &str = "
    insert into test_runs (run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status,
                           submitted_at, namespace, name, uid, phase)
    select run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, 'PENDING',
           submitted_at, namespace, name, uid, 'Pending'
    from jsonb_to_record($1) as r (
        run_id text, task_id text, plan_name text, plan_key text, run_label text, sut_type text, scaling_mode text, cluster_spec jsonb,
        cluster_settings text, submitted_at timestamptz, namespace text, name text, uid text)
    on conflict (run_id) do nothing";

/// The row is locked before it is judged, so that of two stops one is the first.
pub const STOP: &str = "
    with before as (
        select run_id, status not in ('COMPLETED', 'FAILED', 'STOPPING') as live
        from test_runs where run_id = $1 and (namespace = $2 or (namespace is null and $3))
        for update
    ),
    stopped as (
        update test_runs as run set status = 'STOPPING', stop_requested = true
        from before where run.run_id = before.run_id and before.live
    )
    select live from before";

/// Runs that are known to be gone from the cluster, whatever their rows still say.
pub const END_VANISHED: &str = "
    with ended as (
        update test_runs
        set status = 'FAILED', phase = 'Failed', completed_at = coalesce(completed_at, now()),
            error_detail = coalesce(error_detail, 'The run was deleted before it had ended')
        where uid = any($1) and status not in ('COMPLETED', 'FAILED')
        returning uid
    )
    insert into test_run_transitions (uid, position, phase, at, reason)
    select ended.uid, coalesce(max(move.position) + 1, 0), 'Failed', now(), 'Deleted'
    from ended left join test_run_transitions as move on move.uid = ended.uid
    group by ended.uid
    on conflict (uid, position) do nothing";

pub const UNFINISHED: &str = "
    select uid, namespace, name from test_runs
    where uid is not null and status not in ('COMPLETED', 'FAILED') and namespace is not null and name is not null
      and ($1::text is null or namespace = $1)";

pub const ABSENT: &str = "
    select asked.uid from unnest($1::text[]) as asked (uid)
    where not exists (select from test_runs where test_runs.uid = asked.uid)";

#[cfg(test)]
mod tests {
    use super::*;

    /// The mirror's own statements know runs by their uid, which no user chooses.
    #[test]
    fn no_statement_that_serves_a_user_lacks_the_namespace() {
        for statement in [LIST, LIST_LABELLED, PLACES, PLACES_LABELLED, ACTIVE, FIND, WAITING_ROOM, TRANSITIONS, HISTORY, STOP] {
            assert!(statement.contains("namespace = $"), "{statement}");
        }
        assert_eq!(PLACES.matches("where namespace").count(), 2, "both halves");
        assert_eq!(LIST.matches("where namespace").count(), 2, "both halves");
    }
}
