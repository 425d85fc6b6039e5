//! What is printed when a story fails: everything that its namespace and the operator can tell.

use std::fmt::Write as _;

use crate::{OPERATOR_NAMESPACE, kubectl::ask};

/// Asks the cluster and answers what it said, troubles included.
pub async fn gather(namespace: &str) -> String {
    let questions: [&[&str]; 6] = [
        &["get", "testplans,testruns,jobs,pods", "--output=wide"],
        &["get", "testruns", "--output=yaml"],
        &["get", "events", "--sort-by=.lastTimestamp"],
        &["logs", "--selector=app.kubernetes.io/component=worker", "--tail=40", "--prefix"],
        &["describe", "pods"],
        &["--namespace", OPERATOR_NAMESPACE, "get", "leases,pods"],
    ];
    let mut text = String::new();
    for question in questions {
        let arguments: Vec<&str> =
            if question[0] == "--namespace" { question.to_vec() } else { ["--namespace", namespace].iter().chain(question).copied().collect() };
        say(&mut text, &arguments).await;
    }
    say(&mut text, &["--namespace", OPERATOR_NAMESPACE, "logs", "deployment/crucible-operator", "--tail=80"]).await;
    text
}

async fn say(text: &mut String, arguments: &[&str]) {
    let answer = match ask(arguments, "").await {
        Ok(answer) => answer.output + &answer.error,
        Err(error) => format!("{error:#}"),
    };
    let _ = write!(text, "\n$ kubectl {}\n{}\n", arguments.join(" "), answer.trim_end());
}
