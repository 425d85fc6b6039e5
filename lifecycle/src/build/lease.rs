//! The Lease that is the right to load a system under test. It is held until it is given back, never by time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};

use super::{labels, names};
use crate::contract::RunIdentity;

/// The Lease by which `run` holds `sut`. A taken-over lease is replaced against the version that was read.
pub fn sut_lease(namespace: &str, sut: &str, run: &RunIdentity, now: Timestamp, replaces: Option<&str>) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(names::sut_lease(sut)),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels::of_child(&run.uid, "sut-lease")),
            annotations: Some(BTreeMap::from([
                (labels::HOLDER.to_owned(), format!("{}/{}", run.namespace, run.name)),
                (labels::SUT_NAME.to_owned(), sut.to_owned()),
            ])),
            resource_version: replaces.map(str::to_owned),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec { holder_identity: Some(run.uid.clone()), acquire_time: Some(MicroTime(now)), ..LeaseSpec::default() }),
    }
}
