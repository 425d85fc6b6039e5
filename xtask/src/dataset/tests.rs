use std::collections::BTreeSet;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;

use super::*;

/// Every row of a table as texts.
fn rows(table: Table, scale: f64, parts: i32) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for part in 1..=parts {
        table
            .rows(scale, part, parts, &mut |fields| {
                assert_eq!(fields.len(), table.columns().len());
                rows.push(fields.iter().map(shown).collect());
                Ok(())
            })
            .unwrap();
    }
    rows
}

const fn of(factor: f64, rows_per_file: u32) -> Scale {
    Scale { factor, rows_per_file }
}

fn shown(field: &Field<'_>) -> String {
    match field {
        Field::Key(number) | Field::Money(number) => number.to_string(),
        Field::Whole(number) => number.to_string(),
        Field::Text(text) => text.to_string(),
        Field::Date(date) => date.to_string(),
    }
}

/// The values of some columns of every row.
fn values(table: Table, names: &[&str]) -> Vec<Vec<String>> {
    let at: Vec<usize> = names.iter().map(|name| table.columns().iter().position(|column| column.name == *name).unwrap()).collect();
    rows(table, 0.001, 1).into_iter().map(|row| at.iter().map(|at| row[*at].clone()).collect()).collect()
}

#[test]
fn every_key_is_there_once_and_every_reference_leads_to_one() {
    let keys: [(Table, &[&str], usize); 8] = [
        (Table::Region, &["r_regionkey"], 5),
        (Table::Nation, &["n_nationkey"], 25),
        (Table::Supplier, &["s_suppkey"], 10),
        (Table::Customer, &["c_custkey"], 150),
        (Table::Part, &["p_partkey"], 200),
        // Of 800, those that the formula gives the same supplier twice.
        (Table::Partsupp, &["ps_partkey", "ps_suppkey"], 700),
        (Table::Orders, &["o_orderkey"], 1500),
        (Table::Lineitem, &["l_orderkey", "l_linenumber"], 6005),
    ];
    for (table, names, count) in keys {
        let all = values(table, names);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), distinct.len()), (count, count), "{table:?}");
    }
    let references: [(Table, &[&str], Table, &[&str]); 8] = [
        (Table::Nation, &["n_regionkey"], Table::Region, &["r_regionkey"]),
        (Table::Supplier, &["s_nationkey"], Table::Nation, &["n_nationkey"]),
        (Table::Customer, &["c_nationkey"], Table::Nation, &["n_nationkey"]),
        (Table::Partsupp, &["ps_partkey"], Table::Part, &["p_partkey"]),
        (Table::Partsupp, &["ps_suppkey"], Table::Supplier, &["s_suppkey"]),
        (Table::Orders, &["o_custkey"], Table::Customer, &["c_custkey"]),
        (Table::Lineitem, &["l_orderkey"], Table::Orders, &["o_orderkey"]),
        (Table::Lineitem, &["l_partkey", "l_suppkey"], Table::Partsupp, &["ps_partkey", "ps_suppkey"]),
    ];
    for (table, names, to, keys) in references {
        let known: BTreeSet<_> = values(to, keys).into_iter().collect();
        let lost = values(table, names).into_iter().find(|value| !known.contains(value));
        assert_eq!(lost, None, "{table:?} {names:?} -> {to:?}");
    }
}

#[test]
fn the_same_scale_gives_the_same_rows_in_however_many_files() {
    for table in Table::value_variants() {
        let whole = rows(*table, 0.001, 1);
        assert_eq!(whole, rows(*table, 0.001, 1), "{table:?}");
        if !matches!(table, Table::Region | Table::Nation) {
            assert_eq!(whole, rows(*table, 0.001, 7), "{table:?}");
            assert_ne!(whole.len(), rows(*table, 0.002, 1).len(), "{table:?}");
        }
    }
}

#[test]
fn a_table_is_cut_by_its_rows_and_never_into_more_parts_than_it_has() {
    assert_eq!(Table::Lineitem.parts(of(1.0, 2_000_000)), 3);
    assert_eq!(Table::Lineitem.parts(of(0.01, 2_000_000)), 1);
    assert_eq!(Table::Region.parts(of(1000.0, 1)), 1);
    for table in [Table::Supplier, Table::Partsupp, Table::Lineitem] {
        let parts = table.parts(of(0.001, 1));
        let all: usize = rows(table, 0.001, parts).len();
        assert_eq!(all, rows(table, 0.001, 1).len(), "{table:?} in {parts} parts");
    }
}

#[test]
fn files_hold_what_the_rows_are() {
    let directory = tempfile::tempdir().unwrap();
    let written = write_below(directory.path(), Table::Orders, of(0.001, 400), Format::Parquet).unwrap();
    assert_eq!(written, 1500);
    let mut read = Vec::new();
    for part in 1..=4 {
        let file = directory.path().join(format!("fixtures/tpch-orders/part-{part:05}.parquet"));
        let reader = SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            read.push((
                row.get_long(0).unwrap(),
                row.get_string(2).unwrap().clone(),
                row.get_decimal(3).unwrap().data().to_vec(),
                row.get_column_iter().nth(4).unwrap().1.to_string(),
            ));
        }
    }
    assert_eq!(read.len(), 1500);
    // The first order of TPC-H at this scale, as dbgen prints it: 1|37|O|131251.81|1996-01-02|…
    assert_eq!((read[0].0, read[0].1.as_str(), read[0].2.as_slice(), read[0].3.as_str()), (1, "O", 13_125_181_i64.to_be_bytes().as_slice(), "1996-01-02"));

    // Another format and fewer files take the place of the first.
    write_below(directory.path(), Table::Orders, of(0.001, 1000), Format::Csv).unwrap();
    let place = directory.path().join("fixtures/tpch-orders");
    let mut names: Vec<_> = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["part-00001.csv", "part-00002.csv"]);
    let text = fs::read_to_string(place.join("part-00001.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("o_orderkey,o_custkey,o_orderstatus,o_totalprice,o_orderdate,o_orderpriority,o_clerk,o_shippriority,o_comment"));
    assert!(lines.next().unwrap().starts_with("1,37,O,131251.81,1996-01-02,5-LOW,Clerk#000000951,0,"));
    assert_eq!(text.lines().count(), 751);
}

#[test]
fn a_file_of_somebody_else_is_not_made_a_part_of_the_dataset() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("fixtures/tpch-region");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("mine.csv"), "a\n1\n").unwrap();
    let error = write_below(directory.path(), Table::Region, of(1.0, 10), Format::Csv).unwrap_err().to_string();
    assert!(error.contains("mine.csv was not written by this command"), "{error}");
    assert!(place.join("mine.csv").exists());
}

#[test]
fn a_scale_may_be_a_fraction_and_not_too_small_a_one() {
    assert_eq!(scale("0.001"), Ok(0.001));
    assert_eq!(scale("0.0001"), Err("a scale is from 0.001 to 10000".to_owned()));
    assert_eq!(scale("much"), Err("much is no number".to_owned()));
    assert!(scale("NaN").is_err());
}
