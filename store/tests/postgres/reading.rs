//! The gateway's side: lists, pages, and what is seen from which namespace.

use std::{collections::BTreeSet, time::Instant};

use crucible_store::{
    Ledger,
    ledger::{LONGEST_PAGE, ListRuns, RunRecord},
};
use futures::TryStreamExt;

use crate::database::{LEGACY, at, record, with_database};

fn query(namespace: &str) -> ListRuns {
    ListRuns { namespace: namespace.to_owned(), ..ListRuns::default() }
}

/// Ten thousand runs of one namespace, a few of another and some of other programs; many share their second.
#[test]
fn ten_thousand_runs_are_paged_through_without_a_gap_or_a_double() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        let one = |number: i64| {
            let mut record = record(&format!("run-{number}"), 1, 7);
            record.row.submitted_at = at(number / 7);
            record.row.run_label = Some(if number % 10 == 0 { "weekly" } else { "nightly" }.to_owned());
            record
        };
        for first in (0..10_000).step_by(500) {
            let records: Vec<RunRecord> = (first..first + 500).map(one).collect();
            ledger.record(&records).await.unwrap();
        }
        database.run("insert into test_runs (run_id, status) select 'imported_' || n, 'COMPLETED' from generate_series(1, 700) as n; analyze test_runs;").await;

        let mut seen = BTreeSet::new();
        let mut after = None;
        let mut last = None;
        loop {
            let page = ledger.list(&ListRuns { after, limit: 333, ..query("shop") }).await.unwrap();
            for row in &page.runs {
                assert!(last.as_ref().is_none_or(|last| row.cursor() < *last), "newest first, by id within a second");
                last = Some(row.cursor());
                assert!(seen.insert(row.run_id.clone()), "{} came twice", row.run_id);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(page.runs.len(), 333);
        }
        assert_eq!(seen.len(), 10_000);
        assert!(seen.iter().all(|run| run.starts_with("run-")));

        let all: Vec<_> = ledger.stream(query("shop")).try_collect().await.unwrap();
        assert_eq!(all.len(), 10_000);
        let weekly: Vec<_> = ledger.stream(ListRuns { label: Some("weekly".to_owned()), ..query("shop") }).try_collect().await.unwrap();
        assert_eq!(weekly.len(), 1_000);
        let imported: Vec<_> = ledger.stream(query(LEGACY)).try_collect().await.unwrap();
        assert_eq!(imported.len(), 700, "rows without a namespace belong to that of the earlier system");

        let start = Instant::now();
        for _ in 0..20 {
            assert_eq!(ledger.list(&ListRuns { limit: 100, ..query("shop") }).await.unwrap().runs.len(), 100);
        }
        println!("the newest 100 of 10,000 runs: {:?} each", start.elapsed() / 20);
        let plan: Vec<(String,)> = sqlx::query_as(
            "explain select * from test_runs where namespace = 'shop' and (submitted_at, run_id collate \"C\") < ('2030-01-01', 'x' collate \"C\")
             order by submitted_at desc, run_id collate \"C\" desc limit 100",
        )
        .fetch_all(&mut database.sql)
        .await
        .unwrap();
        assert!(plan.iter().any(|(line,)| line.contains("test_runs_by_time")) && !plan.iter().any(|(line,)| line.contains("Sort")), "{plan:?}");
    });
}

#[test]
fn rows_of_ours_and_of_other_programs_are_one_list_in_the_namespace_of_the_earlier_system() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        for (number, second) in [(1, 10), (2, 30)] {
            let mut ours = record(&format!("ours_{number}"), 1, 7);
            ours.row.namespace = Some(LEGACY.to_owned());
            ours.row.submitted_at = at(second);
            ledger.record(&[ours]).await.unwrap();
        }
        let time = |second| at(second).to_string();
        let statement = format!(
            "insert into test_runs (run_id, run_label, status, submitted_at)
             values ('theirs_1', 'nightly', 'COMPLETED', '{}'), ('theirs_2', 'weekly', 'EXECUTING', '{}')",
            time(20),
            time(40)
        );
        database.run(&statement).await;
        let names = |rows: Vec<crucible_store::ledger::RunRow>| rows.into_iter().map(|row| row.run_id).collect::<Vec<_>>();
        let first = ledger.list(&ListRuns { limit: 3, ..query(LEGACY) }).await.unwrap();
        assert_eq!(names(first.runs), ["theirs_2", "ours_2", "theirs_1"]);
        let second = ledger.list(&ListRuns { limit: 3, after: first.next, ..query(LEGACY) }).await.unwrap();
        assert_eq!((names(second.runs), second.next), (vec!["ours_1".to_owned()], None));
        let nightly = ledger.list(&ListRuns { label: Some("nightly".to_owned()), ..query(LEGACY) }).await.unwrap();
        assert_eq!(names(nightly.runs), ["ours_2", "theirs_1", "ours_1"]);
        assert_eq!(names(ledger.active(LEGACY).await.unwrap()), ["theirs_2"]);
        assert_eq!(names(ledger.active("shop").await.unwrap()), Vec::<String>::new());
        assert_eq!(ledger.find("shop", "theirs_1").await.unwrap(), None);
        assert_eq!(ledger.find("shop", "ours_1").await.unwrap(), None);
        assert!(ledger.find(LEGACY, "theirs_1").await.unwrap().is_some());
        assert_eq!(ledger.transitions("shop", "ours_1").await.unwrap(), []);
    });
}

#[test]
fn a_page_has_its_limit_and_nought_stands_for_the_longest() {
    with_database(|mut database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        database.run("insert into test_runs (run_id, status) select 'imported_' || n, 'COMPLETED' from generate_series(1, 501) as n").await;
        for (limit, expected) in [(0, LONGEST_PAGE), (1, 1), (10_000, LONGEST_PAGE)] {
            let page = ledger.list(&ListRuns { limit, ..query(LEGACY) }).await.unwrap();
            assert_eq!(page.runs.len(), expected as usize);
            assert!(page.next.is_some());
        }
    });
}

#[test]
fn what_a_user_sends_is_never_part_of_a_statement() {
    with_database(|database| async move {
        let ledger = database.ledger();
        ledger.migrate().await.unwrap();
        let evil = "x'; drop table test_runs; --";
        assert_eq!(ledger.list(&ListRuns { label: Some(evil.to_owned()), ..query(evil) }).await.unwrap().runs, []);
        assert_eq!(ledger.find(evil, evil).await.unwrap(), None);
        ledger.record(&[record("run-a", 1, 1)]).await.unwrap();
        ledger.ping().await.unwrap();
    });
}
