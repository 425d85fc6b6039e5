//! Every tool there is, in the order in which an agent meets them.

mod comparison;
mod draft;
mod explanation;
mod fixtures;
mod plan_text;
mod plans;
mod progress;
mod results;
mod run;
mod runs;
mod submission;
mod suts;
mod wait;
mod workloads;

use std::sync::LazyLock;

pub use self::{
    explanation::explain,
    results::shorten,
    run::{Run, RunPage},
};
use crate::tool::Entry;

/// The tools.
pub fn catalogue() -> &'static [Entry] {
    static CATALOGUE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        vec![
            Entry::of::<suts::ListSupportedSuts>(),
            Entry::of::<suts::GetDbInventory>(),
            Entry::of::<workloads::ListWorkloads>(),
            Entry::of::<workloads::GetWorkload>(),
            Entry::of::<workloads::UploadWorkloadSql>(),
            Entry::of::<fixtures::ListFixtures>(),
            Entry::of::<draft::DraftTestPlan>(),
            Entry::of::<plans::ValidateTestPlan>(),
            Entry::of::<plans::UploadTestPlan>(),
            Entry::of::<plans::ListTestPlans>(),
            Entry::of::<plans::GetTestPlan>(),
            Entry::of::<submission::SubmitTestRun>(),
            Entry::of::<submission::TriggerRunByPlan>(),
            Entry::of::<runs::ListTestRuns>(),
            Entry::of::<progress::MonitorTestProgress>(),
            Entry::of::<wait::WaitForRun>(),
            Entry::of::<explanation::ExplainRun>(),
            Entry::of::<results::GetTestResults>(),
            Entry::of::<comparison::CompareRuns>(),
            Entry::of::<runs::EmergencyStop>(),
            Entry::of::<plans::DeleteTestPlan>(),
            Entry::of::<fixtures::DeleteFixtureFile>(),
        ]
    });
    &CATALOGUE
}

/// The tool of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    catalogue().iter().find(|entry| entry.listed.name == name)
}
