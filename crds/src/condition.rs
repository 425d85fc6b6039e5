//! Condition types and reasons: the closed vocabulary of status, events, metrics and the user guide.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $text:literal])+ $word:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $text])+ $word,)+ }

        impl $name {
            /// Every word, in the order in which it is shown.
            pub const ALL: &'static [Self] = &[$(Self::$word,)+];

            /// The word as it stands in status, events and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)+ }
            }

            /// The sentence that the user guide shows for the word.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$word => concat!($($text),+),)+ }
            }

            /// The word that a text spells, where it spells one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The conditions of a TestRun and a TestPlan, in the order in which they stand in status.
    ConditionType {
        /// True when the object is as it should be: a plan is usable, a run has ended with results. An SLO that did not hold does not make it False.
        Ready,
        /// True while the operator is working towards the end of the run (kstatus).
        Reconciling,
        /// True when the run cannot go on or has failed (kstatus).
        Stalled,
        /// True when the plan was found valid and, for a run, frozen.
        Accepted,
        /// True while the run holds the right to load its system under test.
        Leased,
        /// True when every fixture that the plan names is loaded and proved.
        FixturesReady,
        /// True when every worker has checked the system under test and waits at the barrier.
        WorkersReady,
        /// True while the load is on.
        Executing,
        /// True when no fault of this run is left in the cluster.
        FaultsHealed,
        /// True when the results of every expected worker are stored and merged.
        ResultsCollected,
        /// True when the ledger holds the run's last status.
        Mirrored,
        /// True when the run has ended with results.
        Complete,
        /// True when the run has ended without trustworthy results.
        Failed,
        /// True when the verdict is Passed, False when it is anything else, Unknown while there is none.
        Passed,
    }
}

words! {
    /// Why a condition has its value, a run failed or an event was sent.
    Reason {
        /// Surfaces before there is anything to say.
        AsExpected,
        /// Surfaces when the plan is valid.
        PlanValid,
        /// Surfaces when the plan cannot be run as it is written; the message names the field.
        PlanInvalid,
        /// Surfaces when the run names a plan that does not exist and the wait for it is over.
        PlanNotFound,
        /// Surfaces when what the run says of its system under test does not match its plan.
        ClusterSpecMismatch,
        /// Surfaces when the run cannot have the id that it asks for; the message says why.
        RunIdRefused,
        /// Surfaces when the resolved plan was written down for this run and can no longer change.
        PlanFrozen,
        /// Surfaces when the run was created against a changed or unreadable frozen plan.
        FrozenPlanMissing,
        /// Surfaces when the workload text cannot be found where the plan says it is.
        WorkloadNotFound,
        /// Surfaces when the workload text cannot be parsed; the message names the line.
        WorkloadInvalid,
        /// Surfaces when the Secret with the credentials, or a key of it, does not exist.
        SecretNotFound,
        /// Surfaces while another run loads the same system under test.
        WaitingForSut,
        /// Surfaces when the run holds the right to load its system under test.
        SutLeased,
        /// Surfaces when the right to load the system under test was given back.
        SutReleased,
        /// Surfaces when the run waited in the queue longer than `deadlines.queue`.
        QueueDeadlineExceeded,
        /// Surfaces when the plan names no fixtures.
        NoFixtures,
        /// Surfaces while the plan's datasets are being loaded and proved.
        FixturesLoading,
        /// Surfaces when every dataset of the plan is in the system under test and was proved there.
        FixturesLoaded,
        /// Surfaces when a dataset has no file in the bucket.
        FixtureNotFound,
        /// Surfaces when the bucket does not let a dataset be read.
        FixtureUnreadable,
        /// Surfaces when files of a dataset cannot be loaded as they are; the message names the file, and the row or the column.
        FixtureInvalid,
        /// Surfaces when the files of a dataset, or how they are to be read, changed while a run was loading them.
        FixtureChanged,
        /// Surfaces when a table is in the way that Crucible did not load, and the dataset does not say `replaceExisting`.
        FixtureTableNotOurs,
        /// Surfaces when the system under test does not take the rows of a dataset; the message has its own error.
        FixtureLoadFailed,
        /// Surfaces when a table does not hold what was sent to it; the message says what was expected and what was found.
        FixtureVerifyFailed,
        /// Surfaces when the loader of the datasets was lost more often than it is started again; its pods' events say more.
        FixtureLoaderLost,
        /// Surfaces when the loader of the datasets was killed for using more memory than its limit.
        FixtureLoaderOutOfMemory,
        /// Surfaces when the datasets were not loaded within `deadlines.fixtures`.
        FixturesDeadlineExceeded,
        /// Surfaces when a dataset has no file yet.
        FixtureAbsent,
        /// Surfaces while files of a dataset are being uploaded.
        FixtureUploading,
        /// Surfaces when the files of a dataset are there.
        FixtureReady,
        /// Surfaces while worker pods are starting.
        WorkersStarting,
        /// Surfaces when all workers wait at the barrier.
        WorkersReady,
        /// Surfaces when not every worker was ready within `deadlines.barrier`.
        BarrierDeadlineExceeded,
        /// Surfaces when the cluster has no room for the workers; the message is the scheduler's.
        Unschedulable,
        /// Surfaces when an image of a worker cannot be pulled.
        ImagePull,
        /// Surfaces when the cluster refused to create the worker pods (quota, limit range, admission).
        WorkersRejected,
        /// Surfaces when a worker left without an outcome; its pod's events say more.
        WorkerLost,
        /// Surfaces when a worker was killed for using more memory than its limit.
        WorkerOutOfMemory,
        /// Surfaces when a worker was evicted or its node went away.
        WorkerEvicted,
        /// Surfaces when k6 inside a worker ended in a way that leaves no trustworthy results; the message has its exit code.
        LoadGeneratorFailed,
        /// Surfaces when the disk of a worker is full.
        WorkerDiskFull,
        /// Surfaces when a worker speaks another version of the control protocol than the operator.
        ProtocolMismatch,
        /// Surfaces when the host name of the system under test does not resolve.
        SutUnknownHost,
        /// Surfaces when nothing answers at the endpoint of the system under test.
        SutUnreachable,
        /// Surfaces when the system under test refuses the credentials.
        SutAuthenticationFailed,
        /// Surfaces when the database that the plan names does not exist or may not be used.
        SutDatabaseMissing,
        /// Surfaces when a secured connection to the system under test cannot be made.
        SutTlsFailed,
        /// Surfaces when the system under test refuses as many connections as the plan has virtual users.
        SutOverloaded,
        /// Surfaces when the system under test does not accept a query of the workload; the message names it.
        QueryInvalid,
        /// Surfaces when the load has begun.
        LoadStarted,
        /// Surfaces when the load has ended as planned.
        LoadEnded,
        /// Surfaces when an abort rule ended the load.
        AbortRuleFired,
        /// Surfaces when the user asked the run to stop.
        StopRequested,
        /// Surfaces when the run is being deleted.
        Deleted,
        /// Surfaces when the load went on beyond its planned end and the time to drain.
        ExecutionDeadlineExceeded,
        /// Surfaces when the workers did not end within the time to drain.
        DrainDeadlineExceeded,
        /// Surfaces when faults are not part of the plan.
        NoFaults,
        /// Surfaces when the plan has faults and Chaos Mesh is not installed, or does not know their kind.
        ChaosUnavailable,
        /// Surfaces when a fault touches a namespace that does not carry the label `crucible.dev/chaos: allowed`.
        ChaosNotAllowed,
        /// Surfaces when no pod fits the selector of a fault.
        ChaosNoTarget,
        /// Surfaces while a fault may be on.
        FaultsActive,
        /// Surfaces when nothing of any fault is left in its targets.
        FaultsHealed,
        /// Surfaces when Chaos Mesh confirmed that every target of a fault was hit.
        FaultInjected,
        /// Surfaces when every target of a fault is healed.
        FaultHealed,
        /// Surfaces when a target of a fault was replaced, and the fault is injected into what took its place.
        FaultMoved,
        /// Surfaces when faults of a plan may hit the same target at the same time.
        FaultsOverlap,
        /// Surfaces when a fault was not injected: its time passed, or the load ended before.
        FaultSkipped,
        /// Surfaces when Chaos Mesh did not confirm a fault in time; what was measured says nothing about it.
        FaultNotConfirmed,
        /// Surfaces when targets of a fault are not healed long after its time; the message has the command that shows why.
        ChaosRecoveryStuck,
        /// Surfaces while results are being uploaded and merged.
        Collecting,
        /// Surfaces when results of every expected worker are stored and merged.
        ResultsCollected,
        /// Surfaces when results of some workers are missing; what there is was merged and marked partial.
        ResultsPartial,
        /// Surfaces when no results could be stored within `deadlines.collect`.
        ResultsUploadFailed,
        /// Surfaces when a stored result is not what the worker handed in.
        ResultsCorrupt,
        /// Surfaces when the ledger is not part of this installation.
        LedgerNotConfigured,
        /// Surfaces while the ledger follows the run, and its last status is still to come.
        Mirroring,
        /// Surfaces when the ledger holds the run's last status.
        Mirrored,
        /// Surfaces when the ledger does not answer and has not been told the run's last status; it is told as soon as it does.
        LedgerUnavailable,
        /// Surfaces when the ledger does not take the run's last status, and asking again would not help; the message says why.
        LedgerRefused,
        /// Surfaces when a deleted run was let go although the ledger could not be told of its end in time.
        MirrorEscaped,
        /// Surfaces when the run has ended with results.
        RunCompleted,
        /// Surfaces when the verdict is Passed.
        VerdictPassed,
        /// Surfaces when the verdict is Failed.
        VerdictFailed,
        /// Surfaces when the verdict is Inconclusive.
        VerdictInconclusive,
        /// Surfaces when the verdict is Invalid.
        VerdictInvalid,
        /// Surfaces when the verdict is Aborted.
        VerdictAborted,
        /// Surfaces when the verdict is HarnessError.
        VerdictHarnessError,
    }
}

/// The condition of one type, where the list has it.
#[must_use]
pub fn find(conditions: &[Condition], of: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == of.as_str())
}
