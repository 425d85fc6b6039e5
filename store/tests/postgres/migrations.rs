//! The tables: made, or taken over from the earlier system.

use crucible_store::{Ledger, ledger::ListRuns};
use serde_json::json;

use crate::database::{Database, LEGACY, record, with_database};

/// The tables as the earlier system made them, with rows.
const EARLIER: &str = "
    create table test_runs (
        run_id text primary key, task_id text, plan_name text, plan_key text, run_label text, sut_type text, scaling_mode text,
        cluster_spec jsonb, cluster_settings text, status text, error_detail text,
        submitted_at timestamptz, started_at timestamptz, completed_at timestamptz);
    create table waiting_room (
        run_id text primary key, ready_count int, completed_count int, target_count int, signal text, created_at timestamptz);
    insert into test_runs values
        ('old_1', 'celery-1', 'shop', 'plans/shop', 'nightly', 'doris', 'inter_node', '{\"type\": \"doris\"}', 'x=1', 'COMPLETED', null,
         '2025-01-01T00:00:00Z', '2025-01-01T00:01:00Z', '2025-01-01T00:09:00Z'),
        ('old_2', null, 'shop', null, null, 'doris', null, null, null, 'SOMETHING_ELSE', 'it broke', null, '2025-02-01T00:00:00Z', null);
    insert into waiting_room values ('old_1', 2, 2, 2, 'START', '2025-01-01T00:00:30Z'), ('old_2', 0, 0, 2, 'odd', null);";

/// What every client of the earlier system may do.
const FIRST_TEN: &str = "
    insert into test_runs (run_id, task_id, plan_name, plan_key, run_label, sut_type, scaling_mode, cluster_spec, cluster_settings, status)
    values ('mine_1', 't-1', 'shop', 'plans/shop', 'nightly', 'mysql', 'intra_node', '{\"type\": \"mysql\"}', '', 'PENDING')";

async fn inserts_as_a_client_does(database: &mut Database) {
    database.run(FIRST_TEN).await;
    database.run("insert into waiting_room (run_id, target_count) values ('mine_1', 2)").await;
    let row = database.ledger().find(LEGACY, "mine_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.cluster_spec, row.error_detail, row.started_at), ("PENDING", Some(json!({"type": "mysql"})), None, None));
    let age = jiff::Timestamp::now().duration_since(row.submitted_at).as_secs();
    assert!((-5..60).contains(&age), "submitted {age} s ago");
    let room = database.ledger().waiting_room(LEGACY, "mine_1").await.unwrap().unwrap();
    assert_eq!((room.ready_count, room.completed_count, room.target_count, room.signal.as_str()), (0, 0, 2, "WAIT"));
}

#[test]
fn an_empty_database_gets_the_tables_and_clients_insert_only_the_first_ten_columns() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        ledger.migrate().await.unwrap();
        inserts_as_a_client_does(&mut database).await;
        let columns = "select count(*) from information_schema.columns where table_name = 'test_runs' and ordinal_position <= 14
            and column_name = (array['run_id', 'task_id', 'plan_name', 'plan_key', 'run_label', 'sut_type', 'scaling_mode', 'cluster_spec',
                'cluster_settings', 'status', 'error_detail', 'submitted_at', 'started_at', 'completed_at'])[ordinal_position]";
        assert_eq!(database.count(columns).await, 14, "the columns of the earlier system come first, in its order");
    });
}

#[test]
fn a_database_of_the_earlier_system_is_taken_over_without_loss() {
    with_database(|mut database| async move {
        database.run(EARLIER).await;
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        let page = ledger.list(&ListRuns { namespace: LEGACY.to_owned(), ..ListRuns::default() }).await.unwrap();
        let rows: Vec<_> = page.runs.iter().map(|row| (row.run_id.as_str(), row.status.as_str())).collect();
        assert_eq!(rows, [("old_2", "SOMETHING_ELSE"), ("old_1", "COMPLETED")]);
        let old = &page.runs[1];
        assert_eq!((old.task_id.as_deref(), old.plan_key.as_deref(), old.cluster_settings.as_deref()), (Some("celery-1"), Some("plans/shop"), Some("x=1")));
        assert_eq!(
            (old.cluster_spec.clone(), old.submitted_at, old.completed_at),
            (Some(json!({"type": "doris"})), "2025-01-01T00:00:00Z".parse().unwrap(), Some("2025-01-01T00:09:00Z".parse().unwrap()))
        );
        assert_eq!(page.runs[0].submitted_at, "2025-02-01T00:00:00Z".parse().unwrap(), "a run that never said when is put where it began");
        assert_eq!((old.namespace.clone(), old.uid.clone(), old.phase.clone()), (None, None, None));
        assert_eq!(ledger.waiting_room(LEGACY, "old_1").await.unwrap().unwrap().ready_count, 2);
        inserts_as_a_client_does(&mut database).await;
        assert_eq!(ledger.record(&[record("run-a", 1, 1)]).await.unwrap().len(), 1);
    });
}

#[test]
fn times_without_a_zone_and_missing_columns_are_mended() {
    with_database(|mut database| async move {
        database
            .run(
                "create table test_runs (run_id varchar(200) primary key, plan_name varchar, status varchar default 'PENDING', cluster_spec json,
                      submitted_at timestamp default now(), started_at text);
                  insert into test_runs values ('old_1', 'shop', 'FAILED', '{\"type\": \"trino\"}', '2025-01-01 12:00:00', ''),
                      ('old_2', 'shop', 'FAILED', null, '2025-01-02 12:00:00', '2025-01-02 12:00:05');",
            )
            .await;
        database.ledger().migrate().await.unwrap();
        let row = database.ledger().find(LEGACY, "old_1").await.unwrap().unwrap();
        assert_eq!((row.submitted_at, row.started_at), ("2025-01-01T12:00:00Z".parse().unwrap(), None));
        assert_eq!(row.cluster_spec, Some(json!({"type": "trino"})));
        let row = database.ledger().find(LEGACY, "old_2").await.unwrap().unwrap();
        assert_eq!(row.started_at, Some("2025-01-02T12:00:05Z".parse().unwrap()));
        inserts_as_a_client_does(&mut database).await;
    });
}

#[test]
fn of_two_that_migrate_at_once_one_waits_for_the_other() {
    with_database(|mut database| async move {
        database.run(EARLIER).await;
        let ledgers: Vec<_> = (0..4).map(|_| database.ledger()).collect();
        let done = futures::future::join_all(ledgers.iter().map(Ledger::migrate)).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        assert_eq!(database.count("select count(*) from crucible_migrations").await, 4);
        assert_eq!(database.count("select count(*) from test_runs").await, 2);
    });
}

#[test]
fn a_release_that_knows_less_goes_on_with_what_it_knows() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        database.run("insert into crucible_migrations (version, description, success, checksum, execution_time) values (99, 'later', true, '', 0)").await;
        ledger.migrate().await.unwrap();
    });
}

#[test]
fn words_outside_the_vocabulary_are_refused_for_our_rows_only() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        database.run("insert into test_runs (run_id, status) values ('theirs', 'WHATEVER')").await;
        for (status, phase) in [("RUNNING", "Pending"), ("PENDING", "Odd")] {
            let mut odd = record("run-a", 1, 1);
            status.clone_into(&mut odd.row.status);
            odd.row.phase = Some(phase.to_owned());
            let error = ledger.record(&[odd]).await.unwrap_err();
            assert!(!error.is_transient() && error.to_string().contains("_is_known"), "{error}");
        }
    });
}
