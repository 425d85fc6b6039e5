//! Addresses of the embedded cluster, its one link and its one packet filter table.
//!
//! Pods hang on point-to-point links, not on a bridge: all of their traffic is routed, so that service addresses work between pods
//! whatever the kernel does with bridged packets.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::program;

/// The node's address, its pods' gateway, and where the API server and the kubelet listen.
pub const NODE_ADDRESS: &str = "10.213.0.1";
/// The node's name.
pub const NODE_NAME: &str = "crucible";
/// Pod addresses.
pub const POD_RANGE: &str = "10.213.0.0/20";
/// Service addresses.
pub const SERVICE_RANGE: &str = "10.213.16.0/20";
/// The first service address, which the API server takes for itself.
pub const API_SERVICE_ADDRESS: &str = "10.213.16.1";
/// The cluster's name server.
pub const DNS_ADDRESS: &str = "10.213.16.10";
/// The API server's port.
pub const API_PORT: u16 = 16443;

const LINK: &str = "crucible0";
const TABLE: &str = "crucible";
const PREFIX: &str = "10.213.";
/// What kubelet, kube-proxy and the CNI plugins set.
const KERNEL_SETTINGS: [&str; 8] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/conf/all/rp_filter",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// Kernel settings as they are now.
pub fn kernel_settings() -> Vec<(PathBuf, String)> {
    let files = KERNEL_SETTINGS.iter().map(|name| PathBuf::from("/proc/sys").join(name));
    files.filter_map(|file| fs::read_to_string(&file).ok().map(|value| (file, value.trim().to_string()))).collect()
}

/// Sets the kernel settings back.
pub fn restore_kernel_settings(settings: &[(PathBuf, String)]) -> Result<()> {
    for (file, value) in settings {
        let now = fs::read_to_string(file).unwrap_or_default();
        if now.trim() != value {
            fs::write(file, value).with_context(|| format!("failed to set {} back to {value}", file.display()))?;
        }
    }
    Ok(())
}

/// Makes the link that holds the node's address, and lets pods reach the world under the machine's own address.
pub fn create() -> Result<()> {
    let routes = program::output(program::command("ip").args(["-4", "route", "show"]))?;
    if let Some(route) = routes.lines().find(|line| line.starts_with(PREFIX)) {
        bail!("the cluster's addresses {PREFIX}0.0/19 are taken by the route \"{route}\"");
    }
    program::run(program::command("ip").args(["link", "add", LINK, "type", "bridge"]))?;
    program::run(program::command("ip").args(["address", "add", &format!("{NODE_ADDRESS}/32"), "dev", LINK]))?;
    program::run(program::command("ip").args(["link", "set", LINK, "up"]))?;
    let rules = format!(
        "table ip {TABLE} {{\n  chain postrouting {{\n    type nat hook postrouting priority srcnat; policy accept;\n    \
         ip saddr {POD_RANGE} ip daddr != {{ {POD_RANGE}, {SERVICE_RANGE} }} masquerade\n  }}\n}}\n"
    );
    program::output_with_input(program::command("nft").args(["-f", "-"]), &rules).context("failed to load the packet filter table")?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("failed to switch routing on")
}

/// Whether anything of ours is left.
pub fn exists() -> bool {
    program::succeeds(program::command("ip").args(["link", "show", LINK]))
        || program::succeeds(program::command("nft").args(["list", "table", "ip", TABLE]))
        || !pod_links().is_empty()
}

/// Removes links, packet filter tables (kube-proxy's as well, which only our own can have made) and remembered connections.
pub fn remove() -> Result<()> {
    for link in pod_links().iter().map(String::as_str).chain([LINK]) {
        if program::succeeds(program::command("ip").args(["link", "show", link])) {
            program::output(program::command("ip").args(["link", "delete", link]))?;
        }
    }
    for (family, table) in [("ip", TABLE), ("ip", "kube-proxy"), ("ip6", "kube-proxy")] {
        if program::succeeds(program::command("nft").args(["list", "table", family, table])) {
            program::output(program::command("nft").args(["delete", "table", family, table]))?;
        }
    }
    // A connection remembered from the last cluster would lead into this one's pods.
    for range in [POD_RANGE, SERVICE_RANGE] {
        program::succeeds(program::command("conntrack").args(["-D", "--orig-dst", range]));
    }
    Ok(())
}

/// The machine's ends of pods' links: they carry the gateway's address.
fn pod_links() -> Vec<String> {
    let list = program::output(program::command("ip").args(["-4", "-o", "address", "show"])).unwrap_or_default();
    let ours = format!("inet {NODE_ADDRESS}/");
    let lines = list.lines().filter(|line| line.contains(&ours));
    lines.filter_map(|line| line.split_whitespace().nth(1)).filter(|name| *name != LINK).map(str::to_string).collect()
}
