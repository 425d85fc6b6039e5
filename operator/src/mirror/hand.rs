//! The few things that the mirror writes to a run: its finalizer on and off, and its one condition.
//!
//! None of them can undo what somebody else writes: the finalizer goes on against the version that was read, and the two
//! others are patches that test what they replace. A write that came too late is decided anew from the newer object.

use std::time::Duration;

use crucible_crds::{ConditionType, Reason, TestRun};
use crucible_lifecycle::{
    build::labels,
    mirror::{Duty, Outline},
    notice::{Notice, Severity},
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{context::Context, notices};

/// Where the mirror's writes say that they come from.
pub const FIELD_MANAGER: &str = "crucible-mirror";
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused it, or could not be reached.
    #[error("failed to write TestRun {name} for the mirror")]
    Write {
        /// `namespace/name`.
        name: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The object is not what it was when this was decided.
    #[error("failed to write TestRun {name} for the mirror: it has changed since it was read")]
    Outdated {
        /// `namespace/name`.
        name: String,
    },
    /// The API server did not answer. Whether the write was made will be seen.
    #[error("failed to write TestRun {name} for the mirror: the API server did not answer in time")]
    TimedOut {
        /// `namespace/name`.
        name: String,
    },
}

/// Carries out what the mirror owes a run. Returns the run as it is then; nothing where it does not exist any more.
pub async fn carry_out(ctx: &Context, run: &Outline, duty: Duty) -> Result<Option<TestRun>, Error> {
    let hand = Hand { runs: Api::namespaced(ctx.client.clone(), &run.namespace), run };
    match duty {
        Duty::Nothing => Ok(None),
        Duty::Hold => hand.hold().await,
        Duty::Say { position, condition } => hand.say(position, &json!(*condition)).await,
        Duty::Release { escaped } => {
            if escaped {
                hand.tell_of_escape(ctx).await?;
            }
            hand.release().await
        }
    }
}

struct Hand<'a> {
    runs: Api<TestRun>,
    run: &'a Outline,
}

impl Hand<'_> {
    async fn hold(&self) -> Result<Option<TestRun>, Error> {
        let mut finalizers = self.run.finalizers.clone();
        finalizers.push(labels::MIRROR_FINALIZER.to_owned());
        let patch = json!({"metadata": {"uid": self.run.uid, "resourceVersion": self.run.version.to_string(), "finalizers": finalizers}});
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.write(self.runs.patch(&self.run.name, &params, &Patch::Merge(patch))).await
    }

    async fn say(&self, position: usize, condition: &Value) -> Result<Option<TestRun>, Error> {
        let place = format!("/status/conditions/{position}");
        let steps = json!([
            {"op": "test", "path": "/metadata/uid", "value": self.run.uid},
            {"op": "test", "path": format!("{place}/type"), "value": ConditionType::Mirrored.as_str()},
            {"op": "replace", "path": place, "value": condition},
        ]);
        let patch = self.steps(steps)?;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        self.write(self.runs.patch_status(&self.run.name, &params, &patch)).await
    }

    /// Takes the mirror's finalizer off, and only that: the patch tests that it stands where it was read.
    async fn release(&self) -> Result<Option<TestRun>, Error> {
        let Some(position) = self.run.finalizers.iter().position(|one| one == labels::MIRROR_FINALIZER) else { return Ok(None) };
        let place = format!("/metadata/finalizers/{position}");
        let steps = json!([
            {"op": "test", "path": "/metadata/uid", "value": self.run.uid},
            {"op": "test", "path": place, "value": labels::MIRROR_FINALIZER},
            {"op": "remove", "path": place},
        ]);
        let patch = self.steps(steps)?;
        self.write(self.runs.patch(&self.run.name, &PatchParams::default(), &patch)).await
    }

    /// Told before the run is let go, because nobody finds the events of an object that is gone.
    async fn tell_of_escape(&self, ctx: &Context) -> Result<(), Error> {
        let Some(run) = self.write(self.runs.get(&self.run.name)).await?.filter(|run| run.uid().as_deref() == Some(&self.run.uid)) else {
            return Ok(());
        };
        let message = "The run was let go although the ledger could not be told of its end; its row may never show it".to_owned();
        notices::tell(ctx, &run, &Notice { severity: Severity::Warning, reason: Reason::MirrorEscaped, message }).await;
        ctx.metrics.mirror_escaped();
        Ok(())
    }

    fn steps(&self, steps: Value) -> Result<Patch<()>, Error> {
        serde_json::from_value(steps).map(Patch::Json).map_err(|error| Error::Write { name: self.name(), source: kube::Error::SerdeError(error) })
    }

    async fn write(&self, request: impl Future<Output = kube::Result<TestRun>>) -> Result<Option<TestRun>, Error> {
        match tokio::time::timeout(REQUEST, request).await {
            Ok(Ok(run)) => Ok(Some(run)),
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(None),
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 409 | 422) => Err(Error::Outdated { name: self.name() }),
            Ok(Err(source)) => Err(Error::Write { name: self.name(), source }),
            Err(_) => Err(Error::TimedOut { name: self.name() }),
        }
    }

    fn name(&self) -> String {
        format!("{}/{}", self.run.namespace, self.run.name)
    }
}
