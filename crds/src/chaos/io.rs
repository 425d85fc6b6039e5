//! `IOChaos`: reading and writing files is slowed down, fails or goes wrong.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{FilePath, Label, Span};

/// Reading and writing files is slowed down, fails or goes wrong.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    crates(kube_core = "::kube_core"),
    validation = Rule::new("has(self.delay) == (self.action == 'latency') && has(self.errno) == (self.action == 'fault') && has(self.attr) == (self.action == 'attrOverride') && has(self.mistake) == (self.action == 'mistake')").message("latency needs delay, fault needs errno, attrOverride needs attr, mistake needs mistake, and only they")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IoChaos {
    /// What happens.
    pub action: IoAction,
    /// Where the volume is mounted in the container.
    pub volume_path: FilePath,
    /// Which files of it, `*` and `?` standing for anything; all of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<FilePath>,
    /// Which calls; all of them by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32))]
    pub methods: Vec<IoMethod>,
    /// How many calls of a hundred; all of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<u32>,
    /// How long each call takes longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// The number of the error that calls end in, for example 5 for EIO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4095))]
    pub errno: Option<u32>,
    /// What files are said to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attr: Option<AttrOverride>,
    /// How what is read or written is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mistake: Option<Mistake>,
    /// In which containers; in the first one of each pod by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub container_names: Vec<Label>,
}

/// What happens to calls on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum IoAction {
    /// They take longer.
    Latency,
    /// They fail.
    Fault,
    /// Files are said to be something else.
    AttrOverride,
    /// What is read or written is wrong.
    Mistake,
}

/// A call on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is the call of its name")]
pub enum IoMethod {
    Lookup,
    Forget,
    Getattr,
    Setattr,
    Readlink,
    Mknod,
    Mkdir,
    Unlink,
    Rmdir,
    Symlink,
    Rename,
    Link,
    Open,
    Read,
    Write,
    Flush,
    Release,
    Fsync,
    Opendir,
    Readdir,
    Releasedir,
    Fsyncdir,
    Statfs,
    Setxattr,
    Getxattr,
    Listxattr,
    Removexattr,
    Access,
    Create,
    Getlk,
    Setlk,
    Bmap,
}

/// What files are said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttrOverride {
    /// Their size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub size: Option<u64>,
    /// Their size in blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_i64))]
    pub blocks: Option<u64>,
    /// Their permissions, as a decimal number: 72 is 0110.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4095))]
    pub perm: Option<u16>,
    /// How many names they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub nlink: Option<u32>,
    /// Whose they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub uid: Option<u32>,
    /// Which group's they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_295_i64))]
    pub gid: Option<u32>,
}

/// How what is read or written is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mistake {
    /// What stands there instead.
    pub filling: Filling,
    /// In how many places at most.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_occurrences: u32,
    /// How many bytes at most in each place.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_length: u32,
}

/// What stands where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filling {
    /// Zeros.
    Zero,
    /// Anything.
    Random,
}
