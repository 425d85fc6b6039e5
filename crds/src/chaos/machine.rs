//! `PhysicalMachineChaos`: what chaosd does to machines outside Kubernetes. Actions that run commands of the plan's author
//! are left out: a load test does not need them, and a plan would be a way into the machine.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClockId;
use crate::name::{Amount, Bandwidth, Device, ExternalTarget, FilePath, Offset, Percentage, ProcessName, Span};

/// Something happens to machines outside Kubernetes, by their chaosd. Exactly one action.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("[has(self.stressCpu), has(self.stressMem), has(self.diskReadPayload), has(self.diskWritePayload), has(self.diskFill), has(self.networkDelay), has(self.networkLoss), has(self.networkDuplicate), has(self.networkCorrupt), has(self.networkPartition), has(self.networkBandwidth), has(self.process), has(self.clock)].filter(x, x).size() == 1").message("exactly one action of physicalMachineChaos must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PhysicalMachineChaos {
    /// Processor time is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stress_cpu: Option<MachineCpu>,
    /// Memory is used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stress_mem: Option<MachineMemory>,
    /// The disk is kept busy by reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_read_payload: Option<DiskPayload>,
    /// The disk is kept busy by writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_write_payload: Option<DiskPayload>,
    /// The disk is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_fill: Option<DiskFill>,
    /// Packets arrive late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_delay: Option<MachineDelay>,
    /// Packets are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_loss: Option<MachineNetwork>,
    /// Packets arrive twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_duplicate: Option<MachineNetwork>,
    /// Packets arrive damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_corrupt: Option<MachineNetwork>,
    /// Nothing arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_partition: Option<MachinePartition>,
    /// Not much can be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_bandwidth: Option<MachineBandwidth>,
    /// A process gets a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<MachineProcess>,
    /// The clock of a process is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<MachineClock>,
}

/// How processor time is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineCpu {
    /// By how many threads.
    #[schemars(range(min = 1, max = 1024))]
    pub workers: u32,
    /// How much of a processor each of them uses, in per cent.
    #[schemars(range(min = 1, max = 100))]
    pub load: u32,
}

/// How memory is used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineMemory {
    /// How much.
    pub size: Amount,
}

/// How the disk is kept busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskPayload {
    /// How much is read or written.
    pub size: Amount,
    /// Where; in a file for the purpose by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<FilePath>,
    /// By how many processes; one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub payload_process_num: Option<u8>,
}

/// How the disk is filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiskFill {
    /// How much of it.
    pub size: Amount,
    /// Where; in a file for the purpose by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<FilePath>,
    /// Whether the space is set aside at once instead of being written.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fill_by_fallocate: bool,
}

/// How packets are delayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineDelay {
    /// The network interface.
    pub device: Device,
    /// By how much.
    pub latency: Span,
    /// How much the delay differs from packet to packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Span>,
    /// Only packets to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<ExternalTarget>,
    /// Only packets to this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<ExternalTarget>,
}

/// How packets are lost, sent twice or damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineNetwork {
    /// The network interface.
    pub device: Device,
    /// How many of a hundred.
    pub percent: Percentage,
    /// Only packets to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<ExternalTarget>,
    /// Only packets to this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<ExternalTarget>,
}

/// How a machine is cut off.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.ipAddress) != has(self.hostname)").message("exactly one of ipAddress and hostname must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachinePartition {
    /// The network interface.
    pub device: Device,
    /// Which way packets go that are dropped: `to` or `from` the other end.
    pub direction: MachineDirection,
    /// The address of the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<ExternalTarget>,
    /// The host name of the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<ExternalTarget>,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MachineDirection {
    /// To the other end.
    To,
    /// From the other end.
    From,
}

/// How much may be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineBandwidth {
    /// The network interface.
    pub device: Device,
    /// How much in a second.
    pub rate: Bandwidth,
    /// How many bytes may wait.
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub limit: u32,
    /// How many bytes may be sent at once.
    #[schemars(range(min = 1, max = 4_294_967_295_i64))]
    pub buffer: u32,
    /// Only packets to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<ExternalTarget>,
    /// Only packets to this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<ExternalTarget>,
}

/// Which signal a process gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineProcess {
    /// The process by name or number.
    pub process: ProcessName,
    /// The number of the signal: 9 ends it, 19 halts it until the fault is healed.
    #[schemars(range(min = 1, max = 64))]
    pub signal: u32,
}

/// How the clock of a process is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineClock {
    /// The number of the process.
    #[schemars(range(min = 1, max = 4_194_304))]
    pub pid: u32,
    /// By how much; it may go backwards.
    pub time_offset: Offset,
    /// Which clocks; the wall clock by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 10))]
    pub clock_ids: Vec<ClockId>,
}
