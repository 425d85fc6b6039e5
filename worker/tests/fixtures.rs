//! The loader as a process, against real MariaDB, PostgreSQL, Trino and Cassandra, a bucket that serves ranges and an operator that signs addresses.
//!
//! `CRUCIBLE_TEST_MYSQL`, `CRUCIBLE_TEST_POSTGRES`, `CRUCIBLE_TEST_TRINO`, `CRUCIBLE_TEST_CASSANDRA` and `CRUCIBLE_TEST_S3` say where the servers are, as
//! `cargo xtask engines up` prints them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "clippy takes only functions marked as tests for tests")]

#[path = "fixtures/cassandra.rs"]
mod cassandra;
#[path = "fixtures/database.rs"]
mod database;
#[path = "fixtures/doris.rs"]
mod doris;
#[path = "fixtures/files.rs"]
mod files;
#[path = "fixtures/stage.rs"]
mod stage;
#[path = "fixtures/tpch.rs"]
mod tpch;
#[path = "fixtures/trino.rs"]
mod trino;

use std::time::Duration;

use crucible_crds::{
    fixture::{FixtureFormat, FixtureReset},
    test_run::TableState,
};
use database::Database;
use files::{Values, csv, parquet};
use stage::{Stage, Trouble};

/// Each test on both servers, in a database table of its own.
macro_rules! on_both {
    ($($name:ident)+) => {
        mod mysql { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Database::mysql(stringify!($name)).await).await; })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Database::postgres(stringify!($name)).await).await; })+ }
    };
}

on_both! {
    parquet_of_every_type_is_loaded_and_found_again
    csv_is_read_plain_gzipped_and_in_zstd
    a_table_that_a_run_may_have_written_to_is_loaded_anew
    a_foreign_table_is_left_alone_unless_it_is_given_up
    duplicate_keys_are_named_with_their_sqlstate_and_change_nothing
    a_value_that_does_not_fit_is_named_by_row_and_column
    a_loader_killed_at_any_moment_leaves_no_half_of_a_table
    files_that_are_wrong_are_named_before_anything_is_touched
    a_file_that_changes_is_not_mixed
    a_bucket_that_is_away_holds_up_and_one_that_refuses_ends
    a_table_is_emptied_and_filled_where_it_is
    a_changed_table_is_brought_back_from_the_rows_that_were_kept
    rows_of_a_table_with_more_columns_than_the_files_are_not_kept
    what_the_database_changes_on_the_way_is_found_out
    a_table_whose_key_reaches_far_is_proved_like_any_other
    a_dump_is_run_once_and_again_after_it_was_broken_off
    two_loaders_of_one_table_wait_for_each_other
    ten_thousand_files_are_loaded
    a_server_that_refuses_is_named
    a_certificate_is_believed_by_the_authorities_of_the_credentials
    memory_does_not_grow_with_the_data
}

async fn parquet_of_every_type_is_loaded_and_found_again(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.parquet", parquet(files::EVERY_TYPE, files::every_type(1, 3)));
    stage.put("b.parquet", parquet(files::EVERY_TYPE_TURNED, files::every_type_turned(4, 2)));
    let ended = stage.load(FixtureFormat::Parquet).await;
    assert_eq!(ended.said(), "Loaded 5 rows");
    let shown = db.query(&db.show("id, small, price, note, born, seen, good, ratio", "id")).await;
    let (yes, no) = if db.is_mysql() { ("1", "0") } else { ("t", "f") };
    assert_eq!(shown.len(), 5);
    assert_eq!(shown[0], format!("1|-1|10.01|note 1|1970-01-02|2026-03-07 23:59:58.000001|{yes}|0.5"));
    assert_eq!(shown[1], format!("2|-2|-20.02|NULL|1970-01-03|2026-03-07 23:59:58.000002|{no}|1"));
    assert_eq!(shown[3], format!("4|-4|-40.04|NULL|1970-01-05|2026-03-07 23:59:58.000004|{no}|2"));
    let hex = if db.is_mysql() { "LOWER(HEX(raw))" } else { "encode(raw, 'hex')" };
    assert_eq!(db.query(&format!("SELECT {hex} FROM {} WHERE id = 1", db.name())).await, ["000109ff5c"]);
    let comment = db.own_comment().await.unwrap();
    assert!(comment.starts_with("crucible fixture=shop digest=d1 rows=5 checksum=") && !comment.ends_with("dirty"), "{comment}");

    let again = stage.load(FixtureFormat::Parquet).await;
    assert_eq!(again.said(), "Found 5 rows");
    assert_eq!(again.checksum, ended.checksum);
    // Somebody has deleted a row since: the mark alone is not believed.
    db.execute(&format!("DELETE FROM {} WHERE id = 3", db.name())).await;
    assert_eq!(stage.load(FixtureFormat::Parquet).await.said(), "Loaded 5 rows");
    db.has_only_its_table().await;
}

async fn a_certificate_is_believed_by_the_authorities_of_the_credentials(db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.authorities("");
    let refused = stage.load(FixtureFormat::Csv).await.said();
    assert!(refused.starts_with("SutTlsFailed: "), "{refused}");
    stage.authorities(&std::fs::read_to_string(database::variable("SSL_CERT_FILE")).unwrap());
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
}

async fn csv_is_read_plain_gzipped_and_in_zstd(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", b"id,name,price\r\n1,\"say \"\"hi\"\",\nhe\",1.50\r\n2,,2.25\r\n3,\"\",\r\n".to_vec());
    stage.put("b.csv.gz", files::gzip(b"price,id,name\n-7.75,4,back\\slash\ttab\n"));
    stage.put("c.csv.zst", files::zstd("id,name,price\n5,é😀,0\n".as_bytes()));
    stage.recipe(|recipe| {
        recipe.columns = serde_json::from_str(r#"[{"name": "id", "type": "int"}, {"name": "price", "type": "decimal(10,2)"}]"#).unwrap();
        recipe.primary_key = vec!["id".into()];
    });
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 5 rows");
    let shown = db.query(&db.show("id, name, price", "id")).await;
    assert_eq!(shown, ["1|say \"hi\",\nhe|1.50", "2|NULL|2.25", "3||NULL", "4|back\\slash\ttab|-7.75", "5|é😀|0.00"]);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Found 5 rows");
}

async fn a_table_that_a_run_may_have_written_to_is_loaded_anew(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    stage.recipe(|recipe| recipe.writes = true);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Found 3 rows");
    assert!(db.own_comment().await.unwrap().ends_with(" dirty"));
    stage.recipe(|recipe| recipe.writes = false);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    stage.put("a.csv", csv(1..6));
    stage.recipe(|recipe| recipe.digest = "d2".into());
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 5 rows");
    assert!(db.own_comment().await.unwrap().contains("digest=d2 rows=5"));
    db.has_only_its_table().await;
}

async fn a_foreign_table_is_left_alone_unless_it_is_given_up(mut db: Database) {
    db.execute(&format!("CREATE TABLE {} (id int PRIMARY KEY, name varchar(20), extra int DEFAULT 7)", db.name())).await;
    db.execute(&format!("INSERT INTO {} VALUES (99, 'theirs', 1)", db.name())).await;
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    let ended = stage.load(FixtureFormat::Csv).await;
    let expected = format!(
        "FixtureTableNotOurs: Table {} was not loaded by Crucible, so it is left alone; fixture shop has to say replaceExisting for its rows to be given up",
        db.table
    );
    assert_eq!(ended.said(), expected);
    assert_eq!(db.query(&db.show("id, name, extra", "id")).await, ["99|theirs|1"]);
    stage.recipe(|recipe| recipe.replace_existing = true);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    assert_eq!(db.query(&db.show("id, name, extra", "id")).await, ["1|name 1|7", "2|name 2|7", "3|name 3|7"], "its columns are kept");
    let twice = db.fails(&format!("INSERT INTO {} VALUES (1, 'x', 1)", db.name())).await;
    assert!(twice.to_lowercase().contains("duplicate"), "its key is kept: {twice}");
    db.has_only_its_table().await;
}

async fn duplicate_keys_are_named_with_their_sqlstate_and_change_nothing(mut db: Database) {
    let stage = Stage::new(&db).await;
    let keyed = |recipe: &mut crucible_lifecycle::contract::TableRecipe| {
        recipe.columns = serde_json::from_str(r#"[{"name": "id", "type": "int"}]"#).unwrap();
        recipe.primary_key = vec!["id".into()];
    };
    stage.recipe(keyed);
    stage.put("a.csv", csv(1..4));
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    stage.put("a.csv", b"id,name\n1,a\n2,b\n2,c\n".to_vec());
    stage.recipe(|recipe| recipe.digest = "d2".into());
    let said = stage.load(FixtureFormat::Csv).await.said();
    let state = if db.is_mysql() { "error 1062, SQLSTATE 23000" } else { "SQLSTATE 23505" };
    let place = if db.is_mysql() { "rows 1 to 3" } else { "row 3" };
    assert!(said.starts_with(&format!("FixtureLoadFailed: Table {} does not take {place} of file fixtures/shop/a.csv of fixture shop", db.table)), "{said}");
    assert!(said.contains(state), "{said}");
    assert_eq!(db.count().await, 3, "the table is as it was");
}

async fn a_value_that_does_not_fit_is_named_by_row_and_column(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.recipe(|recipe| recipe.columns = serde_json::from_str(r#"[{"name": "id", "type": "int"}]"#).unwrap());
    stage.put("a.csv", b"id,name\n1,a\n2,b\nthree,c\n".to_vec());
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert!(
        said.starts_with("FixtureLoadFailed: ") && said.contains("row 3 of file fixtures/shop/a.csv") && said.contains("id") && said.contains("three"),
        "{said}"
    );
    stage.put("a.csv", b"id,name\n1,a\n2,b\xff\n".to_vec());
    assert_eq!(
        stage.load(FixtureFormat::Csv).await.said(),
        "FixtureInvalid: File fixtures/shop/a.csv of fixture shop: row 2, column name: the text is not UTF-8"
    );
    assert_eq!(db.own_comment().await, None, "nothing came under the real name");
}

async fn a_loader_killed_at_any_moment_leaves_no_half_of_a_table(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    stage.recipe(|recipe| recipe.digest = "d2".into());
    for part in 0..6 {
        stage.put(&format!("{part}.csv"), csv(part * 20_000 + 1..part * 20_000 + 20_001));
    }
    stage.remove("a.csv");
    let mut seen = std::collections::BTreeSet::new();
    for delay in [20, 60, 120, 200, 300, 450, 600, 800, 1000, 1300, 1700] {
        stage.kill_after(FixtureFormat::Csv, Duration::from_millis(delay)).await;
        let rows = db.count().await;
        let comment = db.own_comment().await.unwrap();
        assert!(comment.contains(&format!("rows={rows} ")), "killed after {delay} ms: {rows} rows under {comment}");
        assert!(rows == 3 || rows == 120_000, "killed after {delay} ms: {rows} rows");
        seen.insert(rows);
    }
    assert!(seen.contains(&3), "it was always too late");
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert!(said.ends_with(" 120000 rows"), "{said}");
    assert_eq!(db.query(&format!("SELECT CAST(COUNT(DISTINCT id) AS CHAR(9)) FROM {}", db.name())).await[0].trim(), "120000");
    db.has_only_its_table().await;
}

async fn files_that_are_wrong_are_named_before_anything_is_touched(mut db: Database) {
    let good = parquet("message m { required int32 id; }", vec![Values::Int32(vec![1, 2], None)]);
    let mut encrypted = good.clone();
    let end = encrypted.len();
    encrypted[end - 4..].copy_from_slice(b"PARE");
    let cut = good[..good.len() - 20].to_vec();
    let mut torn = good.clone();
    let footer = torn.len() - 40;
    torn[footer..footer + 20].fill(0xff);
    let empty = parquet("message m { required int32 id; }", vec![Values::Int32(Vec::new(), None)]);
    let nested = parquet("message m { required group a { required int32 b; } }", vec![Values::Int32(vec![1], None)]);
    let wide = parquet("message m { required fixed_len_byte_array(32) d (DECIMAL(76,2)); }", vec![Values::Fixed(vec![vec![0; 32]])]);
    let fine = parquet("message m { required int64 t (TIMESTAMP(NANOS,false)); }", vec![Values::Int64(vec![1_001], None)]);
    let file = |name: &str| format!("FixtureInvalid: File fixtures/shop/{name} of fixture shop: ");
    let parquet_cases: [(&[(&str, Vec<u8>)], String); 10] = [
        (
            &[("a.parquet", b"id,name\n1,a\n2,b\n3,c\n".to_vec())],
            file("a.parquet") + "it does not end as a Parquet file does: it is something else, or was cut off",
        ),
        (&[("a.parquet", cut)], file("a.parquet") + "it does not end as a Parquet file does: it is something else, or was cut off"),
        (&[("a.parquet", torn)], file("a.parquet") + "it cannot be read as Parquet: "),
        (&[("a.parquet", encrypted)], file("a.parquet") + "it is encrypted"),
        (&[("a.parquet", b"PAR1".to_vec())], file("a.parquet") + "it is too short for a Parquet file"),
        (&[("a.parquet", empty)], "FixtureInvalid: Fixture shop has no rows: its 1 files have 0 rows together".into()),
        (&[("a.parquet", nested)], file("a.parquet") + "column a.b is nested (a list, a map or a group), which no column of a table is"),
        (&[("a.parquet", wide)], file("a.parquet") + "column d is decimal(76,2), and at most 38 digits can be loaded"),
        (&[("a.parquet", fine)], file("a.parquet") + "row 1, column t: the time 1001 ns is finer than a microsecond, which no column here can hold"),
        (
            &[("a.parquet", good), ("b.parquet", parquet("message m { required int64 id; }", vec![Values::Int64(vec![1], None)]))],
            file("b.parquet") + "its column id is int64 and not int32, unlike file fixtures/shop/a.parquet",
        ),
    ];
    for (files, expected) in parquet_cases {
        refused(&mut db, FixtureFormat::Parquet, files, &expected).await;
    }
    let csv_cases: [(&[(&str, Vec<u8>)], String); 8] = [
        (&[("a.csv", b"id,name\n1,a\n2\n".to_vec())], file("a.csv") + "row 2 has 1 fields, and the header has 2"),
        (&[("a.csv", b"id,name\n1,a\n2,b\"c\n".to_vec())], file("a.csv") + "row 2: field 2 has a quote and does not begin with one"),
        (&[("a.csv", b"id,name\n1,\"a\n2,b\n".to_vec())], file("a.csv") + "row 1: a quote is opened and never closed"),
        (&[("a.csv", b"id,id\n1,2\n".to_vec())], file("a.csv") + "its header has the column id twice"),
        (&[("a.csv", b"id,name\n".to_vec())], format!("FixtureInvalid: Fixture shop has no rows: there is nothing to load into table {}", db.table)),
        (&[("a.csv", [b"id\n1\n".as_slice(), &vec![b'"'; 1], &vec![b'x'; 10 << 20]].concat())], file("a.csv") + "row 2: field 1 is longer than 4194304 bytes"),
        (&[("a.csv.gz", b"id\n1\n".to_vec())], file("a.csv.gz") + "it cannot be unpacked: "),
        (&[("a.csv", b"id\n1\n".to_vec()), ("b.csv", b"no\n1\n".to_vec())], file("b.csv") + "it has a column no, unlike file fixtures/shop/a.csv"),
    ];
    for (files, expected) in csv_cases {
        refused(&mut db, FixtureFormat::Csv, files, &expected).await;
    }
}

async fn refused(db: &mut Database, format: FixtureFormat, files: &[(&str, Vec<u8>)], expected: &str) {
    let stage = Stage::new(db).await;
    for (name, bytes) in files {
        stage.put(name, bytes.clone());
    }
    let said = stage.load(format).await.said();
    assert!(said.starts_with(expected), "expected {expected}\n    said {said}");
    assert_eq!(db.own_comment().await, None, "{said}: nothing came under the real name");
}

async fn a_file_that_changes_is_not_mixed(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.trouble(Trouble::Retagged);
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert_eq!(said, "FixtureChanged: File fixtures/shop/a.csv changed while it was being loaded: it has another content than when the run began");
    stage.trouble(Trouble::Gone);
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert_eq!(said, "FixtureChanged: File fixtures/shop/a.csv changed while it was being loaded: the bucket answers 404 Not Found NoSuchKey");
    assert_eq!(db.own_comment().await, None);
}

async fn a_bucket_that_is_away_holds_up_and_one_that_refuses_ends(db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.trouble(Trouble::Away(3));
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    stage.recipe(|recipe| recipe.digest = "d2".into());
    stage.trouble(Trouble::Denied);
    assert_eq!(
        stage.load(FixtureFormat::Csv).await.said(),
        "FixtureUnreadable: File fixtures/shop/a.csv cannot be read: the bucket answers 403 Forbidden AccessDenied"
    );
}

async fn a_table_is_emptied_and_filled_where_it_is(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.recipe(|recipe| recipe.reset = FixtureReset::Truncate);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    // What depends on the table would go with it, or hold it.
    db.execute(&format!("CREATE INDEX of_mine ON {} (name{})", db.name(), if db.is_mysql() { "(20)" } else { "" })).await;
    stage.put("a.csv", csv(1..8));
    stage.recipe(|recipe| recipe.digest = "d2".into());
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 7 rows");
    let again = db.fails(&format!("CREATE INDEX of_mine ON {} (name{})", db.name(), if db.is_mysql() { "(20)" } else { "" })).await;
    assert!(again.contains("of_mine"), "the index is still there: {again}");
    // Broken off while it is filled, it says so until it is whole.
    stage.put("a.csv", csv(1..150_001));
    stage.recipe(|recipe| recipe.digest = "d3".into());
    stage.kill_when_loading(FixtureFormat::Csv).await;
    assert_eq!(db.own_comment().await.unwrap(), "crucible loading");
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 150000 rows");
}

async fn a_changed_table_is_brought_back_from_the_rows_that_were_kept(mut db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..200));
    stage.recipe(|recipe| {
        (recipe.reset, recipe.writes) = (FixtureReset::Snapshot, true);
        recipe.columns = serde_json::from_str(r#"[{"name": "id", "type": "int"}]"#).unwrap();
        recipe.primary_key = vec!["id".into()];
    });
    let first = stage.load(FixtureFormat::Csv).await;
    assert_eq!(first.said(), "Loaded 199 rows");
    db.execute(&format!("UPDATE {} SET name = 'changed' WHERE id < 50", db.name())).await;
    db.execute(&format!("DELETE FROM {} WHERE id > 100", db.name())).await;
    // By its digest it is the same dataset; were the file read, there would be four rows.
    stage.put("a.csv", csv(1..5));
    let again = stage.load(FixtureFormat::Csv).await;
    assert_eq!((again.said(), again.checksum), ("Restored 199 rows".to_owned(), first.checksum));
    assert_eq!(db.query(&format!("SELECT COUNT(*) FROM {} WHERE name = 'changed'", db.name())).await, ["0"]);

    // Where somebody has changed the kept rows, too, the files are loaded and kept.
    let kept = format!("crucible_kept_{}", crucible_lifecycle::build::names::short_hash(&db.table, 12));
    db.execute(&format!("DELETE FROM {kept} WHERE id = 7")).await;
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 4 rows");
    // A table that is gone altogether comes back as well.
    stage.put("a.csv", csv(1..9));
    db.execute(&format!("DROP TABLE {}", db.name())).await;
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Restored 4 rows");
    // Rows of another dataset are of no use.
    stage.recipe(|recipe| recipe.digest = "d2".into());
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 8 rows");
    // Nothing is kept of a fixture that does not say so any more.
    stage.recipe(|recipe| recipe.reset = FixtureReset::Reload);
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 8 rows");
    db.has_only_its_table().await;
}

async fn rows_of_a_table_with_more_columns_than_the_files_are_not_kept(mut db: Database) {
    db.execute(&format!("CREATE TABLE {} (id int PRIMARY KEY, name varchar(20), more int DEFAULT 7)", db.name())).await;
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.recipe(|recipe| (recipe.reset, recipe.replace_existing) = (FixtureReset::Snapshot, true));
    assert_eq!(stage.load(FixtureFormat::Csv).await.said(), "Loaded 3 rows");
    db.has_only_its_table().await;
}

async fn what_the_database_changes_on_the_way_is_found_out(mut db: Database) {
    db.execute(&format!("CREATE TABLE {} (id int, name varchar(20))", db.name())).await;
    db.bend_rows().await;
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.recipe(|recipe| (recipe.reset, recipe.replace_existing) = (FixtureReset::Truncate, true));
    let said = stage.load(FixtureFormat::Csv).await.said();
    let expected =
        format!("FixtureVerifyFailed: Table {} does not hold what was loaded from fixture shop: column id: a sum of 6 was expected and 9 found", db.table);
    assert_eq!(said, expected);
    assert_eq!(db.own_comment().await.unwrap(), "crucible loading", "it is not believed");
}

async fn a_table_whose_key_reaches_far_is_proved_like_any_other(mut db: Database) {
    db.execute(&format!("CREATE TABLE {} (id bigint PRIMARY KEY, name varchar(20), price decimal(10,3))", db.name())).await;
    let stage = Stage::new(&db).await;
    // One slice in the middle has no row, and the last no price.
    stage.put("a.csv", b"id,name,price\n-9000000000,a,0.125\n-8999999999,,-7\n4000000000,cde,2.5\n9000000000,f,\n".to_vec());
    stage.recipe(|recipe| (recipe.reset, recipe.replace_existing) = (FixtureReset::Truncate, true));
    let ended = stage.load(FixtureFormat::Csv).await;
    assert_eq!(ended.said(), "Loaded 4 rows");
    let whole = ended.checksum;
    if db.is_mysql() {
        db.bend_rows().await;
        stage.recipe(|recipe| recipe.digest = "d2".into());
        let said = stage.load(FixtureFormat::Csv).await.said();
        assert!(said.ends_with("column id: a sum of -4999999999 was expected and -4999999995 found"), "{said}");
    }
    // The same rows come to the same where there is no key to slice by.
    db.execute(&format!("DROP TABLE {}", db.name())).await;
    db.execute(&format!("CREATE TABLE {} (id bigint, name varchar(20), price decimal(10,3))", db.name())).await;
    let ended = stage.load(FixtureFormat::Csv).await;
    assert_eq!((ended.said(), ended.checksum), ("Loaded 4 rows".to_owned(), whole));
}

async fn a_dump_is_run_once_and_again_after_it_was_broken_off(mut db: Database) {
    let stage = Stage::new(&db).await;
    let table = db.name();
    stage.put("1-schema.sql", format!("-- the table\nCREATE TABLE {table} (id int, name varchar(20));\n").into_bytes());
    let rows: String = (1..3000).map(|id| format!("INSERT INTO {table} VALUES ({id}, 'a;b {id}');\n")).collect();
    stage.put("2-rows.sql.gz", files::gzip(rows.as_bytes()));
    stage.kill_when_loading(FixtureFormat::Sql).await;
    let said = stage.load(FixtureFormat::Sql).await.said();
    assert_eq!(said, "Loaded 2999 rows");
    assert_eq!(stage.load(FixtureFormat::Sql).await.said(), "Found 2999 rows");
    db.has_only_its_table().await;
    stage.recipe(|recipe| recipe.digest = "d2".into());
    stage.put("2-rows.sql.gz", files::gzip(b"INSERT INTO nowhere VALUES (1);"));
    let said = stage.load(FixtureFormat::Sql).await.said();
    assert!(
        said.starts_with("FixtureLoadFailed: The statement of line 1 of file fixtures/shop/2-rows.sql.gz of fixture shop failed: ")
            && said.contains("SQLSTATE 42"),
        "{said}"
    );
    stage.put("2-rows.sql.gz", files::gzip(b"\nDROP DATABASE shop;"));
    let said = stage.load(FixtureFormat::Sql).await.said();
    assert_eq!(said, "FixtureInvalid: File fixtures/shop/2-rows.sql.gz of fixture shop: the statement of line 2 is DROP DATABASE, which no dump may do");
}

async fn two_loaders_of_one_table_wait_for_each_other(mut db: Database) {
    let (one, other) = (Stage::new(&db).await, Stage::new(&db).await);
    for stage in [&one, &other] {
        stage.put("a.csv", csv(1..60_001));
    }
    let (first, second) = tokio::join!(one.load(FixtureFormat::Csv), other.load(FixtureFormat::Csv));
    let mut said = [first.said(), second.said()];
    said.sort();
    assert_eq!(said, ["Found 60000 rows", "Loaded 60000 rows"]);
    assert_eq!(db.count().await, 60_000);
    db.has_only_its_table().await;
}

async fn ten_thousand_files_are_loaded(mut db: Database) {
    let stage = Stage::new(&db).await;
    for file in 0..10_000 {
        stage.put(&format!("part {file:05} %20ü.csv"), format!("id\n{file}\n").into_bytes());
    }
    let ended = stage.load(FixtureFormat::Csv).await;
    assert_eq!(ended.said(), "Loaded 10000 rows");
    assert_eq!((ended.files, db.count().await), (10_000, 10_000));
}

async fn a_server_that_refuses_is_named(db: Database) {
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.plan(|plan| plan["spec"]["target"]["endpoint"] = "localhost:1".into());
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert!(said.starts_with("SutUnreachable: localhost:1 cannot be connected to: "), "{said}");
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.plan(|plan| plan["spec"]["target"]["database"] = "nowhere".into());
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert!(said.starts_with("SutDatabaseMissing: Database nowhere at localhost:"), "{said}");
    let stage = Stage::new(&db).await;
    stage.put("a.csv", csv(1..4));
    stage.password("wrong");
    let said = stage.load(FixtureFormat::Csv).await.said();
    assert!(said.starts_with("SutAuthenticationFailed: localhost:") && !said.contains("wrong"), "{said}");
}

async fn memory_does_not_grow_with_the_data(mut db: Database) {
    let stage = Stage::new(&db).await;
    let schema = "message m { required int64 id; required int64 price (DECIMAL(15,2)); required binary note (STRING); required int32 born (DATE); }";
    for part in 0..4_i64 {
        let ids: Vec<i64> = (part * 100_000..(part + 1) * 100_000).collect();
        let notes = ids.iter().map(|id| format!("{id:0>200}").into_bytes()).collect();
        let born = ids.iter().map(|id| i32::try_from(id % 20_000).unwrap()).collect();
        stage.put(
            &format!("{part}.parquet"),
            parquet(schema, vec![Values::Int64(ids.clone(), None), Values::Int64(ids, None), Values::Bytes(notes, None), Values::Int32(born, None)]),
        );
    }
    let ended = stage.load(FixtureFormat::Parquet).await;
    assert_eq!(ended.said(), "Loaded 400000 rows");
    println!("peak memory {} MiB, {} s", ended.peak_kib / 1024, ended.seconds);
    assert!(ended.peak_kib < 256 << 10, "peak memory was {} KiB", ended.peak_kib);
    assert_eq!(db.count().await, 400_000);
    let states: Vec<TableState> = ended.states.clone();
    assert!(states.contains(&TableState::Loading), "{states:?}");
}
