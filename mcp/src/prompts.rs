//! Ways of working that a user can start by name.

use std::fmt::Write;

use rmcp::{
    ErrorData,
    model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role},
};
use serde_json::Value;

use crate::failure::cut;

/// The longest value of an argument.
const LONGEST_VALUE: usize = 2000;

/// A way of working.
struct Way {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    /// Name, what it is, whether it is needed.
    arguments: &'static [(&'static str, &'static str, bool)],
    steps: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        name: "load_test",
        title: "Load-test a database",
        about: "Plan, run and explain a load test of a database.",
        arguments: &[
            ("goal", "What to find out, for example: does p99 stay below 20 ms with 64 users?", true),
            ("sut_type", "The engine, for example mysql", false),
            ("host", "name:port of the database as reached from inside the cluster", false),
            ("target_db", "The database that the queries run in", false),
            ("workload_id", "A stored workload", false),
        ],
        steps: "Find out whether this database does what the goal asks for, with a load test.\n\n\
                1. Read what is there: list_supported_suts, list_workloads, get_db_inventory. Ask me for whatever is missing: host, database, user, password, and the queries if no \
                workload fits (upload_workload_sql describes the format).\n\
                2. draft_test_plan with the goal. Go through its assumptions with me, above all host, database and number of users. Do not submit before I agree: it puts real load on a \
                real database.\n\
                3. A smoke run first (profile smoke): submit_test_run, wait_for_run, explain_run. Mend what fails.\n\
                4. The test itself: submit_test_run, wait_for_run, explain_run. Where the database suffers beyond what I agreed to: emergency_stop.\n\
                5. Answer the goal in the first sentence: yes, no or cannot be said, with the verdict and at most five figures (p95, p99, queries per second, error rate), each quoted \
                from a tool. Then say what limits the answer, and what to test next.",
    },
    Way {
        name: "resilience_test",
        title: "Test how a database survives a fault",
        about: "Run a load, inject a fault meanwhile, and say whether and how fast the database recovers.",
        arguments: &[
            ("goal", "What to find out, for example: does checkout survive the loss of a database pod?", true),
            ("namespace", "The namespace of the pods to hit", false),
            ("selector", "Labels of the pods to hit, for example app=mariadb", false),
            ("fault", "The fault, for example pod-kill or a network partition", false),
            ("plan_name", "A stored plan that is known to pass without a fault", false),
        ],
        steps: "Find out whether this database survives a fault under load, and how fast it recovers.\n\n\
                1. Agree with me on namespace, labels and fault before anything else, and name the pods' owner: a fault does real harm. Never widen the target on your own.\n\
                2. A run without the fault first, as the baseline (trigger_run_by_plan, or draft_test_plan with profile load): it must be COMPLETED and Passed, otherwise stop here.\n\
                3. The same plan with the fault: draft_test_plan with profile resilience, or add chaos_spec to the plan from get_test_plan (validate_test_plan describes it). Leave at \
                least two minutes of load before and after the fault.\n\
                4. submit_test_run, wait_for_run, explain_run, then get_test_results with include_series: chaos.events has when the fault really began and ended, crucible.timeline the \
                errors and latencies over time.\n\
                5. Answer the goal in the first sentence. Then: was the fault confirmed (status injected, then recovered; otherwise the run says nothing), time to the first error, the \
                longest time without success, time until throughput and p99 were back at the baseline, and errors by class. Quote figures, estimate none.",
    },
    Way {
        name: "find_regression",
        title: "Find out whether a database became slower",
        about: "Compare runs of one plan and say whether, where and how much it became slower.",
        arguments: &[
            ("plan_name", "The plan whose runs to compare", true),
            ("baseline", "The run_id or label to compare with; the last run that passed when absent", false),
            ("candidate", "The run_id or label in question; the newest run when absent", false),
        ],
        steps: "Find out whether the database became slower between two runs of this plan.\n\n\
                1. list_test_runs to find both runs: same plan, status COMPLETED. explain_run on each: a verdict of Invalid, Aborted or HarnessError rules a run out.\n\
                2. compare_runs(a = baseline, b = candidate). Read cautions first: another plan, load or target makes the comparison worthless, and I want to hear that.\n\
                3. One pair of runs shows little below 10 % (p99: 20 %). Where the difference is small, offer to repeat both runs (trigger_run_by_plan), alternating, at least three \
                times each, and judge by whether every candidate run is worse than every baseline run.\n\
                4. Answer in the first sentence: slower, faster, no difference, or not enough data. Then which queries, by how much (p95 and p99), what else changed (cluster_spec, \
                cluster_settings), and the most likely cause only where a figure supports it.",
    },
];

/// The ways there are.
pub fn listed() -> Vec<Prompt> {
    let argument = |(name, about, needed): &(&str, &str, bool)| PromptArgument::new(*name).with_description(*about).with_required(*needed);
    WAYS.iter().map(|way| Prompt::new(way.name, Some(way.about), Some(way.arguments.iter().map(argument).collect())).with_title(way.title)).collect()
}

/// One of them, with what the user said.
pub fn get(name: &str, arguments: &JsonObject) -> Result<GetPromptResult, ErrorData> {
    let way = WAYS.iter().find(|way| way.name == name).ok_or_else(|| ErrorData::invalid_params(format!("unknown prompt: {}", cut(name, 100)), None))?;
    let known = |given: &str| way.arguments.iter().any(|(argument, ..)| *argument == given);
    if let Some(unknown) = arguments.keys().find(|given| !known(given)) {
        return Err(ErrorData::invalid_params(format!("unknown argument: {}", cut(unknown, 100)), None));
    }
    let mut said = String::new();
    for (argument, _, needed) in way.arguments {
        match arguments.get(*argument).and_then(Value::as_str).map(str::trim).filter(|value| !value.is_empty()) {
            // Writing to a String cannot fail.
            Some(value) => drop(writeln!(said, "{argument}: {}", cut(value, LONGEST_VALUE))),
            None if *needed => return Err(ErrorData::invalid_params(format!("argument {argument} is missing"), None)),
            None => {}
        }
    }
    let text = format!("{}\n\nWhat I can tell already:\n{said}", way.steps);
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).with_description(way.about))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(name: &str, arguments: &Value) -> Result<String, String> {
        let result = get(name, arguments.as_object().unwrap()).map_err(|error| error.message.to_string())?;
        Ok(serde_json::to_value(&result.messages[0].content).unwrap()["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_way_of_working_ends_with_what_the_user_said() {
        let text = ask("find_regression", &json!({"plan_name": "checkout", "baseline": ""})).unwrap();
        assert!(text.ends_with("What I can tell already:\nplan_name: checkout\n"), "{text}");
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(ask("find_regression", &json!({})).unwrap_err(), "argument plan_name is missing");
        assert_eq!(ask("load_test", &json!({"goal": "x", "colour": "red"})).unwrap_err(), "unknown argument: colour");
        assert_eq!(ask("paint", &json!({})).unwrap_err(), "unknown prompt: paint");
    }
}
