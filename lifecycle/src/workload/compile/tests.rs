use proptest::prelude::*;
use serde_json::json;

use super::{super::parse, *};

#[expect(clippy::needless_pass_by_value, reason = "tests hand in a literal")]
fn spec(fields: serde_json::Value) -> WorkloadSpec {
    let mut spec = json!({"source": {"inline": "x"}});
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

fn placed(workload: Workload) -> Placed {
    Placed { path: "spec.workload.source".to_owned(), workload }
}

fn compiled(text: &str, fields: serde_json::Value) -> Result<Vec<Query>, Vec<String>> {
    compiled_for(Engine::Mysql, "sql", text, fields)
}

fn compiled_for(engine: Engine, language: &str, text: &str, fields: serde_json::Value) -> Result<Vec<Query>, Vec<String>> {
    let workload = parse(&format!("-- @type: {language}\n{text}"), Some(engine)).unwrap();
    compile(&[placed(workload)], &spec(fields), engine).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// The statement of the only query, with the names bound to its placeholders, when `id` and `city` are declared.
fn bound(sql: &str) -> (String, Vec<String>) {
    let parameters = json!({"parameters": [{"name": "id", "range": [1, 9]}, {"name": "city", "values": ["Paris", "Taipei"]}]});
    let queries = compiled(&format!("-- @name: A\n{sql}"), parameters).unwrap();
    let names = queries[0].bindings.iter().map(|binding| match binding {
        Binding::IntRange { name, .. } | Binding::Choice { name, .. } => name.clone(),
    });
    (queries[0].sql.clone(), names.collect())
}

const THREE: &str = "-- @name: A\n-- @weight: 5\nSELECT 1\n-- @name: B\nSELECT 2\n-- @name: C\n-- @expect-rows: 1..10\nSELECT 3";

#[test]
fn without_a_mix_every_query_runs_with_its_own_weight() {
    let queries = compiled(THREE, json!({})).unwrap();
    let shape: Vec<_> = queries.iter().map(|query| (&*query.name.0, query.sql.as_str(), query.weight, query.expect_rows)).collect();
    assert_eq!(shape, [("A", "SELECT 1", 5, None), ("B", "SELECT 2", 1, None), ("C", "SELECT 3", 1, Some(RowBounds { min: Some(1), max: Some(10) }))]);
}

#[test]
fn with_a_mix_only_its_queries_run_in_the_order_of_the_workload() {
    let queries =
        compiled(THREE, json!({"mix": [{"query": "C", "weight": 2}, {"query": "A", "weight": 1}], "checks": [{"query": "C", "rows": {"min": 7}}]})).unwrap();
    let shape: Vec<_> = queries.iter().map(|query| (&*query.name.0, query.weight, query.expect_rows)).collect();
    assert_eq!(shape, [("A", 1, None), ("C", 2, Some(RowBounds { min: Some(7), max: None }))]);
}

#[test]
fn placeholders_are_replaced_in_code_only() {
    let cases = [
        ("SELECT * FROM t WHERE id = :id", "SELECT * FROM t WHERE id = ?", vec!["id"]),
        ("SELECT :id, :city, :id", "SELECT ?, ?, ?", vec!["id", "city", "id"]),
        ("WHERE id=:id AND(:city)", "WHERE id=? AND(?)", vec!["id", "city"]),
        ("SELECT ':id', \":id\", `:id` /* :id */ -- :id\n, :id", "SELECT ':id', \":id\", `:id` /* :id */ -- :id\n, ?", vec!["id"]),
        ("SELECT a::id, '12:30', 12:30, x:id", "SELECT a::id, '12:30', 12:30, x:id", vec![]),
        ("SELECT @row := @row + :id", "SELECT @row := @row + ?", vec!["id"]),
        ("SELECT '?', `?` FROM t WHERE a = :id", "SELECT '?', `?` FROM t WHERE a = ?", vec!["id"]),
        ("SELECT 'é', :id", "SELECT 'é', ?", vec!["id"]),
        ("SELECT 1", "SELECT 1", vec![]),
    ];
    for (sql, expected, names) in cases {
        assert_eq!(bound(sql), (expected.to_owned(), names.into_iter().map(str::to_owned).collect()), "{sql}");
    }
}

#[test]
fn each_engine_gets_its_own_placeholders() {
    let cases = [
        (Engine::Doris, "sql", "SELECT :id, ':id', :id", "SELECT ?, ':id', ?"),
        (Engine::Postgres, "sql", "SELECT :id::text, 'a\\', :id, tags ? 'x'", "SELECT $1::text, 'a\\', $2, tags ? 'x'"),
        (Engine::Postgres, "postgres", "SELECT $$ :id $1 $$, :id, a[1:2]", "SELECT $$ :id $1 $$, $1, a[1:2]"),
        (Engine::Trino, "trino", "SELECT a[1], :id, ':id', x -> x + :id", "SELECT a[1], ?, ':id', x -> x + ?"),
        (Engine::Trino, "sql", "SELECT \":id\", :id", "SELECT \":id\", ?"),
        (
            Engine::Cassandra,
            "cql",
            "UPDATE t SET m = {'a': :id, 'b':1}, s = $$ :id $$ WHERE k = :id // :id",
            "UPDATE t SET m = {'a': ?, 'b':1}, s = $$ :id $$ WHERE k = ?",
        ),
    ];
    for (engine, language, sql, expected) in cases {
        let queries = compiled_for(engine, language, &format!("-- @name: A\n{sql}"), json!({"parameters": [{"name": "id", "range": [1, 9]}]})).unwrap();
        assert_eq!(queries[0].sql, expected, "{engine:?} {sql}");
    }
}

#[test]
fn parameters_of_the_plan_stand_in_for_those_of_the_query() {
    let text = "-- @name: A\n-- @param: id int 1 5\n-- @param: city text Oslo\nSELECT :id, :city";
    let own = [Binding::IntRange { name: "id".into(), min: 1, max: 5 }, Binding::Choice { name: "city".into(), values: vec!["Oslo".into()] }];
    assert_eq!(compiled(text, json!({})).unwrap()[0].bindings, own);
    let plans = compiled(text, json!({"parameters": [{"name": "id", "range": [-1, 1]}, {"name": "unused", "values": ["x"]}]})).unwrap();
    assert_eq!(plans[0].bindings, [Binding::IntRange { name: "id".into(), min: -1, max: 1 }, own[1].clone()]);
}

#[test]
fn a_parameter_of_one_query_is_unknown_to_the_next() {
    let text = "-- @name: A\n-- @param: id int 1 5\nSELECT :id\n-- @name: B\nSELECT 1,\n  :id";
    assert_eq!(
        compiled(text, json!({})).unwrap_err(),
        [
            "spec.workload.source line 7: the query B uses :id, which is no parameter; declare it in spec.workload.parameters or with `-- @param: id int 1 100000`",
        ]
    );
}

#[test]
fn every_problem_is_told_at_once_with_its_path() {
    let problems = compiled(
        THREE,
        json!({
            "mix": [{"query": "A", "weight": 1}, {"query": "Missing", "weight": 1}, {"query": "b", "weight": 1}, {"query": "A", "weight": 2}],
            "checks": [{"query": "Nowhere", "rows": {"min": 1}}, {"query": "C", "rows": {"min": 1}}, {"query": "A", "rows": {"min": 1}}, {"query": "A", "rows": {"max": 1}}],
            "parameters": [{"name": "id", "range": [1, 2]}, {"name": "id", "range": [1, 2]}, {"name": "both", "range": [1, 2], "values": ["x"]}, {"name": "back", "range": [2, 1]}],
        }),
    );
    assert_eq!(
        problems.unwrap_err(),
        [
            "spec.workload.mix[1].query: the workload has no query Missing; it has A, B, C",
            "spec.workload.mix[2].query: the workload has no query b; did you mean B?",
            "spec.workload.mix[3].query: the query A is already in the mix",
            "spec.workload.checks[0].query: the workload has no query Nowhere; it has A, B, C",
            "spec.workload.checks[1].query: the query C does not run: it is not in the mix",
            "spec.workload.checks[3].query: the query A already has a check",
            "spec.workload.parameters[1].name: the parameter id is declared twice",
            "spec.workload.parameters[2]: a parameter needs either range, with a smallest and a largest number, or values",
            "spec.workload.parameters[3]: a parameter needs either range, with a smallest and a largest number, or values",
        ]
    );
}

#[test]
fn a_bare_question_mark_would_never_be_bound() {
    assert_eq!(
        compiled("-- @name: A\nSELECT *\nFROM t WHERE id = ?", json!({})).unwrap_err(),
        ["spec.workload.source line 4: the query A has a bare ? placeholder; write :name and declare the parameter",]
    );
}

#[test]
fn a_bare_placeholder_of_postgres_would_never_be_bound_either() {
    assert_eq!(
        compiled_for(Engine::Postgres, "postgres", "-- @name: A\nSELECT $1", json!({})).unwrap_err(),
        ["spec.workload.source line 3: the query A has a bare $1 placeholder; write :name and declare the parameter"]
    );
}

#[test]
fn a_workload_fits_the_engines_that_speak_its_language() {
    let cases = [
        ("sql", vec![Engine::Mysql, Engine::Doris, Engine::Postgres, Engine::Trino]),
        ("mysql", vec![Engine::Mysql, Engine::Doris]),
        ("doris", vec![Engine::Mysql, Engine::Doris]),
        ("mariadb", vec![Engine::Mysql, Engine::Doris]),
        ("postgresql", vec![Engine::Postgres]),
        ("postgres", vec![Engine::Postgres]),
        ("trino", vec![Engine::Trino]),
        ("cassandra", vec![Engine::Cassandra]),
        ("cql", vec![Engine::Cassandra]),
    ];
    for (language, engines) in cases {
        for engine in [Engine::Mysql, Engine::Doris, Engine::Postgres, Engine::Trino, Engine::Cassandra] {
            let compiled = compiled_for(engine, language, "-- @name: A\nSELECT 1", json!({}));
            assert_eq!(compiled.is_ok(), engines.contains(&engine), "{language} on {engine:?}: {compiled:?}");
        }
    }
}

#[test]
fn consistency_and_page_size_are_cassandras() {
    let text = "-- @name: A\n-- @consistency: local_one\n-- @page-size: 100\nSELECT a FROM t\n-- @name: B\nSELECT b FROM t";
    let queries = compiled_for(Engine::Cassandra, "cql", text, json!({})).unwrap();
    assert_eq!(
        serde_json::to_value(&queries[0]).unwrap(),
        json!({"name": "A", "sql": "SELECT a FROM t", "weight": 1, "bindings": [], "consistency": "LOCAL_ONE", "pageSize": 100})
    );
    assert_eq!(serde_json::to_value(&queries[1]).unwrap(), json!({"name": "B", "sql": "SELECT b FROM t", "weight": 1, "bindings": []}));
    assert_eq!(
        compiled_for(Engine::Trino, "sql", text, json!({})).unwrap_err(),
        ["spec.workload.source line 5: the query A has @consistency or @page-size, which only the engine cassandra knows"]
    );
}

#[test]
fn a_workload_for_another_engine_is_refused() {
    let workload = parse("-- @type: cql\n-- @name: A\nSELECT 1", None).unwrap();
    let problems = compile(&[placed(workload)], &spec(json!({})), Engine::Mysql).unwrap_err();
    assert_eq!(problems[0].to_string(), "spec.workload.source line 1: the workload is of the type cql, which the engine mysql does not speak");
}

#[test]
fn no_more_than_twenty_problems_are_told() {
    let mix: Vec<_> = (0..100).map(|index| json!({"query": format!("M{index}"), "weight": 1})).collect();
    assert_eq!(compiled(THREE, json!({ "mix": mix })).unwrap_err().len(), 20);
}

proptest! {
    #[test]
    fn there_is_a_binding_for_every_placeholder(sql in r#"SELECT [-:?,'"`a-d=;/* \n]{0,40}"#) {
        let Ok(workload) = parse(&format!("-- @type: sql\n-- @name: A\n{sql}"), None) else { return Ok(()) };
        let spec = spec(json!({"parameters": [{"name": "a", "range": [1, 9]}, {"name": "b", "values": ["x"]}]}));
        if let Ok(queries) = compile(&[placed(workload)], &spec, Engine::Mysql) {
            let tokens = lexer::tokens(&queries[0].sql, dialect(None, Some(Engine::Mysql))).unwrap();
            let placeholders = tokens.iter().filter(|token| token.kind == Kind::Symbol('?')).count();
            prop_assert_eq!(placeholders, queries[0].bindings.len());
        }
    }
}
