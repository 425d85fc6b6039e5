//! The text of a drafted plan. Every value that somebody else gave is quoted, so that none can become structure.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{DraftTestPlan, Fault, Profile};
use crate::failure::Failure;

/// A drafted plan.
pub struct Written {
    /// The plan.
    pub plan_yaml: String,
    /// The `cluster_spec` that belongs to it.
    pub cluster_spec: Value,
    /// What was assumed.
    pub assumptions: Vec<String>,
}

/// Users, ramp and time under load of a profile.
const fn usual(profile: Profile) -> (u32, &'static str, &'static str) {
    match profile {
        Profile::Smoke => (2, "5s", "30s"),
        Profile::Load => (16, "30s", "5m"),
        Profile::Stress => (128, "2m", "10m"),
        Profile::Soak => (16, "1m", "2h"),
        Profile::Resilience => (16, "30s", "6m"),
    }
}

/// Writes the plan.
pub fn write(draft: &DraftTestPlan) -> Result<Written, Failure> {
    check(draft)?;
    let mut assumptions = Vec::new();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(draft, &mut text, &mut assumptions);
    let _ = write_load(draft, &mut text, &mut assumptions);
    if let Some(fault) = &draft.fault {
        let _ = write_fault(fault, &mut text, &mut assumptions);
    }
    let mut cluster_spec = json!({"type": draft.sut_type.as_str()});
    if draft.load_generators > 1 {
        cluster_spec["backend_node"] = json!({"replica": draft.load_generators});
    }
    Ok(Written { plan_yaml: text, cluster_spec, assumptions })
}

fn check(draft: &DraftTestPlan) -> Result<(), Failure> {
    if draft.workload_ids.is_empty() {
        return Err(Failure::argument("workload_ids", "must name at least one workload; list_workloads says which are there"));
    }
    if draft.profile == Profile::Resilience && draft.fault.is_none() {
        return Err(Failure::argument("fault", "is needed for the profile resilience: at least the namespace and the labels of the pods to hit"));
    }
    if draft.fault.as_ref().is_some_and(|fault| fault.selector.is_empty()) {
        return Err(Failure::argument("fault.selector", "must have at least one label: a fault that hits every pod is refused"));
    }
    if draft.concurrency == Some(0) {
        return Err(Failure::argument("concurrency", "must be above 0"));
    }
    if draft.load_generators == 0 {
        return Err(Failure::argument("load_generators", "must be above 0"));
    }
    Ok(())
}

fn write_head(draft: &DraftTestPlan, text: &mut String, assumptions: &mut Vec<String>) -> std::fmt::Result {
    let goal: String =
        draft.goal.as_str().chars().map(|letter| if letter.is_control() || letter == '\u{2028}' || letter == '\u{2029}' { ' ' } else { letter }).collect();
    writeln!(text, "# Goal: {goal}")?;
    if !draft.run_label.as_str().is_empty() {
        writeln!(text, "test_metadata: {{run_label: {}}}", quoted(draft.run_label.as_str()))?;
    }
    writeln!(text, "test_environment:\n  env_type: long-lived\n  target_db: {}", quoted(draft.target_db.as_str()))?;
    writeln!(text, "  component_spec:\n    type: {}\n    cluster_info:", quoted(draft.sut_type.as_str()))?;
    let password = draft.password.as_ref().map_or("", |password| password.as_str());
    writeln!(text, "      host: {}\n      username: {}\n      password: {}", quoted(draft.host.as_str()), quoted(draft.username.as_str()), quoted(password))?;
    assumptions.push("The database is there already (env_type long-lived).".to_owned());
    if draft.password.is_none() {
        assumptions.push("The password is empty; fill it in before submitting.".to_owned());
    }
    if !draft.fixtures.is_empty() {
        writeln!(text, "  fixtures:")?;
        for fixture in &draft.fixtures {
            writeln!(text, "    - {{fixture_id: {}, table: {}}}", quoted(fixture.fixture_id.as_str()), quoted(fixture.table.as_str()))?;
        }
    }
    Ok(())
}

fn write_load(draft: &DraftTestPlan, text: &mut String, assumptions: &mut Vec<String>) -> std::fmt::Result {
    let (users, ramp, hold) = usual(draft.profile);
    let mut chosen = Vec::new();
    let mut given = |name: &str, given: Option<&str>, usual: &str| {
        given.map_or_else(
            || {
                chosen.push(format!("{name} {usual}"));
                usual.to_owned()
            },
            str::to_owned,
        )
    };
    let concurrency = given("concurrency", draft.concurrency.map(|users| users.to_string()).as_deref(), &users.to_string());
    let ramp_up = given("ramp_up", draft.ramp_up.as_ref().map(super::Text::as_str), ramp);
    let hold_for = given("hold_for", draft.hold_for.as_ref().map(super::Text::as_str), hold);
    if !chosen.is_empty() {
        assumptions.push(format!("{}: usual for this kind of test.", chosen.join(", ")));
    }
    let mode = if draft.load_generators > 1 { "inter_node" } else { "intra_node" };
    writeln!(text, "execution:\n  executor: k6\n  scaling_mode: {mode}\n  concurrency: {concurrency}")?;
    writeln!(text, "  ramp_up: {}\n  hold_for: {}\n  workload:", quoted(&ramp_up), quoted(&hold_for))?;
    for id in &draft.workload_ids {
        writeln!(text, "    - {{workload_id: {}}}", quoted(id.as_str()))?;
    }
    // A fault is expected to make queries fail: what is to be seen is how it ends.
    let threshold = if draft.fault.is_some() { "1" } else { "0.5" };
    writeln!(text, "  failure_detection: {{enabled: {}, error_rate_threshold: {threshold}, abort_delay: 10s}}", draft.fault.is_none())?;
    assumptions.push(match &draft.fault {
        Some(_) => "Failure detection is off: errors are expected while the fault lasts.".to_owned(),
        None => "The run ends early when half of all queries fail.".to_owned(),
    });
    Ok(())
}

fn write_fault(fault: &Fault, text: &mut String, assumptions: &mut Vec<String>) -> std::fmt::Result {
    let parameters = fault.parameters.clone().map_or_else(|| json!({"action": "pod-kill"}), Value::Object);
    let start_after = fault.start_after.as_ref().map_or("2m", |time| time.as_str());
    let duration = fault.duration.as_ref().map_or("1m", |time| time.as_str());
    writeln!(text, "chaos_spec:\n  engine: chaos-mesh\n  experiments:\n    - name: fault\n      fault_type: {}", quoted(fault.fault_type.as_str()))?;
    // JSON is YAML in one line.
    writeln!(text, "      target: {{env_type: k8s, namespace: {}, selector: {}}}", quoted(fault.namespace.as_str()), json!(fault.selector))?;
    writeln!(text, "      parameters: {parameters}\n      schedule: {{start_after: {}, duration: {}}}", quoted(start_after), quoted(duration))?;
    assumptions.push(format!("The fault ({} with {parameters}) begins {start_after} after the start of the load and lasts {duration}.", fault.fault_type));
    Ok(())
}

/// A text as a scalar of YAML: in double quotes, as JSON has them.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn draft(more: &Value) -> DraftTestPlan {
        let mut facts = json!({
            "goal": "Does checkout survive\nthe loss of a pod?", "sut_type": "mysql", "host": "mariadb.sut.svc:3306", "target_db": "shop", "username": "loadtest",
            "workload_ids": ["shop-queries"],
        });
        facts.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        serde_json::from_value(facts).unwrap()
    }

    #[test]
    fn a_few_facts_make_a_whole_plan() {
        let written = write(&draft(
            &json!({"load_generators": 2, "concurrency": 40, "fault": {"namespace": "sut", "selector": {"app": "mariadb"}}, "profile": "resilience"}),
        ))
        .unwrap();
        expect![[r#"
            # Goal: Does checkout survive the loss of a pod?
            test_environment:
              env_type: long-lived
              target_db: "shop"
              component_spec:
                type: "mysql"
                cluster_info:
                  host: "mariadb.sut.svc:3306"
                  username: "loadtest"
                  password: ""
            execution:
              executor: k6
              scaling_mode: inter_node
              concurrency: 40
              ramp_up: "30s"
              hold_for: "6m"
              workload:
                - {workload_id: "shop-queries"}
              failure_detection: {enabled: false, error_rate_threshold: 1, abort_delay: 10s}
            chaos_spec:
              engine: chaos-mesh
              experiments:
                - name: fault
                  fault_type: "podchaos"
                  target: {env_type: k8s, namespace: "sut", selector: {"app":"mariadb"}}
                  parameters: {"action":"pod-kill"}
                  schedule: {start_after: "2m", duration: "1m"}
        "#]]
        .assert_eq(&written.plan_yaml);
        assert_eq!(written.cluster_spec, json!({"type": "mysql", "backend_node": {"replica": 2}}));
        assert_eq!(written.assumptions[2], "ramp_up 30s, hold_for 6m: usual for this kind of test.");
    }

    #[test]
    fn a_value_cannot_become_structure() {
        let written = write(&draft(&json!({"target_db": "a\"\nexecution: {executor: evil}", "goal": "x\nchaos_spec: {}"}))).unwrap();
        assert!(written.plan_yaml.contains(r#"target_db: "a\"\nexecution: {executor: evil}""#), "{}", written.plan_yaml);
        assert_eq!(written.plan_yaml.lines().filter(|line| line.starts_with("chaos_spec")).count(), 0);
    }

    #[test]
    fn resilience_needs_to_know_what_to_hit() {
        let path = |more: Value| match write(&draft(&more)).err().unwrap() {
            Failure::Argument(problem) => problem.path,
            other => panic!("{other}"),
        };
        assert_eq!(path(json!({"profile": "resilience"})), "fault");
        assert_eq!(path(json!({"fault": {"namespace": "sut", "selector": {}}})), "fault.selector");
        assert_eq!(path(json!({"workload_ids": []})), "workload_ids");
    }
}
