//! Why a call could not be done, in words that let the caller mend it: one enum, one rendering as a tool's error.

use std::fmt::Write;

use rmcp::model::{CallToolResult, ContentBlock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The most mistakes that are told at once.
const MOST_PROBLEMS: usize = 50;
/// The longest message of somebody else's that is passed on.
const LONGEST_MESSAGE: usize = 1000;

/// One mistake: where it is, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The field, for example `execution.hold_for`; empty where the whole text is meant.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Why a call could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An argument is missing, unknown or of another kind.
    #[error("argument {}: {}", .0.path, .0.message)]
    Argument(Problem),
    /// The gateway refused what was sent.
    #[error("{}", told(.0))]
    Invalid(Vec<Problem>),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What is there contradicts what was asked.
    #[error("{0}")]
    Conflict(String),
    /// The gateway knows nobody behind the token.
    #[error("the gateway does not accept the token: {0}")]
    Unauthorized(String),
    /// The caller may not do this.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// Too much was asked for in too short a time, or a store is away.
    #[error("{message}")]
    TryLater {
        /// What the gateway says.
        message: String,
        /// When asking again makes sense.
        retry_after_seconds: u64,
    },
    /// The gateway answered what it should not.
    #[error("the gateway answered {status}: {message}")]
    Unexpected {
        /// The status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// No answer, or not a whole one.
    #[error("failed to reach the gateway: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the gateway did not answer within {0} s")]
    Late(u64),
    /// More than is read.
    #[error("the gateway's answer is longer than {0} MiB")]
    TooLong(usize),
    /// An answer that is not in the contract.
    #[error("failed to read the gateway's answer: {0}")]
    Unreadable(String),
    /// The caller does not want the answer any more.
    #[error("the call was cancelled")]
    Cancelled,
}

impl Failure {
    /// A mistake in an argument.
    pub fn argument(path: &str, message: impl Into<String>) -> Self {
        Self::Argument(Problem { path: path.to_owned(), message: message.into() })
    }

    /// What the gateway's answer means, where it is not success.
    #[must_use]
    pub fn answered(status: u16, retry_after: Option<u64>, body: &Value) -> Self {
        let problems = problems(body);
        let message = if problems.is_empty() { format!("status {status}") } else { told(&problems) };
        match status {
            400 | 413 | 415 | 422 if !problems.is_empty() => Self::Invalid(problems),
            404 => Self::NotFound(message),
            409 => Self::Conflict(message),
            401 => Self::Unauthorized(message),
            403 => Self::Forbidden(message),
            429 | 503 => Self::TryLater { message, retry_after_seconds: retry_after.unwrap_or(5) },
            _ => Self::Unexpected { status, message },
        }
    }

    /// The word for programs.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Argument(_) => "invalid_argument",
            Self::Invalid(_) => "invalid",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) => "conflict",
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TryLater { .. } => "try_later",
            Self::Unexpected { .. } | Self::Unreadable(_) | Self::TooLong(_) => "gateway_error",
            Self::Unreachable(_) | Self::Late(_) => "gateway_unreachable",
            Self::Cancelled => "cancelled",
        }
    }

    /// What to do about it.
    const fn hint(&self) -> &'static str {
        match self {
            Self::Argument(_) => "Correct the named argument and call again; the tool's input schema says what it takes.",
            Self::Invalid(_) => "Correct the named fields and call again.",
            Self::NotFound(_) => "Look the name up: list_test_runs, list_test_plans, list_workloads or list_fixtures.",
            Self::Conflict(_) => "Something of that name exists already: take another name, or say that it is to be replaced where the tool can.",
            Self::Unauthorized(_) => "The token is missing, expired or issued for somebody else. Ask the user for a token of this gateway.",
            Self::Forbidden(_) => "The token lacks the right to do this. Ask the user; do not try it in another way.",
            Self::TryLater { .. } => "Wait for retry_after_seconds, then call again with the same arguments.",
            Self::Unexpected { .. } | Self::Unreadable(_) | Self::TooLong(_) => "This is a fault of the installation, not of the call. Report it to the user.",
            Self::Unreachable(_) | Self::Late(_) => "The gateway is down or its address is wrong. Try again once, then report it to the user.",
            Self::Cancelled => "Nothing was undone: look at the state before going on.",
        }
    }

    /// The failure as a tool's error: JSON text that a model and a program can both read.
    #[must_use]
    pub fn into_result(self) -> CallToolResult {
        let mut said = json!({"error": self.to_string(), "kind": self.kind(), "hint": self.hint()});
        match &self {
            Self::Argument(problem) => said["errors"] = json!([problem]),
            Self::Invalid(problems) => said["errors"] = json!(problems),
            Self::TryLater { retry_after_seconds, .. } => said["retry_after_seconds"] = json!(retry_after_seconds),
            _ => {}
        }
        CallToolResult::error(vec![ContentBlock::text(said.to_string())])
    }
}

/// Several mistakes in one sentence.
fn told(problems: &[Problem]) -> String {
    let one = |problem: &Problem| if problem.path.is_empty() { problem.message.clone() } else { format!("{}: {}", problem.path, problem.message) };
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The mistakes in an answer: `detail` as a text, as texts or as `{loc, msg}`, or the `errors` of RFC 9457.
fn problems(body: &Value) -> Vec<Problem> {
    let listed = [&body["errors"], &body["detail"]].into_iter().find_map(Value::as_array);
    let found: Vec<Problem> = match (listed, body["detail"].as_str()) {
        (Some(list), _) if !list.is_empty() => list.iter().map(problem).collect(),
        (_, Some(text)) => vec![Problem { path: String::new(), message: cut(text, LONGEST_MESSAGE) }],
        _ => Vec::new(),
    };
    found.into_iter().take(MOST_PROBLEMS).collect()
}

fn problem(told: &Value) -> Problem {
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    let message = told.as_str().map(str::to_owned).or_else(|| text("msg")).or_else(|| text("message")).or_else(|| text("detail"));
    let path = text("path").or_else(|| text("field")).unwrap_or_else(|| dotted(&told["loc"]));
    Problem { path: cut(&path, LONGEST_MESSAGE), message: cut(&message.unwrap_or_else(|| told.to_string()), LONGEST_MESSAGE) }
}

/// `["body", "execution", "workload", 0]` as `execution.workload[0]`.
fn dotted(loc: &Value) -> String {
    let mut path = String::new();
    for step in loc.as_array().into_iter().flatten() {
        match step {
            // Writing to a String cannot fail.
            Value::Number(at) => drop(write!(path, "[{at}]")),
            Value::String(name) if name != "body" || !path.is_empty() => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            _ => {}
        }
    }
    path
}

/// The beginning of a text, with a mark where it was cut.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_read_in_every_shape_that_the_gateway_has() {
        let at = |path: &str, message: &str| Problem { path: path.into(), message: message.into() };
        let loc = json!({"detail": [{"loc": ["body", "execution", "workload", 0, "workload_id"], "msg": "is missing", "type": "missing"}]});
        assert_eq!(problems(&loc), [at("execution.workload[0].workload_id", "is missing")]);
        assert_eq!(problems(&json!({"detail": ["line 1: no @type"]})), [at("", "line 1: no @type")]);
        assert_eq!(problems(&json!({"detail": "plan not found"})), [at("", "plan not found")]);
        assert_eq!(
            problems(&json!({"status": 422, "detail": "1 field", "errors": [{"field": "hold_for", "detail": "is no duration"}]})),
            [at("hold_for", "is no duration")]
        );
        assert_eq!(problems(&json!("nothing")), []);
    }

    #[test]
    fn a_status_becomes_the_failure_that_says_what_to_do() {
        let body = json!({"detail": "the ledger is unavailable right now"});
        let later = Failure::answered(503, Some(7), &body);
        assert_eq!(later, Failure::TryLater { message: "the ledger is unavailable right now".into(), retry_after_seconds: 7 });
        assert!(matches!(Failure::answered(422, None, &body), Failure::Invalid(_)));
        assert!(matches!(Failure::answered(500, None, &Value::Null), Failure::Unexpected { status: 500, .. }));
        assert!(matches!(Failure::answered(307, None, &Value::Null), Failure::Unexpected { status: 307, .. }));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("Zürich", 2), "Zü…");
        assert_eq!(cut("Zürich", 6), "Zürich");
    }
}
