//! Faults: what is broken while the load is on, where, when and for how long. What each kind of fault does is in [`crate::chaos`].

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    chaos::Chaos,
    duration::Duration,
    name::{Label, LabelKey, LabelValue, MachineAddress},
};

/// One fault that is injected while the load is on, and healed after its time.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.chaos.physicalMachineChaos) == has(self.target.machines)").message("physicalMachineChaos needs target.machines, every other kind target.pods"),
    validation = Rule::new("duration(self.duration) >= duration('1s') && duration(self.duration) <= duration('24h')").message("a fault must last at least 1s and at most 24h")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The fault's name in limits, results and the report.
    pub name: Label,
    /// When the fault is injected.
    pub start: FaultStart,
    /// How long the fault lasts. It is healed after that time even where nothing of Crucible is alive any more. A fault of a moment, such as a killed pod, is over at once.
    pub duration: Duration,
    /// What is hit.
    pub target: FaultTarget,
    /// What is done to it. Exactly one kind, in the words of Chaos Mesh.
    pub chaos: Chaos,
}

/// When a fault is injected. Exactly one of `stage` and `steady`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.stage) != (has(self.steady) && self.steady)").message("exactly one of stage and steady must be set")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultStart {
    /// Counted from the first moment of this stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Label>,
    /// Counted from the moment at which the load is steady: a measured stage without a ramp is on, and the queries per second of its last 5 seconds differ from those of the 5 seconds before by at most a tenth.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub steady: bool,
    /// How long after that moment.
    #[serde(default = "no_time")]
    pub after: Duration,
}

/// What a fault hits. Exactly one of `pods` and `machines`. Pods of Crucible are never hit.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.pods) != has(self.machines)").message("exactly one of pods and machines must be set"),
    validation = Rule::new("has(self.value) == (has(self.mode) && self.mode in ['fixed', 'fixed-percent', 'random-max-percent'])").message("fixed, fixed-percent and random-max-percent need value, and only they"),
    validation = Rule::new("!has(self.value) || !has(self.mode) || self.mode == 'fixed' || self.value <= 100").message("a percentage must not be above 100")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultTarget {
    /// Pods. Their namespaces must carry the label `crucible.dev/chaos: allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodSelector>,
    /// Machines outside Kubernetes that run chaosd. The run's own namespace must carry the label `crucible.dev/chaos: allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<Machines>,
    /// How many of what is selected are hit.
    #[serde(default)]
    pub mode: Mode,
    /// The number for `fixed`, the percentage for `fixed-percent` and `random-max-percent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub value: Option<u32>,
}

/// How many of what is selected are hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One, chosen at random.
    #[default]
    One,
    /// All of them.
    All,
    /// As many as `value` says.
    Fixed,
    /// As many per cent as `value` says.
    FixedPercent,
    /// A random share of at most as many per cent as `value` says.
    RandomMaxPercent,
}

impl Mode {
    /// The word as it stands in a plan and in Chaos Mesh.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::All => "all",
            Self::Fixed => "fixed",
            Self::FixedPercent => "fixed-percent",
            Self::RandomMaxPercent => "random-max-percent",
        }
    }
}

/// Which pods are meant: those in the namespaces that have every label and fit every expression. At least one of the two must be given, so that nobody hits a whole namespace by leaving something out.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("(has(self.labelSelectors) && size(self.labelSelectors) > 0) || (has(self.expressionSelectors) && size(self.expressionSelectors) > 0)").message("a selector of pods must have labelSelectors or expressionSelectors")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSelector {
    /// The namespaces of the pods.
    #[schemars(length(min = 1, max = 8))]
    pub namespaces: Vec<Label>,
    /// Labels that the pods have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub label_selectors: BTreeMap<LabelKey, LabelValue>,
    /// What else holds of the labels of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub expression_selectors: Vec<LabelExpression>,
}

/// What holds of one label.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.values) == (self.operator in ['In', 'NotIn'])").message("In and NotIn need values, and only they")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelExpression {
    /// The label's key.
    pub key: LabelKey,
    /// How the label is compared.
    pub operator: LabelOperator,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub values: Vec<LabelValue>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It is there and has one of the values.
    In,
    /// It is not there or has none of the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// Machines outside Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Machines {
    /// Where their chaosd answers: `host` or `host:port`; without a port, 31767.
    #[schemars(length(min = 1, max = 32))]
    pub addresses: Vec<MachineAddress>,
}

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultStatus {
    /// The fault's name in the plan.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The kind of the Chaos Mesh object that injects it, for example `PodChaos`.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// The namespace of that object.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The name of that object.
    #[schemars(length(max = 253))]
    pub object: String,
    /// How far the fault is.
    pub phase: FaultPhase,
    /// Since when it is that far.
    pub phase_since: MicroTime,
    /// Whether Chaos Mesh confirmed that every target was hit, and that there was at least one.
    #[serde(default)]
    pub confirmed: bool,
    /// How many targets there are: those that could be hit, then those that were.
    #[serde(default)]
    pub targets: u32,
    /// When the fault is due, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<MicroTime>,
    /// When the first target was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub injected_at: Option<MicroTime>,
    /// When the last target was healed. A fault of a moment has nothing to heal: it is when the last target was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<MicroTime>,
    /// How often it was injected anew, because a target was replaced while it was on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moves: u32,
    /// When its time is over, where it was injected anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<MicroTime>,
    /// What there is to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// How far a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FaultPhase {
    /// Its time has not come.
    Waiting,
    /// It was ordered, and is not confirmed yet.
    Injecting,
    /// Every target was hit.
    Injected,
    /// A target was replaced while it was on: it is taken away, to be injected into what took the target's place.
    Moving,
    /// Its time is over, and not every target is healed yet.
    Healing,
    /// Its targets should have been healed long ago, and were not.
    Stuck,
    /// Nothing of it is left in its targets.
    Healed,
    /// It was never injected: its time passed, or the load ended before.
    Skipped,
}

impl FaultPhase {
    /// The name as it stands in status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "Waiting",
            Self::Injecting => "Injecting",
            Self::Injected => "Injected",
            Self::Moving => "Moving",
            Self::Healing => "Healing",
            Self::Stuck => "Stuck",
            Self::Healed => "Healed",
            Self::Skipped => "Skipped",
        }
    }

    /// Whether something of the fault may be in its targets.
    #[must_use]
    pub const fn is_on(self) -> bool {
        match self {
            Self::Injecting | Self::Injected | Self::Moving | Self::Healing | Self::Stuck => true,
            Self::Waiting | Self::Healed | Self::Skipped => false,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference.
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn no_time() -> Duration {
    Duration::from_secs(0)
}
