use crucible_crds::TestPlanSpec;
use serde_json::{Value, json};

use crate::{
    contract::Binding,
    plan::{
        resolve, sut_identity, suts,
        tests::{FAULT, plan},
    },
};

/// A query with a parameter of the plan and one of its own, and one without any.
const WORKLOAD: &str = "-- @type: sql
-- @name: PointLookup
SELECT * FROM t WHERE id = :id AND kind = :kind
-- @param: kind int 1 3

-- @name: CountAll
SELECT COUNT(*) FROM t
";

#[test]
fn arms_are_two_variants_that_can_be_compared() {
    let resolved = |arms: Value, fields: Value| {
        let mut plan = plan();
        plan["compare"] = json!({"arms": arms});
        plan["workload"]["parameters"] = json!([{"name": "id", "range": [1, 100]}]);
        for (pointer, value) in fields.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            plan.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        resolve(&serde_json::from_value(plan).unwrap(), &[WORKLOAD]).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    let two = || json!([{"name": "now"}, {"name": "next", "endpoint": "next.sut.svc", "database": "shop2", "parameters": [{"name": "id", "values": ["7"]}]}]);
    let good = resolved(two(), json!({})).unwrap();
    let range = |name: &str, min, max| Binding::IntRange { name: name.to_owned(), min, max };
    let [now, next] = &good.arms[..] else { panic!("{:?}", good.arms) };
    assert_eq!((&*now.name.0, &now.bindings), ("now", &vec![vec![range("id", 1, 100), range("kind", 1, 3)], vec![]]));
    assert_eq!(now.bindings, good.queries.iter().map(|query| query.bindings.clone()).collect::<Vec<_>>(), "as the plan itself");
    let own = Binding::Choice { name: "id".to_owned(), values: vec!["7".to_owned()] };
    assert_eq!(next.bindings, [vec![own, range("kind", 1, 3)], vec![]]);
    assert_eq!((&*next.target.endpoint.0, &*next.target.database.0, &next.target.credentials_ref), ("next.sut.svc", "shop2", &now.target.credentials_ref));
    assert!(resolved(json!([{"name": "a"}, {"name": "b"}]), json!({})).is_ok(), "a run may show how far its answer can be trusted");

    let elsewhere = json!([{"name": "now"}, {"name": "next", "database": "shop2"}]);
    let fault: Value = serde_json::from_str(FAULT).unwrap();
    let search = json!({"from": 100, "to": 200});
    let open = json!({"/load/model": "open", "/load/maxVus": 16, "/load/findMax": search, "/load/stages": [{"name": "steady", "duration": "60s", "rate": 10, "measured": false}]});
    let parameters = |parameters: Value| json!([{"name": "now"}, {"name": "next", "parameters": parameters}]);
    let cases = [
        (json!([{"name": "now"}]), json!({}), "spec.compare.arms: there must be exactly 2 arms, not 1"),
        (json!([{"name": "now"}, {"name": "now"}]), json!({}), "spec.compare.arms[1].name: both arms are called now; they must have different names"),
        (two(), json!({"/compare/baseline": {"run": "x"}}), "spec.compare.baseline: arms are compared with each other: they go without baseline"),
        (two(), json!({"/compare/mayDiffer": ["tls"]}), "spec.compare.mayDiffer: arms are compared with each other: they go without mayDiffer"),
        (two(), open, "spec.load.findMax: arms go without findMax: a search is not repeated"),
        (two(), json!({"/faults": [fault]}), "spec.faults: arms go without faults: a fault would hit one of them alone"),
        (
            elsewhere.clone(),
            json!({"/fixtures": [{"ref": "shop", "table": "t"}]}),
            "spec.fixtures: fixtures are loaded into target alone: arms with another endpoint or database go without them",
        ),
        (
            elsewhere,
            json!({"/workload/invariants": [{"name": "i", "sql": "SELECT 1", "expect": "1"}]}),
            "spec.workload.invariants: invariants are asked of target alone: arms with another endpoint or database go without them",
        ),
        (
            json!([{"name": "now"}, {"name": "next", "endpoint": "db:99999"}]),
            json!({}),
            "spec.compare.arms[1].endpoint: the port must be a whole number from 1 to 65535",
        ),
        (
            parameters(json!([{"name": "city", "values": ["Rome"]}])),
            json!({}),
            "spec.compare.arms[1].parameters[0].name: no query has a placeholder :city; they have id, kind",
        ),
        (
            parameters(json!([{"name": "id", "range": [9, 1]}])),
            json!({}),
            "spec.compare.arms[1].parameters[0]: a parameter needs either range, with a smallest and a largest number, or values",
        ),
        (
            two(),
            json!({"/load/repeat": 20, "/load/stages/1/duration": "35m51s"}),
            "spec.load.repeat: the stages last 86440s together in 40 rounds of both arms; at most 24h are possible",
        ),
    ];
    for (arms, fields, expected) in cases {
        let said = resolved(arms, fields).unwrap_err();
        assert!(said.split("; ").any(|problem| problem.starts_with(expected) || problem == expected) || said.starts_with(expected), "{expected}\n{said}");
    }
}

#[test]
fn a_plan_loads_the_systems_that_its_arms_are_at_in_one_order() {
    let loaded = |target: &str, arms: Value| {
        let mut plan = plan();
        plan["target"]["endpoint"] = json!(target);
        plan["compare"] = json!({"arms": arms});
        suts(&serde_json::from_value(plan).unwrap())
    };
    let both = ("mysql/a.sut.svc:3306".to_owned(), Some("mysql/b.sut.svc:3306".to_owned()));
    assert_eq!(loaded("a.sut.svc", json!([{"name": "now"}, {"name": "next", "endpoint": "b.sut.svc"}])), both);
    assert_eq!(loaded("b.sut.svc", json!([{"name": "now"}, {"name": "next", "endpoint": "a.sut.svc"}])), both);
    assert_eq!(loaded("c.sut.svc", json!([{"name": "now", "endpoint": "b.sut.svc"}, {"name": "next", "endpoint": "a.sut.svc:3306"}])), both);
    let one = ("mysql/a.sut.svc:3306".to_owned(), None);
    assert_eq!(loaded("a.sut.svc", json!([{"name": "now"}, {"name": "next", "database": "shop2"}])), one);
    let plain: TestPlanSpec = serde_json::from_value(plan()).unwrap();
    assert_eq!(suts(&plain), (sut_identity(&plain.target), None));
}
