//! What a fault does: one typed structure for each kind of Chaos Mesh, in its own words.
//!
//! Where, for how long and how many is said once, in [`crate::fault`]; so no parameter here can widen the target. What
//! runs commands, reads Secrets or passes options through is deliberately left out.

#![allow(clippy::struct_field_names, reason = "the fields of `Chaos` are the kinds of Chaos Mesh, whose names end so")]

mod http;
mod io;
mod machine;

pub use http::{BodyPatch, HttpChaos, HttpPatch, HttpReplace, HttpTarget};
pub use io::{AttrOverride, Filling, IoAction, IoChaos, IoMethod, Mistake};
pub use machine::{
    DiskFill, DiskPayload, MachineBandwidth, MachineClock, MachineCpu, MachineDelay, MachineDirection, MachineMemory, MachineNetwork, MachinePartition,
    MachineProcess, PhysicalMachineChaos,
};

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fault::{Mode, PodSelector},
    name::{Amount, Bandwidth, Device, DomainPattern, ExternalTarget, Label, Offset, Percentage, Span},
};

/// What is done to the target. Exactly one kind.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("[has(self.podChaos), has(self.networkChaos), has(self.stressChaos), has(self.ioChaos), has(self.timeChaos), has(self.dnsChaos), has(self.httpChaos), has(self.physicalMachineChaos)].filter(x, x).size() == 1").message("exactly one kind of chaos must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chaos {
    /// Pods or containers are killed, or kept from running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_chaos: Option<PodChaos>,
    /// The network is cut, slowed down or made unreliable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_chaos: Option<NetworkChaos>,
    /// Processor or memory is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stress_chaos: Option<StressChaos>,
    /// Reading and writing files is slowed down, fails or goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_chaos: Option<IoChaos>,
    /// The clock is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_chaos: Option<TimeChaos>,
    /// Names do not resolve, or resolve to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_chaos: Option<DnsChaos>,
    /// HTTP requests or answers are broken off, slowed down or changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_chaos: Option<HttpChaos>,
    /// Something happens to machines outside Kubernetes, by their chaosd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical_machine_chaos: Option<PhysicalMachineChaos>,
}

/// Pods or containers are killed, or kept from running.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.containerNames) == (self.action == 'container-kill')").message("container-kill needs containerNames, and only it"),
    validation = Rule::new("!has(self.gracePeriod) || self.action == 'pod-kill'").message("only pod-kill has a gracePeriod")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodChaos {
    /// What happens: `pod-kill` deletes the pod, `container-kill` kills containers of it, `pod-failure` keeps it from running for the time of the fault.
    pub action: PodAction,
    /// How many seconds a killed pod has to end by itself; none by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub grace_period: Option<u32>,
    /// Which containers are killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub container_names: Vec<Label>,
}

/// What happens to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PodAction {
    /// The pod is deleted.
    PodKill,
    /// The pod is kept from running.
    PodFailure,
    /// Containers of the pod are killed.
    ContainerKill,
}

/// The network is cut, slowed down or made unreliable.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.delay) == (self.action == 'delay') && has(self.loss) == (self.action == 'loss') && has(self.duplicate) == (self.action == 'duplicate') && has(self.corrupt) == (self.action == 'corrupt') && has(self.bandwidth) == (self.action == 'bandwidth')").message("delay, loss, duplicate, corrupt and bandwidth need the field of their name, and only that one"),
    validation = Rule::new("self.action == 'partition' || !has(self.direction) || self.direction == 'to' || (has(self.peer) && has(self.peer.pods))").message("beyond a partition, the directions from and both need peer.pods"),
    validation = Rule::new("self.action != 'partition' || has(self.peer) || has(self.externalTargets)").message("a partition needs peer or externalTargets")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkChaos {
    /// What happens.
    pub action: NetworkAction,
    /// Which way packets go that are hit, seen from the target: `to` the other end, `from` it, or `both`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The other end, where only traffic with it is hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// Other ends outside the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub external_targets: Vec<ExternalTarget>,
    /// The network interface of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// How packets are delayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// How packets are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// How packets are sent twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Duplicate>,
    /// How packets are damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Corrupt>,
    /// How much may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<BandwidthLimit>,
}

/// What happens to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAction {
    /// Packets arrive late.
    Delay,
    /// Packets are lost.
    Loss,
    /// Packets arrive twice.
    Duplicate,
    /// Packets arrive damaged.
    Corrupt,
    /// Nothing arrives.
    Partition,
    /// Not much can be sent.
    Bandwidth,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the other end.
    To,
    /// From the other end.
    From,
    /// Both ways.
    Both,
}

/// The other end of a network fault. Exactly one of `workers` and `pods`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.pods) != (has(self.workers) && self.workers)").message("exactly one of workers and pods must be set"),
    validation = Rule::new("has(self.value) == (has(self.mode) && self.mode in ['fixed', 'fixed-percent', 'random-max-percent'])").message("fixed, fixed-percent and random-max-percent need value, and only they"),
    validation = Rule::new("!has(self.value) || !has(self.mode) || self.mode == 'fixed' || self.value <= 100").message("a percentage must not be above 100")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// The workers of this run, by their addresses: nothing is done to the workers themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub workers: bool,
    /// Pods. Their namespaces must carry the label `crucible.dev/chaos: allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodSelector>,
    /// How many of the pods are the other end; all of them by default.
    #[serde(default = "all")]
    pub mode: Mode,
    /// The number for `fixed`, the percentage for `fixed-percent` and `random-max-percent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub value: Option<u32>,
}

/// How packets are delayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delay {
    /// By how much.
    pub latency: Span,
    /// How much the delay differs from packet to packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// How much the delay of a packet depends on that of the packet before, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Percentage>,
}

/// How packets are lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Loss {
    /// How many of a hundred.
    pub loss: Percentage,
    /// How much the fate of a packet depends on that of the packet before, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Percentage>,
}

/// How packets are sent twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Duplicate {
    /// How many of a hundred.
    pub duplicate: Percentage,
    /// How much the fate of a packet depends on that of the packet before, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Percentage>,
}

/// How packets are damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Corrupt {
    /// How many of a hundred.
    pub corrupt: Percentage,
    /// How much the fate of a packet depends on that of the packet before, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Percentage>,
}

/// How much may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BandwidthLimit {
    /// How much in a second.
    pub rate: Bandwidth,
    /// How many bytes may wait.
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub limit: u32,
    /// How many bytes may be sent at once.
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub buffer: u32,
}

/// Processor or memory is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StressChaos {
    /// What is used up.
    pub stressors: Stressors,
    /// In which containers; in the first one of each pod by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub container_names: Vec<Label>,
}

/// What is used up: at least one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.cpu) || has(self.memory)").message("at least one of cpu and memory must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stressors {
    /// Processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuStressor>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryStressor>,
}

/// How processor time is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuStressor {
    /// By how many threads.
    #[schemars(range(min = 1, max = 1024))]
    pub workers: u32,
    /// How much of a processor each of them uses, in per cent; all of it by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub load: Option<u32>,
}

/// How memory is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryStressor {
    /// By how many processes.
    #[schemars(range(min = 1, max = 1024))]
    pub workers: u32,
    /// How much all of them use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Amount>,
    /// How likely the kernel ends them first when memory runs out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1000, max = 1000))]
    pub oom_score_adj: Option<i64>,
}

/// The clock is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeChaos {
    /// By how much; it may go backwards.
    pub time_offset: Offset,
    /// Which clocks; the wall clock by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10))]
    pub clock_ids: Vec<ClockId>,
    /// In which containers; in the first one of each pod by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub container_names: Vec<Label>,
}

/// A clock of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClockId {
    /// The wall clock.
    ClockRealtime,
    /// The clock that never goes back.
    ClockMonotonic,
    /// The time that the process has used.
    ClockProcessCputimeId,
    /// The time that the thread has used.
    ClockThreadCputimeId,
    /// The clock that never goes back, not corrected by time servers.
    ClockMonotonicRaw,
    /// The wall clock, quick to read.
    ClockRealtimeCoarse,
    /// The clock that never goes back, quick to read.
    ClockMonotonicCoarse,
    /// The time since the machine was started.
    ClockBoottime,
}

/// Names do not resolve, or resolve to anything. Chaos Mesh needs its own DNS server for this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsChaos {
    /// What happens.
    pub action: DnsAction,
    /// Which names; all of them by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub patterns: Vec<DomainPattern>,
    /// In which containers; in the first one of each pod by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub container_names: Vec<Label>,
}

/// What happens to names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DnsAction {
    /// They do not resolve.
    Error,
    /// They resolve to any address.
    Random,
}

fn all() -> Mode {
    Mode::All
}
