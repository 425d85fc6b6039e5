//! Invariants: what must hold of the data when the load is over and every fault is healed. The operator orders the upload
//! only then, so the worker that has to ask does it first. It asks through k6's own program, which knows the databases.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use crucible_crds::test_plan::Invariant;
use crucible_lifecycle::contract::{FrozenPlan, InvariantAnswer};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// The argument that makes k6's program ask.
const COMMAND: &str = "crucible-ask";
/// How long a system that is still coming back is waited for, and what starting the program takes.
const PATIENCE: Duration = Duration::from_secs(25);
/// The longest answer or obstacle that is told, in characters: a verdict has no room for more.
const LONGEST_WORD: usize = 64;

/// What is to be asked, and how.
#[derive(Clone, Debug)]
pub struct Questions {
    /// k6's program.
    pub program: PathBuf,
    /// The file that says where the system under test is.
    pub engine: PathBuf,
    /// What must hold.
    pub invariants: Vec<Invariant>,
    /// How long all of it may take.
    pub within: Duration,
}

#[derive(Serialize)]
struct Question<'a> {
    name: &'a str,
    sql: &'a str,
}

#[derive(Debug, Default, Deserialize)]
struct Said {
    name: String,
    value: Option<String>,
    #[serde(default)]
    error: String,
}

impl Questions {
    /// What worker `index` has to ask; nothing where another one does, or nothing is to be asked.
    #[must_use]
    pub fn of(plan: &FrozenPlan, index: u32, program: PathBuf, engine: PathBuf) -> Option<Self> {
        let invariants = &plan.spec.workload.invariants;
        let each = plan.spec.load.query_timeout.span().saturating_mul(u32::try_from(invariants.len()).unwrap_or(u32::MAX));
        // Half of the time to collect is left for the upload.
        let within = (PATIENCE + each).min(plan.spec.deadlines.collect.span() / 2);
        (index == 0 && !invariants.is_empty()).then(|| Self { program, engine, invariants: invariants.clone(), within })
    }

    /// Asks; every invariant has an answer afterwards, be it that it could not be asked.
    pub async fn ask(self) -> Vec<InvariantAnswer> {
        let said = match timeout(self.within, self.call()).await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", self.within.as_secs())),
        };
        if let Err(error) = &said {
            tracing::warn!(error, "failed to ask the invariants");
        }
        self.invariants.iter().map(|invariant| judge(invariant, &said)).collect()
    }

    async fn call(&self) -> std::io::Result<Vec<Said>> {
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(&self.engine)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let questions: Vec<Question<'_>> = self.invariants.iter().map(|one| Question { name: &one.name, sql: &one.sql }).collect();
        if let Some(mut input) = child.stdin.take() {
            input.write_all(&serde_json::to_vec(&questions)?).await?;
        }
        let Output { status, stdout, stderr } = child.wait_with_output().await?;
        if !status.success() {
            return Err(std::io::Error::other(format!("k6 ended with {status}: {}", String::from_utf8_lossy(&stderr).trim())));
        }
        Ok(serde_json::from_slice(&stdout)?)
    }
}

/// Whether an invariant holds. The whole answer counts, not what is told of it.
fn judge(invariant: &Invariant, said: &Result<Vec<Said>, String>) -> InvariantAnswer {
    let name = invariant.name.to_string();
    let said = said.as_ref().map(|all| all.iter().find(|said| said.name == name));
    let (held, word) = match said {
        Ok(Some(Said { value: Some(value), .. })) => (Some(*value == invariant.expect), value.as_str()),
        Ok(Some(Said { error, .. })) | Err(error) => (None, error.as_str()),
        Ok(None) => (None, "it was not answered"),
    };
    InvariantAnswer { name, held, said: word.chars().filter(|character| !character.is_control()).take(LONGEST_WORD).collect() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::sample::plan;

    fn invariant(name: &str, expect: &str) -> Invariant {
        serde_json::from_value(serde_json::json!({"name": name, "sql": "SELECT 1", "expect": expect})).unwrap()
    }

    /// A program that answers like k6's, or not.
    fn questions(script: &str, within: Duration) -> (tempfile::TempDir, Questions) {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("k6");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let invariants = vec![invariant("rows", "7"), invariant("sum", "9")];
        let questions = Questions { program, engine: scratch.path().join("engine.json"), invariants, within };
        (scratch, questions)
    }

    async fn asked(script: &str) -> Vec<(Option<bool>, String)> {
        let (_scratch, questions) = questions(script, Duration::from_secs(5));
        questions.ask().await.into_iter().map(|answer| (answer.held, answer.said)).collect()
    }

    #[tokio::test]
    async fn an_invariant_holds_where_the_answer_is_the_expected_one() {
        let script = r#"[ "$1" = crucible-ask ] && q=$(cat) && [ "$q" = '[{"name":"rows","sql":"SELECT 1"},{"name":"sum","sql":"SELECT 1"}]' ] &&
            echo '[{"name":"rows","value":"7"},{"name":"sum","value":"8"}]'"#;
        assert_eq!(asked(script).await, [(Some(true), "7".to_owned()), (Some(false), "8".to_owned())]);
    }

    #[tokio::test]
    async fn an_invariant_that_could_not_be_asked_is_not_broken() {
        let script = r#"cat > /dev/null; echo '[{"name":"rows","error":"no such table"}]'"#;
        assert_eq!(asked(script).await, [(None, "no such table".to_owned()), (None, "it was not answered".to_owned())]);
        let (held, said) = asked("cat > /dev/null; echo no >&2; exit 1").await.remove(0);
        assert_eq!((held, &*said), (None, "k6 ended with exit status: 1: no"));
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_there_is_time() {
        let (_scratch, questions) = questions("cat > /dev/null; sleep 60", Duration::from_millis(1500));
        let answers = questions.ask().await;
        assert_eq!((answers[1].held, &*answers[1].said), (None, "no answer within 1 s"));
    }

    #[test]
    fn the_first_worker_asks_and_no_other() {
        let mut plan = plan();
        let of = |plan: &FrozenPlan, index| Questions::of(plan, index, "/k6".into(), "/scratch/engine.json".into());
        assert!(of(&plan, 0).is_none(), "nothing is to be asked");
        plan.spec.workload.invariants = vec![invariant("rows", "7")];
        assert!(of(&plan, 0).is_some() && of(&plan, 1).is_none());
    }
}
