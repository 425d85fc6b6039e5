use proptest::prelude::*;

use super::*;
use crate::{contract::RowBounds, workload::Values};

const SHOP: &str = "\
-- @type: sql

-- The basket of a customer.
-- @name: PointLookup
-- @weight: 3
-- @param: id int 1 100000
-- @expect-rows: 1
SELECT *
FROM orders -- by key
WHERE id = :id;

-- @name: ByCity
-- @param: city text Paris|Taipei
SELECT ';', \"-- @name: NotOne\", '
-- @name: NeitherThis
' FROM `odd;name` /* ; 
-- @name: NorThis
*/ WHERE city = :city ;
";

fn refused(text: &str) -> Vec<(u32, ErrorKind)> {
    parse(text, None).unwrap_err().into_iter().map(|error| (error.line, error.kind)).collect()
}

/// A file with one block of this body, which begins on line 3.
fn body(body: &str) -> String {
    format!("-- @type: sql\n-- @name: A\n{body}")
}

#[test]
fn a_file_is_read_into_its_queries() {
    let workload = parse(SHOP, None).unwrap();
    assert_eq!(workload.language, Some(Language::Sql));
    assert_eq!(
        workload.queries,
        [
            ParsedQuery {
                name: "PointLookup".into(),
                line: 8,
                sql: "SELECT *\nFROM orders -- by key\nWHERE id = :id".into(),
                weight: Some(3),
                parameters: vec![("id".into(), Values::Range { min: 1, max: 100_000 })],
                expect_rows: Some(RowBounds { min: Some(1), max: Some(1) }),
                cql: CqlOptions::default(),
            },
            ParsedQuery {
                name: "ByCity".into(),
                line: 14,
                sql: "SELECT ';', \"-- @name: NotOne\", '\n-- @name: NeitherThis\n' FROM `odd;name` /* ; \n-- @name: NorThis\n*/ WHERE city = :city".into(),
                weight: None,
                parameters: vec![("city".into(), Values::Choice(vec!["Paris".into(), "Taipei".into()]))],
                expect_rows: None,
                cql: CqlOptions::default(),
            },
        ]
    );
}

#[test]
fn line_ends_tabs_and_marks_make_no_difference() {
    let plain = parse(SHOP, None).unwrap();
    for text in [
        SHOP.replace('\n', "\r\n"),
        SHOP.replace('\n', "\r"),
        format!("\u{feff}{SHOP}"),
        format!("\n \t\n{SHOP}").replace("-- @", "\t-- @"),
        SHOP.trim_end().to_owned(),
        SHOP.replace("-- @", "--\t@"),
        SHOP.replace("-- @", "--@"),
        format!("\u{c}{SHOP}\u{c}"),
    ] {
        let parsed = parse(&text, None).unwrap();
        let sql = |workload: &Workload| workload.queries.iter().map(|query| (query.name.clone(), query.weight, query.expect_rows)).collect::<Vec<_>>();
        assert_eq!(sql(&parsed), sql(&plain), "{text:?}");
        assert_eq!(parsed.queries[0].sql, plain.queries[0].sql, "{text:?}");
    }
}

#[test]
fn the_first_line_says_what_the_file_is_written_in() {
    for (word, language) in
        [("sql", Language::Sql), ("MySQL", Language::Mysql), ("cql", Language::Cql), ("postgres", Language::Postgres), ("trino", Language::Trino)]
    {
        assert_eq!(parse(&format!("-- @type: {word}\n-- @name: A\nSELECT 1"), None).unwrap().language, Some(language), "{word}");
    }
    assert_eq!(refused("-- @name: A\nSELECT 1"), [(1, ErrorKind::TypeMissing)]);
    assert_eq!(refused("\n\n-- hello\n-- @type: sql\n-- @name: A\nSELECT 1"), [(3, ErrorKind::TypeMissing), (4, ErrorKind::TypeMisplaced)]);
    assert_eq!(refused("-- @type:\n-- @name: A\nSELECT 1"), [(1, ErrorKind::TypeUnknown)]);
    assert_eq!(refused("\n-- @type: graphql\n-- @name: A\nSELECT 1"), [(2, ErrorKind::TypeUnknown)]);
    assert_eq!(refused("-- @type: sql\n-- @type: sql\n-- @name: A\nSELECT 1"), [(2, ErrorKind::TypeMisplaced)]);
}

#[test]
fn the_plans_engine_stands_in_for_a_missing_first_line() {
    let workload = parse("-- an older file\n-- @name: A\nSELECT 1", Some(Engine::Mysql)).unwrap();
    assert_eq!((workload.language, workload.queries.len()), (None, 1));
    let workload = parse("-- @name: A\nSELECT 'a\\', $$ ; $$", Some(Engine::Postgres)).unwrap();
    assert_eq!(workload.queries[0].sql, "SELECT 'a\\', $$ ; $$");
}

#[test]
fn every_mistake_is_told_with_its_line_and_kind() {
    let cases: Vec<(String, Vec<(u32, ErrorKind)>)> = vec![
        (String::new(), vec![(1, ErrorKind::TypeMissing), (1, ErrorKind::NoQueries)]),
        ("-- only\n-- comments\n".into(), vec![(1, ErrorKind::TypeMissing), (3, ErrorKind::NoQueries)]),
        ("-- @type: sql\n".into(), vec![(2, ErrorKind::NoQueries)]),
        ("-- @type: sql\nSELECT 1;\nSELECT 2;\n-- @name: A\nSELECT 1".into(), vec![(2, ErrorKind::CodeOutsideBlock)]),
        ("-- @type: sql\n-- @weight: 3\n-- @name: A\nSELECT 1".into(), vec![(2, ErrorKind::AnnotationMisplaced)]),
        (body(""), vec![(2, ErrorKind::BodyEmpty)]),
        (body(";"), vec![(2, ErrorKind::BodyEmpty)]),
        (body("-- nothing\n/* at all */\n;;"), vec![(2, ErrorKind::BodyEmpty)]),
        (body("SELECT 1;\nSELECT 2"), vec![(4, ErrorKind::SeveralStatements)]),
        (body("SELECT 1; -- fine\n;"), vec![]),
        (body("DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END //"), vec![(3, ErrorKind::SeveralStatements)]),
        (body("CREATE PROCEDURE p() BEGIN\nSELECT 1;\nEND"), vec![(5, ErrorKind::SeveralStatements)]),
        (body("SELECT 1\n-- @todo: faster"), vec![(4, ErrorKind::AnnotationUnknown)]),
        (body("SELECT 1 -- @weight: 3"), vec![(3, ErrorKind::AnnotationMisplaced)]),
        (body("SELECT 1 -- @bob wrote this"), vec![]),
        (body("-- @weight: x\nSELECT 1"), vec![(3, ErrorKind::AnnotationMalformed)]),
        (body("-- @weight: 1\n-- @weight: 2\nSELECT 1"), vec![(4, ErrorKind::AnnotationRepeated)]),
        (body("-- @param: a int 1 2\n-- @param: a int 1 2\nSELECT 1"), vec![(4, ErrorKind::AnnotationRepeated)]),
        (body("-- @expect-rows: 1\n-- @expect-rows: 1\nSELECT 1"), vec![(4, ErrorKind::AnnotationRepeated)]),
        (body("SELECT 1\n-- @name: a\nSELECT 2"), vec![(4, ErrorKind::NameRepeated)]),
        (body("SELECT 1\n-- @name: 1abc\nSELECT 2"), vec![(4, ErrorKind::NameInvalid)]),
        (body("SELECT 1\n-- @name: a b\nSELECT 2"), vec![(4, ErrorKind::NameInvalid)]),
        (body("SELECT 1\n-- @name:\nSELECT 2"), vec![(4, ErrorKind::NameInvalid)]),
        (body(&format!("SELECT 1\n-- @name: {}\nSELECT 2", "x".repeat(300))), vec![(4, ErrorKind::NameInvalid)]),
        (body("SELECT 'it\n-- @name: B\nSELECT 1"), vec![(3, ErrorKind::Unterminated)]),
        (body("SELECT 1 /*\n-- @name: B"), vec![(3, ErrorKind::Unterminated)]),
        (body("SELECT 1 FROM t\nINTO OUTFILE '/tmp/x'"), vec![(4, ErrorKind::Destructive)]),
        (body("DROP DATABASE shop"), vec![(3, ErrorKind::Destructive)]),
        (body("SHUTDOWN;"), vec![(3, ErrorKind::Destructive)]),
        (body("LOAD DATA INFILE '/etc/passwd' INTO TABLE t"), vec![(3, ErrorKind::Destructive)]),
    ];
    for (text, errors) in cases {
        let found = parse(&text, None).map_or_else(|errors| errors.into_iter().map(|error| (error.line, error.kind)).collect(), |_| Vec::new());
        assert_eq!(found, errors, "{text}");
    }
}

#[test]
fn messages_say_what_would_be_right() {
    let messages = |text: &str| parse(text, None).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        messages("-- @type: sq\n-- @name: A\nSELECT 1"),
        ["line 1: \"sq\" is not a type; known are sql, mysql, mariadb, doris, postgres, postgresql, trino, cql, cassandra"]
    );
    assert_eq!(messages(&body("SELECT 1\n-- @name: a\nSELECT 2")), ["line 4: the name a is taken by A on line 2; upper and lower case make no difference"]);
    assert_eq!(
        messages(&body("SELECT 1; SELECT 2")),
        ["line 3: a second statement begins here; write one statement in each block, stored procedures as one CALL"]
    );
    assert_eq!(messages(&body("DROP DATABASE x")), ["line 3: DROP DATABASE is refused in a load test: it reaches beyond the rows of the target database"]);
}

#[test]
fn text_is_data_and_never_a_template() {
    for sql in ["SELECT '${__ENV.DB_PASS}'", "SELECT '</script>', '{{x}}', '*/'", "SELECT '\0', '`'", "SELECT 'ünï©ødé 🦀'"] {
        assert_eq!(parse(&body(sql), None).unwrap().queries[0].sql, sql);
    }
}

#[test]
fn limits_hold_before_and_after_reading() {
    let many = |count: usize| (0..count).fold("-- @type: sql\n".to_owned(), |text, index| format!("{text}-- @name: Q{index}\nSELECT {index}\n"));
    assert_eq!(parse(&many(256), None).unwrap().queries.len(), 256);
    assert_eq!(refused(&many(257)), [(514, ErrorKind::TooManyQueries)]);
    let long = |bytes: usize| format!("{}{}", body("SELECT 1 "), " ".repeat(bytes - body("SELECT 1 ").len()));
    assert!(parse(&long(1 << 20), None).is_ok());
    assert_eq!(refused(&long((1 << 20) + 1)), [(1, ErrorKind::TooLarge)]);
    let errors = parse(&format!("-- @type: sql\n{}", "-- @nonsense\n".repeat(5000)), None).unwrap_err();
    assert_eq!(errors.len(), 20);
}

#[test]
fn the_longest_files_are_read_in_passing() {
    for piece in ["-", "--@", "?", ":x ", "/* */", "'a'", "$", "-- @weight: 1\n", "a\n"] {
        let text = body(&piece.repeat((1 << 18) / piece.len()));
        let Ok(workload) = parse(&text, None) else { continue };
        let spec = serde_json::from_value(serde_json::json!({"source": {"inline": "x"}})).unwrap();
        let _ = crate::workload::compile(&[crate::workload::Placed { path: String::new(), workload }], &spec, Engine::Mysql);
    }
    let text = body(&format!("SELECT 1{}", "\n".repeat(1_000_000)));
    assert_eq!(parse(&text, None).unwrap().queries[0].sql, "SELECT 1");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,200}", likely in r#"(-- @type: (sql|mysql|postgres|cql)\n)?((-- @(name|weight|param|expect-rows|type): [A-Za-z0-9_ .|-]{0,12}|[-;:'"`$#/*a-zé\\ ]{0,12})(\n|\r|\r\n)){0,12}"#) {
        for text in [text, likely] {
            for engine in [None, Some(Engine::Mysql), Some(Engine::Postgres)] {
                match parse(&text, engine) {
                    Ok(workload) => prop_assert!(workload.queries.iter().all(|query| !query.sql.trim().is_empty() && !query.sql.ends_with(';'))),
                    Err(errors) => {
                        let lines = text.replace("\r\n", "\n").matches(['\n', '\r']).count() + 1;
                        prop_assert!(!errors.is_empty() && errors.len() <= 20);
                        prop_assert!(errors.iter().all(|error| (1..=lines).contains(&(error.line as usize)) && !error.message.ends_with('.')), "{:?} {:?}", errors, text);
                    }
                }
            }
        }
    }
}
