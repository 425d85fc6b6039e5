//! What an end means: k6's exit code as a failure, a failure as this process's own exit code, and the last word in the
//! termination log. Pure.

use crucible_crds::Reason;
use crucible_lifecycle::contract::{Failure, WorkerOutcome, WorkerState};

use crate::wire::Preflight;

/// The kubelet cuts a termination message off at 4096 bytes, which would leave half a JSON object.
const LONGEST_WORD: usize = 4000;

/// The longest message of a failure, in bytes: status and events carry it too.
const LONGEST_MESSAGE: usize = 1500;

/// How many of k6's last lines a message quotes, and how many bytes of each.
const QUOTED_LINES: usize = 3;
const QUOTED_BYTES: usize = 300;

/// How k6 ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, or the signal that ended it.
    pub how: How,
    /// The last lines that it wrote, oldest first.
    pub last_lines: Vec<String>,
}

/// An exit code or a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It exited by itself.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// What a preflight may find: the fault of the system under test or of the workload.
const SUT: [Reason; 7] = [
    Reason::SutUnknownHost,
    Reason::SutUnreachable,
    Reason::SutAuthenticationFailed,
    Reason::SutDatabaseMissing,
    Reason::SutTlsFailed,
    Reason::SutOverloaded,
    Reason::QueryInvalid,
];

/// The signal that the kernel's memory killer sends.
const SIGKILL: i32 = 9;

/// What an end of k6 means that neither the plan nor an order explains.
#[must_use]
pub fn failure_of(exit: &Exit) -> Failure {
    let (reason, end) = match exit.how {
        How::Signal(SIGKILL) | How::Code(137) => (Reason::WorkerOutOfMemory, "was killed, most likely for using more memory than its limit".to_owned()),
        How::Signal(signal) => (Reason::LoadGeneratorFailed, format!("was ended by signal {signal}")),
        How::Code(code) => (Reason::LoadGeneratorFailed, format!("ended with exit code {code} ({})", meaning(code))),
    };
    failure(reason, format!("k6 {end}{}", quoted(&exit.last_lines)))
}

/// What k6 says with an exit code.
#[must_use]
pub fn meaning(code: i32) -> &'static str {
    match code {
        0 => "without having reported the end of the load",
        99 => "a threshold failed, though this run has none",
        100 => "setup timed out",
        101 => "teardown timed out",
        103 => "it was stopped or timed out",
        104 => "its configuration is invalid",
        105 => "it was ended from outside",
        106 => "its REST interface could not be opened",
        107 => "the script threw an exception",
        108 => "the script aborted the test",
        109 => "it panicked",
        _ => "no code of k6's",
    }
}

/// Why a preflight refused, in the words of the API. An unknown reason is the load generator's fault, not the
/// database's.
#[must_use]
pub fn refusal(preflight: &Preflight) -> Failure {
    let Preflight { ok: _, server_version: _, reason, query, message } = preflight;
    let about = if query.is_empty() { String::new() } else { format!("Query {query}: ") };
    match Reason::parse(reason).filter(|known| SUT.contains(known)) {
        Some(known) => failure(known, format!("{about}{message}")),
        None => failure(Reason::LoadGeneratorFailed, format!("{about}{message} (unknown preflight reason {reason:?})")),
    }
}

/// A failure with a message of bounded length.
#[must_use]
pub fn failure(reason: Reason, message: impl Into<String>) -> Failure {
    Failure { reason: reason.as_str().to_owned(), message: shortened(message.into(), LONGEST_MESSAGE) }
}

/// The exit code of this process. Whoever reads only that learns whose fault it was.
#[must_use]
pub fn exit_code(outcome: &WorkerOutcome) -> u8 {
    match outcome.state {
        WorkerState::Uploaded => 0,
        WorkerState::Failed => outcome.failure.as_ref().and_then(|failure| Reason::parse(&failure.reason)).map_or(19, code_of),
        WorkerState::Preparing | WorkerState::Ready | WorkerState::Armed | WorkerState::Running | WorkerState::Draining | WorkerState::Finished => 20,
    }
}

fn code_of(reason: Reason) -> u8 {
    let codes: [(u8, &[Reason]); 9] = [
        (10, &SUT),
        (11, &[Reason::LoadGeneratorFailed]),
        (12, &[Reason::WorkerOutOfMemory]),
        (13, &[Reason::WorkerDiskFull]),
        (14, &[Reason::BarrierDeadlineExceeded]),
        (15, &[Reason::ExecutionDeadlineExceeded, Reason::DrainDeadlineExceeded]),
        (16, &[Reason::StopRequested, Reason::WorkerEvicted]),
        (17, &[Reason::ResultsUploadFailed]),
        (18, &[Reason::FrozenPlanMissing, Reason::PlanInvalid, Reason::ProtocolMismatch]),
    ];
    codes.iter().find(|(_, reasons)| reasons.contains(&reason)).map_or(19, |(code, _)| *code)
}

/// The last word as it goes into the termination log: whole JSON, however long the message was.
#[must_use]
pub fn last_word(mut outcome: WorkerOutcome) -> String {
    loop {
        let word = serde_json::to_string(&outcome).unwrap_or_default();
        if word.len() <= LONGEST_WORD {
            return word;
        }
        // Escapes make a message longer than its bytes, so it is halved until the whole fits.
        match outcome.failure.as_mut().filter(|failure| !failure.message.is_empty()) {
            Some(failure) => {
                let half = failure.message.len() / 2;
                failure.message = shortened(std::mem::take(&mut failure.message), half);
            }
            None if !outcome.answers.is_empty() => outcome.answers.clear(),
            None if !outcome.files.is_empty() => outcome.files.clear(),
            None => return word,
        }
    }
}

fn quoted(lines: &[String]) -> String {
    let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
    if last.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = last.iter().map(|line| shortened(line.clone(), QUOTED_BYTES)).collect();
    format!("; its last words: {}", quoted.join(" | "))
}

/// A text cut at a character's border.
fn shortened(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(how: How, lines: &[&str]) -> Exit {
        Exit { how, last_lines: lines.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn every_exit_code_of_k6_has_a_reason_and_a_meaning() {
        let table = [
            (How::Code(0), "LoadGeneratorFailed", "k6 ended with exit code 0 (without having reported the end of the load)"),
            (How::Code(99), "LoadGeneratorFailed", "k6 ended with exit code 99 (a threshold failed, though this run has none)"),
            (How::Code(100), "LoadGeneratorFailed", "k6 ended with exit code 100 (setup timed out)"),
            (How::Code(101), "LoadGeneratorFailed", "k6 ended with exit code 101 (teardown timed out)"),
            (How::Code(103), "LoadGeneratorFailed", "k6 ended with exit code 103 (it was stopped or timed out)"),
            (How::Code(104), "LoadGeneratorFailed", "k6 ended with exit code 104 (its configuration is invalid)"),
            (How::Code(105), "LoadGeneratorFailed", "k6 ended with exit code 105 (it was ended from outside)"),
            (How::Code(106), "LoadGeneratorFailed", "k6 ended with exit code 106 (its REST interface could not be opened)"),
            (How::Code(107), "LoadGeneratorFailed", "k6 ended with exit code 107 (the script threw an exception)"),
            (How::Code(108), "LoadGeneratorFailed", "k6 ended with exit code 108 (the script aborted the test)"),
            (How::Code(109), "LoadGeneratorFailed", "k6 ended with exit code 109 (it panicked)"),
            (How::Code(2), "LoadGeneratorFailed", "k6 ended with exit code 2 (no code of k6's)"),
            (How::Code(137), "WorkerOutOfMemory", "k6 was killed, most likely for using more memory than its limit"),
            (How::Signal(9), "WorkerOutOfMemory", "k6 was killed, most likely for using more memory than its limit"),
            (How::Signal(11), "LoadGeneratorFailed", "k6 was ended by signal 11"),
        ];
        for (how, reason, message) in table {
            assert_eq!(failure_of(&exit(how, &[])), Failure { reason: reason.to_owned(), message: message.to_owned() });
        }
    }

    #[test]
    fn the_message_quotes_the_last_three_lines_and_stays_short() {
        let told = failure_of(&exit(How::Code(107), &["one", "two", "three", "four"]));
        assert_eq!(told.message, "k6 ended with exit code 107 (the script threw an exception); its last words: two | three | four");
        let long = "ü".repeat(2000);
        assert!(failure_of(&exit(How::Code(107), &[&long, &long, &long, &long])).message.len() <= LONGEST_MESSAGE);
    }

    #[test]
    fn a_preflight_that_refuses_keeps_its_reason_and_names_the_query() {
        let refused = |reason: &str, query: &str| {
            refusal(&Preflight { ok: false, server_version: None, reason: reason.to_owned(), query: query.to_owned(), message: "no such table".to_owned() })
        };
        assert_eq!(refused("QueryInvalid", "TopSellers"), Failure { reason: "QueryInvalid".to_owned(), message: "Query TopSellers: no such table".to_owned() });
        for kept in ["SutUnknownHost", "SutUnreachable", "SutAuthenticationFailed", "SutDatabaseMissing", "SutTlsFailed", "SutOverloaded"] {
            assert_eq!(refused(kept, "").reason, kept);
        }
        assert_eq!(refused("RunCompleted", "").reason, "LoadGeneratorFailed");
        assert_eq!(refused("", "").reason, "LoadGeneratorFailed");
    }

    #[test]
    fn the_last_word_is_whole_json_below_the_kubelets_limit() {
        let failure = Failure { reason: "LoadGeneratorFailed".to_owned(), message: "\u{1}".repeat(3000) };
        let outcome =
            WorkerOutcome { protocol: 1, index: 3, state: WorkerState::Failed, failure: Some(failure), interrupted: true, files: vec![], answers: vec![] };
        let word = last_word(outcome);
        assert!(word.len() < 4096, "{}", word.len());
        let read: WorkerOutcome = serde_json::from_str(&word).unwrap();
        assert_eq!((read.index, read.failure.unwrap().reason.as_str()), (3, "LoadGeneratorFailed"));
    }

    #[test]
    fn only_a_worker_whose_results_are_stored_exits_with_zero() {
        let code = |state, reason: Option<&str>| {
            let failure = reason.map(|reason| Failure { reason: reason.to_owned(), message: String::new() });
            exit_code(&WorkerOutcome { protocol: 1, index: 0, state, failure, interrupted: false, files: vec![], answers: vec![] })
        };
        assert_eq!(code(WorkerState::Uploaded, None), 0);
        assert_eq!(code(WorkerState::Finished, None), 20);
        assert_eq!(code(WorkerState::Failed, Some("SutUnreachable")), 10);
        assert_eq!(code(WorkerState::Failed, Some("LoadGeneratorFailed")), 11);
        assert_eq!(code(WorkerState::Failed, Some("something newer")), 19);
    }
}
