//! What errors looked like: the workers' samples, grouped by query, class and code, the most frequent first.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::{Deserialize, Serialize};

/// The most groups that are kept.
const MOST_GROUPS: usize = 100;
/// The most characters of a message that are kept.
const LONGEST_MESSAGE: usize = 500;

/// What one worker saw in one second: errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorSample {
    /// Whole seconds since the agreed start.
    pub second: u64,
    /// The query's name.
    pub query: String,
    /// The class of the error.
    pub class: String,
    /// The database's own code.
    #[serde(default)]
    pub code: String,
    /// The first message of its kind.
    #[serde(default)]
    pub message: String,
    /// How often.
    pub count: u64,
}

/// `errors/worker-<index>.json` as a worker writes it.
#[derive(Deserialize)]
struct WorkerFile {
    worker: u32,
    samples: Vec<ErrorSample>,
    /// By second, how often a virtual user got a new connection.
    #[serde(default)]
    reconnects: BTreeMap<u64, u64>,
}

/// Errors of one kind over the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SampleGroup {
    /// The query's name.
    pub query: String,
    /// The class of the error.
    pub class: String,
    /// The database's own code.
    pub code: String,
    /// The message of the first of them.
    pub message: String,
    /// How many were sampled. Samples are bounded; the exact counts are in the rows.
    pub count: u64,
    /// The second in which the first of them occurred.
    pub first_second: u64,
    /// The worker that saw the first of them.
    pub first_worker: u32,
}

/// Groups the samples of all workers' files.
///
/// # Errors
/// Where a file is not what a worker writes.
pub fn group_samples<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<SampleGroup>, serde_json::Error> {
    let mut groups: BTreeMap<(String, String, String), SampleGroup> = BTreeMap::new();
    for file in files {
        let WorkerFile { worker, samples, reconnects: _ } = serde_json::from_slice(file)?;
        for ErrorSample { second, query, class, code, message, count } in samples {
            let group = groups.entry((query.clone(), class.clone(), code.clone())).or_insert_with(|| SampleGroup {
                query,
                class,
                code,
                message: String::new(),
                count: 0,
                first_second: u64::MAX,
                first_worker: worker,
            });
            group.count = group.count.saturating_add(count);
            if (second, worker) < (group.first_second, group.first_worker) || group.message.is_empty() {
                group.message = message.chars().take(LONGEST_MESSAGE).collect();
                (group.first_second, group.first_worker) = (second, worker);
            }
        }
    }
    let mut groups: Vec<SampleGroup> = groups.into_values().collect();
    groups.sort_by_key(|group| Reverse(group.count));
    groups.truncate(MOST_GROUPS);
    Ok(groups)
}

/// How often virtual users of all workers got new connections, by second.
///
/// # Errors
/// Where a file is not what a worker writes.
pub fn add_up_reconnects<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> Result<BTreeMap<u64, u64>, serde_json::Error> {
    let mut all: BTreeMap<u64, u64> = BTreeMap::new();
    for file in files {
        let WorkerFile { worker: _, samples: _, reconnects } = serde_json::from_slice(file)?;
        for (second, count) in reconnects {
            let sum = all.entry(second).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_workers_are_grouped_and_the_most_frequent_come_first() {
        let zero = br#"{"worker":0,"omitted":0,"samples":[
            {"second":9,"query":"A","class":"timeout","code":"","message":"took too long","count":1},
            {"second":3,"query":"A","class":"other","code":"1146","message":"Table 'x' doesn't exist","count":2}]}"#;
        let one = br#"{"worker":1,"omitted":0,"samples":[{"second":2,"query":"A","class":"other","code":"1146","message":"first","count":5}]}"#;
        let groups = group_samples([&zero[..], &one[..]]).unwrap();
        assert_eq!(
            groups,
            [
                SampleGroup {
                    query: "A".into(),
                    class: "other".into(),
                    code: "1146".into(),
                    message: "first".into(),
                    count: 7,
                    first_second: 2,
                    first_worker: 1
                },
                SampleGroup {
                    query: "A".into(),
                    class: "timeout".into(),
                    code: String::new(),
                    message: "took too long".into(),
                    count: 1,
                    first_second: 9,
                    first_worker: 0
                },
            ]
        );
    }

    #[test]
    fn new_connections_of_all_workers_are_added_up_by_second() {
        let zero = br#"{"worker":0,"omitted":0,"samples":[],"reconnects":{"21":4,"22":1}}"#;
        let one = br#"{"worker":1,"omitted":0,"samples":[],"reconnects":{"22":7}}"#;
        let older = br#"{"worker":2,"omitted":0,"samples":[]}"#;
        assert_eq!(add_up_reconnects([&zero[..], &one[..], &older[..]]).unwrap(), BTreeMap::from([(21, 4), (22, 8)]));
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        assert!(group_samples([&b"[]"[..]]).is_err());
        assert!(group_samples([&b"{\"worker\":0"[..]]).is_err());
        assert_eq!(group_samples([]).unwrap(), []);
    }
}
