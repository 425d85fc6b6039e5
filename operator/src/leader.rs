//! Which replica works: the holder of one Lease in the operator's own namespace.
//!
//! Leadership saves work, nothing else: every write is safe under two leaders. A lease counts as expired when it has
//! not changed for its duration *by our own clock*, so that skewed clocks cannot make two leaders quickly.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// The name of the Lease.
pub const LEASE: &str = "crucible-operator";
/// A holder that was not heard of for so long has lost it.
const DURATION: Duration = Duration::from_secs(6);
/// How often the holder renews it.
const RENEW: Duration = Duration::from_secs(2);
/// How often others look at it.
const LOOK: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(2);

/// Takes part in the election until told to stop. `leading` says at any moment whether this replica holds the lease.
///
/// Returns when `stop` is cancelled, after the lease was given back, or when the lease was lost.
pub async fn take_part(client: Client, namespace: &str, identity: &str, leading: &watch::Sender<bool>, stop: &CancellationToken) {
    let mut candidate = Candidate { leases: Api::namespaced(client, namespace), identity: identity.to_owned(), record: None, since: Instant::now() };
    let mut renewed: Option<Instant> = None;
    while !stop.is_cancelled() {
        match timeout(REQUEST, candidate.turn()).await {
            Ok(Ok(true)) => {
                renewed = Some(Instant::now());
                if !leading.send_replace(true) {
                    tracing::info!(identity, "became the leader");
                }
            }
            Ok(Ok(false)) if renewed.is_some() => break,
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "failed to look at the leader's lease"),
            Err(_) => tracing::warn!("looking at the leader's lease took too long"),
        }
        if renewed.is_some_and(|at| at.elapsed() >= DURATION) {
            break;
        }
        let pause = if renewed.is_some() { RENEW } else { LOOK };
        tokio::select! { () = sleep(pause) => {}, () = stop.cancelled() => {} }
    }
    if leading.send_replace(false) && stop.is_cancelled() {
        // Best effort: without it the next leader waits for the lease to expire.
        let _ = timeout(REQUEST, candidate.give_back()).await;
    } else if renewed.is_some() {
        tracing::error!(identity, "lost the leader's lease");
    }
}

struct Candidate {
    leases: Api<Lease>,
    identity: String,
    /// The lease as it was last seen, and since when it has looked like that.
    record: Option<LeaseSpec>,
    since: Instant,
}

/// What a candidate does about the lease that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Take,
    Renew,
    Wait,
}

/// The rule of the election: a lease is taken when nobody holds it or its holder was silent for the lease's duration.
fn step(seen: Option<&LeaseSpec>, unchanged_for: Duration, identity: &str) -> Step {
    let Some(spec) = seen else { return Step::Create };
    let duration = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).map_or(DURATION, Duration::from_secs);
    match spec.holder_identity.as_deref() {
        Some(holder) if holder == identity => Step::Renew,
        None | Some("") => Step::Take,
        Some(_) if unchanged_for >= duration => Step::Take,
        Some(_) => Step::Wait,
    }
}

impl Candidate {
    /// Looks once and does what the rule says. Returns whether the lease is ours now.
    async fn turn(&mut self) -> kube::Result<bool> {
        let seen = self.leases.get_opt(LEASE).await?;
        let spec = seen.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        if spec != self.record {
            self.since = Instant::now();
            self.record.clone_from(&spec);
        }
        let transitions = spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let written = match (step(spec.as_ref(), self.since.elapsed(), &self.identity), seen) {
            (Step::Wait, _) => return Ok(false),
            (Step::Create, _) | (_, None) => self.leases.create(&PostParams::default(), &self.lease(None, 0, None)).await,
            (Step::Take, Some(old)) => {
                self.leases.replace(LEASE, &PostParams::default(), &self.lease(old.metadata.resource_version, transitions + 1, None)).await
            }
            (Step::Renew, Some(old)) => {
                let acquired = spec.and_then(|spec| spec.acquire_time);
                self.leases.replace(LEASE, &PostParams::default(), &self.lease(old.metadata.resource_version, transitions, acquired)).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // Somebody was faster: the next turn sees who.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn give_back(&self) -> kube::Result<()> {
        let Some(old) = self.leases.get_opt(LEASE).await? else { return Ok(()) };
        if old.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&self.identity) {
            return Ok(());
        }
        let mut lease = self.lease(old.metadata.resource_version, old.spec.and_then(|spec| spec.lease_transitions).unwrap_or(0), None);
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = None;
        }
        self.leases.replace(LEASE, &PostParams::default(), &lease).await.map(|_| ())
    }

    fn lease(&self, resource_version: Option<String>, transitions: i32, acquired: Option<MicroTime>) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata: ObjectMeta {
                name: Some(LEASE.to_owned()),
                labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "crucible".to_owned())])),
                resource_version,
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: Option<&str>) -> LeaseSpec {
        LeaseSpec { holder_identity: holder.map(str::to_owned), lease_duration_seconds: Some(6), ..LeaseSpec::default() }
    }

    #[test]
    fn the_lease_goes_to_whoever_may_have_it() {
        let table = [
            (None, 0, Step::Create),
            (Some(held_by(Some("operator-0"))), 0, Step::Renew),
            (Some(held_by(Some("operator-1"))), 0, Step::Wait),
            (Some(held_by(Some("operator-1"))), 5, Step::Wait),
            (Some(held_by(Some("operator-1"))), 6, Step::Take),
            (Some(held_by(Some(""))), 0, Step::Take),
            (Some(held_by(None)), 0, Step::Take),
        ];
        for (seen, seconds, expected) in table {
            assert_eq!(step(seen.as_ref(), Duration::from_secs(seconds), "operator-0"), expected, "{seen:?} for {seconds} s");
        }
    }
}
