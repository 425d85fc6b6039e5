//! Chaos Mesh as far as faults need it: its kinds, and what one of its objects says about itself.

mod record;

pub use record::{ChaosObject, Event, Operation, Record};

use crucible_crds::{Fault, chaos::PodAction};

/// The API group of Chaos Mesh.
pub const GROUP: &str = "chaos-mesh.org";
/// Its version.
pub const VERSION: &str = "v1alpha1";
/// The label that lets faults into a namespace.
pub const ALLOWED_LABEL: &str = "crucible.dev/chaos";
/// The value of that label.
pub const ALLOWED: &str = "allowed";
/// On Chaos Mesh objects: which fault of the plan they inject.
pub const FAULT: &str = "crucible.dev/fault";
/// Tells Chaos Mesh to heal what an object has done.
pub const PAUSE: &str = "experiment.chaos-mesh.org/pause";
/// What lets go of an object that cannot be healed. Only people say this, never the operator. Chaos Mesh has an annotation
/// for it, but does not read it where it could not inject either.
pub const LET_GO: &str = r#"--type=merge -p '{"metadata":{"finalizers":null}}'"#;

/// A kind of Chaos Mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Pods or containers are killed.
    Pod,
    /// The network is disturbed.
    Network,
    /// Processor or memory is used up.
    Stress,
    /// Files are disturbed.
    Io,
    /// The clock is wrong.
    Time,
    /// Names do not resolve.
    Dns,
    /// HTTP is disturbed.
    Http,
    /// Something happens to machines outside Kubernetes.
    PhysicalMachine,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [Self::Pod, Self::Network, Self::Stress, Self::Io, Self::Time, Self::Dns, Self::Http, Self::PhysicalMachine];

    /// The kind that injects a fault.
    #[must_use]
    pub fn of(fault: &Fault) -> Self {
        // No `..`: a new kind must be named here, or this does not compile. The schema lets exactly one through.
        let crucible_crds::chaos::Chaos { pod_chaos: _, network_chaos, stress_chaos, io_chaos, time_chaos, dns_chaos, http_chaos, physical_machine_chaos } =
            &fault.chaos;
        let given = [
            (network_chaos.is_some(), Self::Network),
            (stress_chaos.is_some(), Self::Stress),
            (io_chaos.is_some(), Self::Io),
            (time_chaos.is_some(), Self::Time),
            (dns_chaos.is_some(), Self::Dns),
            (http_chaos.is_some(), Self::Http),
            (physical_machine_chaos.is_some(), Self::PhysicalMachine),
        ];
        given.iter().find(|(given, _)| *given).map_or(Self::Pod, |(_, kind)| *kind)
    }

    /// The kind as it stands in an object.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "PodChaos",
            Self::Network => "NetworkChaos",
            Self::Stress => "StressChaos",
            Self::Io => "IOChaos",
            Self::Time => "TimeChaos",
            Self::Dns => "DNSChaos",
            Self::Http => "HTTPChaos",
            Self::PhysicalMachine => "PhysicalMachineChaos",
        }
    }

    /// The resource as it stands in a URL and in a role.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Pod => "podchaos",
            Self::Network => "networkchaos",
            Self::Stress => "stresschaos",
            Self::Io => "iochaos",
            Self::Time => "timechaos",
            Self::Dns => "dnschaos",
            Self::Http => "httpchaos",
            Self::PhysicalMachine => "physicalmachinechaos",
        }
    }

    /// The kind that a text spells.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Whether a fault is over as soon as it was injected: what was killed is not brought back by Chaos Mesh.
#[must_use]
pub fn is_momentary(fault: &Fault) -> bool {
    fault.chaos.pod_chaos.as_ref().is_some_and(|chaos| match chaos.action {
        PodAction::PodKill | PodAction::ContainerKill => true,
        PodAction::PodFailure => false,
    })
}

/// The namespaces whose pods a fault touches, those of a partition's other end included.
#[must_use]
pub fn namespaces(fault: &Fault) -> Vec<&str> {
    let peer = fault.chaos.network_chaos.as_ref().and_then(|chaos| chaos.peer.as_ref()).and_then(|peer| peer.pods.as_ref());
    let mut all: Vec<&str> = fault.target.pods.iter().chain(peer).flat_map(|pods| &pods.namespaces).map(|namespace| &**namespace).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What is to be said about a version of Chaos Mesh; nothing where it is known to be safe. Before 2.7.3 its control server obeys
/// everybody who reaches it (CVE-2025-59358).
#[must_use]
pub fn concern(version: &str) -> Option<String> {
    let numbers: Option<Vec<u32>> = version.trim_start_matches('v').split(['-', '+']).next()?.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([major, minor, patch]) if (*major, *minor, *patch) >= SAFE => None,
        Some([major, minor, patch]) => Some(format!("Chaos Mesh {major}.{minor}.{patch} obeys everybody who reaches it (CVE-2025-59358): use 2.7.3 or newer")),
        _ => Some(format!("Chaos Mesh calls its version {version:?}, which cannot be compared: it should be 2.7.3 or newer")),
    }
}

/// The first version that asks who gives orders.
const SAFE: (u32, u32, u32) = (2, 7, 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_obeys_everybody_is_told() {
        for safe in ["2.7.3", "v2.8.0", "2.10.0", "3.0.0", "2.7.3-rc1"] {
            assert_eq!(concern(safe), None, "{safe}");
        }
        for unsafe_one in ["2.7.2", "v2.6.9", "1.99.99"] {
            assert!(concern(unsafe_one).is_some_and(|said| said.contains("CVE-2025-59358")), "{unsafe_one}");
        }
        for strange in ["latest", "", "2.7", "v"] {
            assert!(concern(strange).is_some_and(|said| said.contains("cannot be compared")), "{strange}");
        }
    }

    #[test]
    fn every_kind_is_read_back_and_no_other_is() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(kind.resource(), kind.as_str().to_lowercase());
        }
        assert_eq!(Kind::parse("KernelChaos"), None);
    }
}
